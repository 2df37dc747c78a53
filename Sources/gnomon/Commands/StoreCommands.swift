import HTTPService
import Primitives

extension Command {
  /// How a store is written, for help.
  static let storeSpecDetails = [
    "A store is written NAME=PATH,size=SIZE,tier=N. PATH is a file, which is made sparse if it does not "
      + "exist, or a block device; a comma in it is written '\\,' and a backslash '\\\\'. tier is 0 for the "
      + "fastest (the default), 1, 2 and so on. Further keys: region=, zone= and node= say where it is; "
      + "cost= is the price per GiB and month; cache=direct (the default) bypasses the page cache, "
      + "cache=page uses it.",
    "Instead of PATH, an NBD URI (nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH) means an export "
      + "of another server, which must offer FLUSH; size= may be left out there. 'memory:' means memory of "
      + "the daemon: it is gone when the daemon ends, so only shadows may lie there.",
    "What is not empty is refused, unless --force says that what is there may be lost.",
  ]

  static let forceStores = OptionSpec(
    name: "force", summary: "use files, devices and exports that are not empty; what is there is lost")

  static let storeCommands = [storeAdd, storeList, storeShow, storeDrain, storeRemove]

  /// `gnomon store add`
  private static let storeAdd = Command(
    spec: CommandSpec(
      path: ["store", "add"], summary: "Add a store to a served pool",
      positionals: [PositionalSpec(name: "SPEC")], options: [.pool, forceStores, .json],
      details: storeSpecDetails,
      examples: [
        .init(
          text: "Add a disk",
          line: "gnomon store add --pool /srv/pool hdd=/dev/sdb,size=4T,tier=2,cost=0.01"),
        .init(
          text: "Add an export of another machine",
          line: "gnomon store add --pool /srv/pool far=nbd://storage1:10809/disk7,tier=2,node=storage1"),
      ])
  ) { run in
    let request = try StoreRequest(
      spec: run.arguments.positionals[0], workingDirectory: run.context.workingDirectory,
      force: run.arguments.has(forceStores))
    let store = try run.withDaemon { try $0.addStore(request) }
    run.show(store) { "Added the store \(store.name): \(ByteSize(rawValue: store.freeBytes)) free.\n" }
    return .ok
  }

  /// `gnomon store list`
  private static let storeList = Command(
    spec: CommandSpec(
      path: ["store", "list"], summary: "List the stores of a served pool", options: [.pool, .json],
      examples: [.init(text: "For people", line: "gnomon store list --pool /srv/pool")])
  ) { run in
    let stores = try run.withDaemon { try $0.stores() }
    run.show(StoreList(stores: stores)) {
      var table = Table([
        .init(title: "NAME"), .init(title: "ID", alignment: .right), .init(title: "TIER", alignment: .right),
        .init(title: "STATE"), .init(title: "SCORE", alignment: .right), .init(title: "HEALTH"),
        .init(title: "SIZE", alignment: .right), .init(title: "USED", alignment: .right),
        .init(title: "FREE", alignment: .right), .init(title: "CACHE"), .init(title: "PATH"),
      ])
      for store in stores {
        table.add([
          store.name, "\(store.id)", "\(store.tier)", state(of: store),
          store.health.map { "\($0.score)" } ?? "", store.health?.state.rawValue ?? "",
          "\(ByteSize(rawValue: store.sizeBytes))",
          "\(ByteSize(rawValue: store.usedBytes))", "\(ByteSize(rawValue: store.freeBytes))",
          store.cache.rawValue, store.path,
        ])
      }
      return table.text
    }
    return .ok
  }

  /// In one word, how a store is.
  static func state(_ state: StoreState, _ connection: StoreConnection?) -> String {
    guard state != .failed, let connection, connection.state != .connected else { return state.rawValue }
    return connection.state.rawValue
  }

