import HTTPService
import Primitives

extension Command {
  /// `gnomon status`
  static let status = Command(
    spec: CommandSpec(
      path: ["status"], summary: "Show what the daemon of a pool is doing",
      positionals: [PositionalSpec(name: "DIR", isOptional: true)], options: [.pool, .json],
      examples: [
        .init(text: "For people", line: "gnomon status --pool /srv/pool"),
        .init(text: "For programs", line: "gnomon status --pool /srv/pool --json"),
      ])
  ) { run in
    let status = try run.withDaemon(positional: run.arguments.positionals.first) { try $0.status() }
    run.show(status) { text(of: status) }
    return .ok
  }

  private static func text(of status: Status) -> String {
    var list = PropertyList()
    list.add("pool", status.directory)
    list.add("version", status.version)
    list.add("process", "\(status.pid), up \(duration(status.uptimeSeconds))")
    for listener in status.listeners { list.add("listens", listener) }
    list.add("reactors", "\(status.reactors)")
    list.add("connections", "\(status.connections)")
    let memory = status.memory
    list.add(
      "memory",
      "\(ByteSize(rawValue: memory.residentBytes)) (maps up to \(ByteSize(rawValue: memory.mapBytes)))")
    let catalog = status.catalog
    list.add("map changes", "\(catalog.pendingChanges) pending, \(catalog.commitErrors) commits failed")
    list.add("refused", "\(catalog.refusals) for want of room")
    var volumes = Table(
      [.init(title: "VOLUME"), .init(title: "STATE"), .init(title: "CONNECTIONS", alignment: .right)]
        + ioColumns)
    for volume in status.volumes {
      volumes.add([volume.name, volume.state.rawValue, "\(volume.connections)"] + cells(of: volume.io))
    }
    var stores = Table([
      .init(title: "STORE"), .init(title: "STATE"), .init(title: "USED", alignment: .right),
      .init(title: "FREE", alignment: .right), .init(title: "ERRORS", alignment: .right),
    ])
    for store in status.stores {
      stores.add([
        store.name, state(store.state, store.connection), "\(ByteSize(rawValue: store.usedBytes))",
        "\(ByteSize(rawValue: store.freeBytes))", "\(store.errors.total)",
      ])
    }
    return list.text + "\n" + volumes.text + "\n" + stores.text
  }

  private static let ioColumns = [
    "READS", "READ", "WRITES", "WRITTEN", "FLUSHES", "TRIMS", "ZEROES", "ERRORS",
  ]
  .map { Table.Column(title: $0, alignment: .right) }

  private static func cells(of io: IOCounters) -> [String] {
    [
      "\(io.reads)", "\(ByteSize(rawValue: io.readBytes))", "\(io.writes)",
      "\(ByteSize(rawValue: io.writtenBytes))", "\(io.flushes)", "\(io.trims)", "\(io.zeroes)",
      "\(io.errors)",
    ]
  }

  /// `3 d 4 h`, `5 min 6 s`: the two largest units.
  static func duration(_ seconds: UInt64) -> String {
    let parts = [
      ("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("min", seconds / 60 % 60), ("s", seconds % 60),
    ]
    let shown = parts.drop { $0.1 == 0 }.prefix(2)
    return shown.isEmpty ? "0 s" : shown.map { "\($0.1) \($0.0)" }.joined(separator: " ")
  }
}
