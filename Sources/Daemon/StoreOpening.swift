import ExtentMap
import Platform
import Primitives
import Redirection
import Stores

/// Opens the stores of a pool. What can not be reached need not keep the rest from being served.
struct StoreOpening {
  let pool: UUID128
  let session: UUID128
  /// Names of stores to do without.
  let absentNames: [String]
  private static let log = Log("pool")

  /// - Throws: `notFound` if there is no store of a name to do without; why a store can not be opened.
  func open(_ records: [StoreRecord]) throws(GnomonError) -> [StoreID: any Store] {
    if let name = absentNames.first(where: { name in !records.contains { $0.name == name } }) {
      throw GnomonError(
        .notFound, "there is no store \(name) to do without",
        remedy: "name one of: " + records.map(\.name).joined(separator: ", "))
    }
    var stores: [StoreID: any Store] = [:]
    for record in records { stores[record.id] = try open(record) }
    return stores
  }

  private func open(_ record: StoreRecord) throws(GnomonError) -> any Store {
    if absentNames.contains(record.name) {
      Self.log.warning("a store is done without", ["store": record.name, "path": record.path])
      return AbsentStore(record)
    }
    do throws(GnomonError) {
      return try StoreFactory.open(record, pool: pool, session: session)
    } catch {
      if error.code == .unavailable,
        let store = try StoreFactory.openAway(record, pool: pool, session: session)
      {
        Self.log.warning(
          "a remote store can not be reached; it is used as soon as it can be",
          ["store": record.name, "uri": record.path, "cause": error])
        return store
      }
      throw GnomonError(
        error.code, error.message, cause: error.cause,
        remedy: [error.remedy, "serve what has other copies with --without \(record.name)"].compactMap { $0 }
          .joined(separator: "; or "))
    }
  }

  /// Says how many extents have no copy that can be read as long as stores are away.
  static func warnOfUnreachable(_ volumes: [Volume], _ stores: StoreTable) {
    for volume in volumes {
      let count = volume.map.unreachableCount { stores.isAway($0) }
      guard count > 0 else { continue }
      log.warning(
        "extents have no copy that can be reached now", ["volume": volume.name, "extents": count])
    }
  }
}

extension Store {
  /// Whether it could be opened, as far as this process knows.
  var isReached: Bool {
    switch access {
    case .file, .memory: true
    case .remote(let remote): remote.status.state == .connected
    case .absent: false
    }
  }
}
