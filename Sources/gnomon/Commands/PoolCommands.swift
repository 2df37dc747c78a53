import Daemon
import HTTPService
import Primitives

extension Command {
  private static let store = OptionSpec(
    name: "store", value: "SPEC", summary: "a store, as NAME=PATH,size=SIZE,tier=N", isRequired: true,
    isRepeatable: true)
  private static let volume = OptionSpec(
    name: "volume", value: "SPEC", summary: "a volume, as NAME=SIZE[,KEY=VALUE]…", isRepeatable: true)

  static let poolCommands = [poolCreate, poolShow]

  /// `gnomon pool create`
  private static let poolCreate = Command(
    spec: CommandSpec(
      path: ["pool", "create"], summary: "Create a pool with its stores and volumes",
      positionals: [PositionalSpec(name: "DIR")], options: [store, volume, forceStores, .json],
      details: [
        "DIR is made if it does not exist; a pool that is there already is refused. No daemon is needed."
      ] + storeSpecDetails + volumeSpecDetails,
      examples: [
        .init(
          text: "One store in a file, one volume",
          line: "gnomon pool create /srv/pool --store fast=/srv/fast.img,size=100G,tier=0 "
            + "--volume disk0=20G"),
        .init(
          text: "A fast and a slow device, two volumes",
          line: "gnomon pool create /srv/pool --store nvme=/dev/nvme0n1,size=400G,tier=0 "
            + "--store hdd=/dev/sdb,size=4T,tier=2,cost=0.01 --volume vm1=200G --volume logs=1T,extent=4M"),
      ])
  ) { run in
    let directory = try run.poolDirectory(positional: run.arguments.positionals[0])
    let base = run.context.workingDirectory
    let force = run.arguments.has(forceStores)
    let stores = try run.arguments.values(store).map {
      try StoreRequest(spec: $0, workingDirectory: base, force: force)
    }
    let volumes = try run.arguments.values(volume).map { try VolumeRequest(spec: $0) }
    try Validation.check(stores: stores, volumes: volumes)
    let pool = try run.context.offline.createPool(directory: directory, stores: stores, volumes: volumes)
    run.show(pool) {
      let parts = "\(count(pool.storeCount, "store")), \(count(pool.volumeCount, "volume"))"
      let room = ByteSize(rawValue: pool.freeBytes)
      return """
        Created the pool \(Table.printable(pool.directory)): \(parts), \(room) free.
        Serve it with: gnomon serve --pool \(ShellWord.quoted(pool.directory))

        """
    }
    return .ok
  }

  /// `gnomon pool show`
  private static let poolShow = Command(
    spec: CommandSpec(
      path: ["pool", "show"], summary: "Show a served pool as a whole",
      positionals: [PositionalSpec(name: "DIR", isOptional: true)], options: [.pool, .json],
      examples: [.init(text: "By its folder", line: "gnomon pool show /srv/pool")])
  ) { run in
    let pool = try run.withDaemon(positional: run.arguments.positionals.first) { try $0.pool() }
    run.show(pool) {
      var list = PropertyList()
      list.add("pool", pool.directory)
      list.add("uuid", pool.uuid)
      list.add("stores", "\(pool.storeCount)")
      list.add("volumes", "\(pool.volumeCount)")
      list.add("size", "\(ByteSize(rawValue: pool.sizeBytes))")
      list.add("used", "\(ByteSize(rawValue: pool.usedBytes))")
      list.add("free", "\(ByteSize(rawValue: pool.freeBytes))")
      list.add("provisioned", "\(ByteSize(rawValue: pool.provisionedBytes))")
      return list.text
    }
    return .ok
  }

  /// `1 store`, `2 stores`
  static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }
}
