import HTTPService
import Primitives

extension Command {
  private static let extentsDetails = [
    "EXTENTS is 'all', or numbers and ranges from 0 on, like 7 or 7,9-12: 'gnomon extents' lists them. "
      + "Extents that were never written to have no copy, and are passed over."
  ]
  private static let to = OptionSpec(
    name: "to", value: "STORE", summary: "the store that gets the copies", isRequired: true)
  private static let from = OptionSpec(
    name: "from", value: "STORE", summary: "the store that gives them up", isRequired: true)
  private static let keep = OptionSpec(
    name: "keep", summary: "keep the copies that there are, and make another: a shadow")

  static let moveCommands = [move, shadowDrop, extents]

  /// `gnomon move`
  private static let move = Command(
    spec: CommandSpec(
      path: ["move"], summary: "Move extents of a volume to another store, or copy them there",
      positionals: [PositionalSpec(name: "VOLUME"), PositionalSpec(name: "EXTENTS")],
      options: [to, keep, .wait, .pool, .json],
      details: extentsDetails + [
        "Clients go on reading and writing meanwhile. Each extent is copied, read back and compared; then "
          + "the live copy is the new one, and the old one goes. With --keep it stays, and the new copy is a "
          + "shadow: it is read where that is quicker, and takes over when the live copy can not be used.",
        "The work is done in the background, as a job; with --wait, the command ends when it does.",
      ],
      examples: [
        .init(
          text: "Move a whole volume to the slow disk", line: "gnomon move --pool /srv/pool logs all --to hdd"
        ),
        .init(
          text: "Copy three extents to the fast one, and wait",
          line: "gnomon move --pool /srv/pool vm1 7,9-10 --to nvme --keep --wait"),
      ])
  ) { run in
    try beginJob(run, run.arguments.has(keep) ? .replicate : .migrate, store: run.arguments.value(to)!)
  }

  /// `gnomon shadow drop`
  private static let shadowDrop = Command(
    spec: CommandSpec(
      path: ["shadow", "drop"], summary: "Give up the shadows that a store has of extents of a volume",
      positionals: [PositionalSpec(name: "VOLUME"), PositionalSpec(name: "EXTENTS")],
      options: [from, .wait, .pool, .json],
      details: extentsDetails + [
        "Refused where it would take the last good copy, and where fewer copies would be left than the "
          + "volume wants ('gnomon volume set')."
      ],
      examples: [
        .init(text: "All of a volume", line: "gnomon shadow drop --pool /srv/pool vm1 all --from hdd --wait")
      ])
  ) { run in
    try beginJob(run, .drop, store: run.arguments.value(from)!)
  }

  private static func beginJob(
    _ run: Invocation, _ kind: MoveRequest.Kind, store: String
  ) throws -> ExitStatus {
    let volume = run.arguments.positionals[0]
    let extents = run.arguments.positionals[1]
    try Validation.checkName(volume, of: "volume")
    try Validation.checkName(store, of: "store")
    _ = try ExtentSet(parsing: extents)
    return try run.withDaemon { client in
      let job = try client.beginJob(MoveRequest(kind, volume: volume, extents: extents, store: store))
      if run.arguments.has(.wait) {
        var watch = JobWatch(run, client)
        return try watch.wait(for: job.number)
      }
      run.show(job) { "Begun as job \(job.number): see 'gnomon jobs'.\n" }
      return .ok
    }
  }

  /// `gnomon extents`
  private static let extents = Command(
    spec: CommandSpec(
      path: ["extents"], summary: "Show where the extents of a volume lie, and why",
      positionals: [PositionalSpec(name: "VOLUME"), PositionalSpec(name: "EXTENTS", isOptional: true)],
      options: [.pool, .json],
      details: extentsDetails + [
        "Extents that follow each other and have the same copies are one line. A shadow is 'synced' if it is "
          + "equal to the live copy, 'stale' if it lacks something, 'filling' while that is copied to it. "
          + "Why an extent was moved is remembered for the last 16384 that were, until the daemon stops."
      ],
      examples: [
        .init(text: "A whole volume", line: "gnomon extents --pool /srv/pool vm1"),
        .init(text: "Some extents, for programs", line: "gnomon extents --pool /srv/pool vm1 0-99 --json"),
      ])
  ) { run in
    let volume = run.arguments.positionals[0]
    try Validation.checkName(volume, of: "volume")
    let set = try ExtentSet(parsing: run.arguments.positionals.dropFirst().first ?? "all")
    let list = try run.withDaemon { client in
      var list = try client.extents(volume: volume, run.arguments.positionals.dropFirst().first ?? "all")
      while let next = list.next {
        let rest = try client.extents(volume: volume, set.text(from: next, of: list.extentCount))
        list.runs += rest.runs
        list.next = rest.next
      }
      return list
    }
    run.show(list) { text(of: list) }
    return .ok
  }

  private static func text(of list: ExtentList) -> String {
    var table = Table([
      .init(title: "EXTENTS"), .init(title: "SIZE", alignment: .right), .init(title: "LIVE"),
      .init(title: "TIER", alignment: .right), .init(title: "SHADOWS"), .init(title: "WHY"),
    ])
    for run in list.runs {
      let size = (run.last - run.first + 1) * list.extentBytes
      table.add([
        run.first == run.last ? "\(run.first)" : "\(run.first)-\(run.last)", "\(ByteSize(rawValue: size))",
        run.live ?? "", run.tier.map { "\($0)" } ?? "",
        run.shadows.map { "\($0.store) (\($0.state.rawValue))" }.joined(separator: ", "), run.why ?? "",
      ])
    }
    return table.text
  }
}
