import Daemon
import HTTPService
import Primitives

extension Command {
  /// How a volume is written, for help.
  static let volumeSpecDetails = [
    "A volume is written NAME=SIZE, or NAME=SIZE,KEY=VALUE,… with further keys. SIZE is a multiple of 4096 "
      + "bytes like 20G, 20GiB or 1.5T. extent= is the size of its extents, the pieces in which it is "
      + "placed: a power of two from 64K to 64M, 1M by default. Volumes are thin: they take room as they are "
      + "written.",
    redundancyDetails, tierDetails,
  ]

  private static let tierDetails =
    "pin= is the tier on which live copies belong, written tier0 or 0: new extents go there as long as it "
    + "has room, and elsewhere when it is full. never= names tiers that get no copies of the volume, like "
    + "tier0+tier2; a new extent goes there only when no other store takes it, rather than fail a write. "
    + "none, the default, takes a rule back. Live copies that lie elsewhere already are moved in the next "
    + "round of tiering: see 'gnomon plan'."

  private static let redundancyDetails =
    "copies= is how many copies each extent is to have, from 1 to 4, the live one included; a new extent "
    + "gets all of them with its first write. across= is what no two of them may share: store "
    + "(the default), node, zone or region. protection= says when a write is acknowledged: sync (the "
    + "default), when all copies have it; async, when the live one has, and the others get it a little "
    + "later; none, when the live one has, and the others are left behind. errors= says what becomes of a "
    + "request when no copy can be reached: hold (the default), it waits a while for the server to return; "
    + "fail, it fails at once."

  static let volumeCommands = [
    volumeCreate, volumeList, volumeShow, volumeSet, volumeResize, volumeDelete,
  ]

  private static let force = OptionSpec(
    name: "force", summary: "shrink even if data is lost")

  /// `gnomon volume create`
  private static let volumeCreate = Command(
    spec: CommandSpec(
      path: ["volume", "create"], summary: "Create a volume in a served pool",
      positionals: [PositionalSpec(name: "SPEC")], options: settings + [.pool, .json],
      details: volumeSpecDetails + ["Each key but extent= may be given as an option instead."],
      examples: [
        .init(text: "A volume of 20 GiB", line: "gnomon volume create --pool /srv/pool disk1=20G"),
        .init(
          text: "With larger extents", line: "gnomon volume create --pool /srv/pool archive=8T,extent=16M"),
        .init(
          text: "With a copy of everything on another machine's store",
          line: "gnomon volume create --pool /srv/pool vm2=40G,copies=2,across=node"),
        .init(
          text: "On the fastest stores", line: "gnomon volume create --pool /srv/pool db=40G --pin tier0"),
      ])
  ) { run in
    let request = try VolumeRequest(spec: run.arguments.positionals[0], options: words(of: run))
    let volume = try run.withDaemon { try $0.createVolume(request) }
    run.show(volume) { "Created the volume \(volume.name): \(ByteSize(rawValue: volume.sizeBytes)).\n" }
    return .ok
  }

  /// `gnomon volume list`
  private static let volumeList = Command(
    spec: CommandSpec(
      path: ["volume", "list"], summary: "List the volumes of a served pool", options: [.pool, .json],
      examples: [.init(text: "For people", line: "gnomon volume list --pool /srv/pool")])
  ) { run in
    let volumes = try run.withDaemon { try $0.volumes() }
    run.show(VolumeList(volumes: volumes)) {
      var table = Table([
        .init(title: "NAME"), .init(title: "SIZE", alignment: .right),
        .init(title: "MAPPED", alignment: .right), .init(title: "EXTENT", alignment: .right),
        .init(title: "ACCESS"), .init(title: "COPIES", alignment: .right),
        .init(title: "LACKING", alignment: .right), .init(title: "PIN"), .init(title: "NEVER"),
        .init(title: "CONNECTIONS", alignment: .right),
      ])
      for volume in volumes {
        table.add([
          volume.name, "\(ByteSize(rawValue: volume.sizeBytes))", "\(ByteSize(rawValue: volume.mappedBytes))",
          "\(ByteSize(rawValue: volume.extentBytes))", access(volume), "\(volume.copies)",
          "\(volume.lackingExtents)", volume.pin.map(Tier.name) ?? "-",
          volume.never.isEmpty ? "-" : "\(volume.never)", "\(volume.connections)",
        ])
      }
      return table.text
    }
    return .ok
  }

  /// `gnomon volume show`
  private static let volumeShow = Command(
    spec: CommandSpec(
      path: ["volume", "show"], summary: "Show one volume of a served pool and how to attach it",
      positionals: [PositionalSpec(name: "NAME")], options: [.pool, .json],
      examples: [.init(text: "With the URIs for clients", line: "gnomon volume show --pool /srv/pool disk0")])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume")
    try run.withDaemon { client in
      let volume = try client.volume(name: name)
      try run.show(volume) {
        let stores = try client.stores()
        var list = PropertyList()
        list.add("volume", volume.name)
        list.add("uuid", volume.uuid)
        list.add("size", "\(ByteSize(rawValue: volume.sizeBytes))")
        list.add("mapped", "\(ByteSize(rawValue: volume.mappedBytes))")
        list.add("extent", "\(ByteSize(rawValue: volume.extentBytes))")
        list.add("access", access(volume))
        list.add("copies", "\(volume.copies) across \(volume.across.rawValue)s")
        list.add("protection", volume.protection.rawValue)
        list.add("errors", volume.errors.rawValue)
        list.add("pin", pinText(volume, stores))
        list.add("never", "\(volume.never)")
        list.add("lacking", "\(count(Int(volume.lackingExtents), "extent")) with fewer copies")
        list.add("connections", "\(volume.connections)")
        for listener in try client.status().listeners {
          list.add("uri", NBDEndpoint(parsing: listener)?.uri(export: volume.name) ?? listener)
        }
        return list.text
      }
    }
    return .ok
  }