  /// `gnomon store show`
  private static let storeShow = Command(
    spec: CommandSpec(
      path: ["store", "show"], summary: "Show one store of a served pool",
      positionals: [PositionalSpec(name: "NAME")], options: [.pool, .json],
      examples: [.init(text: "For programs", line: "gnomon store show --pool /srv/pool fast --json")])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "store")
    let store = try run.withDaemon { try $0.store(name: name) }
    run.show(store) {
      var list = PropertyList()
      list.add("store", store.name)
      list.add("id", "\(store.id)")
      list.add("uuid", store.uuid)
      list.add("state", state(of: store))
      if let health = store.health { list.add("health", "\(health.state.rawValue), score \(health.score)") }
      if let complaint = store.complaint { list.add("complaint", complaint) }
      list.add("kind", store.kind.rawValue)
      list.add("path", store.path)
      if let connection = store.connection {
        list.add(
          "connection",
          "\(connection.state.rawValue) for \(duration(connection.seconds)), "
            + "broken \(connection.breaks) times")
        list.add("last error", connection.lastError)
      }
      list.add("tier", "\(store.tier)")
      list.add("region", store.region)
      list.add("zone", store.zone)
      list.add("node", store.node)
      list.add("cost", "\(store.cost)")
      list.add("cache", store.cache.rawValue)
      list.add("size", "\(ByteSize(rawValue: store.sizeBytes))")
      list.add("used", "\(ByteSize(rawValue: store.usedBytes))")
      list.add("free", "\(ByteSize(rawValue: store.freeBytes))")
      list.add(
        "errors",
        "\(store.errors.reads) reads, \(store.errors.writes) writes, \(store.errors.newExtents) new extents, "
          + "\(store.errors.synchronizations) synchronizations")
      return list.text
    }
    return .ok
  }

  /// `online`, `online, draining`
  private static func state(of store: StoreInfo) -> String {
    state(store.state, store.connection) + (store.draining ? ", draining" : "")
  }

  private static let cancel = OptionSpec(
    name: "cancel", summary: "end it; the store is used again, and what has been moved stays where it is")

  /// `gnomon store drain`
  private static let storeDrain = Command(
    spec: CommandSpec(
      path: ["store", "drain"], summary: "Move everything off a store of a served pool",
      positionals: [PositionalSpec(name: "NAME")], options: [.wait, cancel, .pool, .json],
      details: [
        "Clients go on reading and writing meanwhile. The store gets nothing new from here on, also when it "
          + "is empty, until it is removed or --cancel lets it be used again; a daemon that is started again "
          + "goes on with it. Without room elsewhere the drain is held, and says so in 'gnomon jobs' and "
          + "'gnomon store show'; it goes on as soon as there is.",
        "With --wait, the command ends when the store is empty. To end the command alone is harmless: the "
          + "drain goes on.",
      ],
      examples: [
        .init(
          text: "Empty a disk and take it out",
          line: "gnomon store drain --pool /srv/pool hdd --wait && gnomon store remove --pool /srv/pool hdd")
      ])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "store")
    let isCancelled = run.arguments.has(cancel)
    if isCancelled && run.arguments.has(.wait) {
      throw UsageError(message: "--wait and --cancel do not go together", command: run.spec)
    }
    return try run.withDaemon { client in
      let store = try client.changeStore(name: name, StoreChange(draining: !isCancelled))
      if run.arguments.has(.wait), let job = store.drainJob {
        var watch = JobWatch(run, client)
        return try watch.wait(for: job)
      }
      run.show(store) {
        if isCancelled { return "The store \(name) is used again.\n" }
        return "The store \(name) is being drained, \(ByteSize(rawValue: store.usedBytes)) lie on it: "
          + "see 'gnomon jobs'.\n"
      }
      return .ok
    }
  }

  /// `gnomon store remove`
  private static let storeRemove = Command(
    spec: CommandSpec(
      path: ["store", "remove"], summary: "Remove an empty store from a served pool",
      positionals: [PositionalSpec(name: "NAME")], options: [.pool],
      details: [
        "A store that holds extents is refused: 'gnomon store drain' moves them elsewhere. Its file or "
          + "device stays, and is not written to."
      ],
      examples: [.init(text: "Remove a store", line: "gnomon store remove --pool /srv/pool hdd")])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "store")
    try run.withDaemon { try $0.removeStore(name: name) }
    return .ok
  }
}