  private static let copies = OptionSpec(
    name: "copies", value: "N", summary: "copies of each extent, the live one included: 1 to 4")
  private static let across = OptionSpec(
    name: "across", value: "DOMAIN", summary: "what no two of them may share: store, node, zone or region")
  private static let protection = OptionSpec(
    name: "protection", value: "WHEN", summary: "when writes are acknowledged: sync, async or none")

  private static let errors = OptionSpec(
    name: "errors", value: "POLICY", summary: "when no copy can be reached: hold requests, or fail them")

  private static let pin = OptionSpec(
    name: "pin", value: "TIER", summary: "the tier on which live copies belong, like tier0; or none")
  private static let never = OptionSpec(
    name: "never", value: "TIERS", summary: "tiers that get no copies, like tier0,tier2; or none")

  /// How a volume is kept. Each is a key of a volume's spec, too.
  private static let settings = [copies, across, protection, errors, pin, never]

  private static func words(of run: Invocation) -> [String: String] {
    var words: [String: String] = [:]
    for option in settings { words[option.name] = run.arguments.value(option) }
    return words
  }

  /// `gnomon volume set`
  private static let volumeSet = Command(
    spec: CommandSpec(
      path: ["volume", "set"],
      summary: "Change how a volume of a served pool is kept: how many copies, where, when",
      positionals: [PositionalSpec(name: "NAME")],
      options: settings + [.pool, .json],
      details: [
        redundancyDetails, tierDetails,
        "What is not said stays. Clients may be attached. Copies that are missing are made in the "
          + "background; 'gnomon volume show' counts the extents that lack one, and 'gnomon jobs' says why "
          + "if they can not be made. Copies beyond what is wanted stay: 'gnomon shadow drop' gives them up.",
      ],
      examples: [
        .init(
          text: "Have two copies of everything", line: "gnomon volume set --pool /srv/pool disk0 --copies 2"),
        .init(
          text: "Keep it off the fastest stores",
          line: "gnomon volume set --pool /srv/pool logs --never tier0"
        ),
      ])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume")
    let change = try VolumeSettings(words: words(of: run))
    guard !change.isEmpty else {
      throw UsageError(
        message: "nothing is to be changed",
        remedy: "give --copies, --across, --protection, --errors, --pin or --never", command: run.spec)
    }
    let volume = try run.withDaemon { try $0.setVolume(name: name, change) }
    run.show(volume) {
      var text = ""
      if !change.redundancy.isEmpty {
        text +=
          "The volume \(volume.name) wants \(volume.copies) \(volume.copies == 1 ? "copy" : "copies"): "
          + "\(count(Int(volume.lackingExtents), "extent")) with fewer.\n"
      }
      if !change.tiers.isEmpty {
        let pin = volume.pin.map(Tier.name) ?? TierRules.noneWord
        text += "The volume \(volume.name) has pin=\(pin), never=\(volume.never).\n"
      }
      return text
    }
    return .ok
  }

  /// `gnomon volume resize`
  private static let volumeResize = Command(
    spec: CommandSpec(
      path: ["volume", "resize"], summary: "Change the size of a volume of a served pool",
      positionals: [PositionalSpec(name: "NAME"), PositionalSpec(name: "SIZE")],
      options: [.pool, force, .json],
      details: [
        "Growing is safe while clients are attached. For shrinking none may be, and it needs --force if "
          + "data lies beyond the new end; that data is lost."
      ],
      examples: [.init(text: "Grow to 40 GiB", line: "gnomon volume resize --pool /srv/pool disk0 40G")])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume")
    guard let size = ByteSize(parsing: run.arguments.positionals[1]) else {
      throw GnomonError(
        .invalid, "wrong size '\(run.arguments.positionals[1])'", remedy: ByteSize.hint)
    }
    try Validation.checkSize(size.rawValue, of: "volume '\(name)'")
    let change = VolumeChange(sizeBytes: size.rawValue, force: run.arguments.has(force))
    let volume = try run.withDaemon { try $0.resizeVolume(name: name, change) }
    run.show(volume) { "Resized the volume \(volume.name) to \(ByteSize(rawValue: volume.sizeBytes)).\n" }
    return .ok
  }

  /// `gnomon volume delete`
  private static let volumeDelete = Command(
    spec: CommandSpec(
      path: ["volume", "delete"], summary: "Delete a volume of a served pool and all its data",
      positionals: [PositionalSpec(name: "NAME")], options: [.pool],
      details: ["A volume that a client has attached is refused."],
      examples: [.init(text: "Delete a volume", line: "gnomon volume delete --pool /srv/pool disk1")])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume")
    try run.withDaemon { try $0.deleteVolume(name: name) }
    return .ok
  }

  private static func pinText(_ volume: VolumeInfo, _ stores: [StoreInfo]) -> String {
    guard let pin = volume.pin else { return TierRules.noneWord }
    let isServed = stores.contains { $0.tier == pin && $0.kind != .memory }
    return Tier.name(pin) + (isServed ? "" : " (no store of that tier may hold live copies)")
  }

  private static func access(_ volume: VolumeInfo) -> String {
    volume.readOnly ? "read-only" : "read-write"
  }
}
