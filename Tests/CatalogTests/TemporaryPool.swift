import ExtentMap
import Glibc
import Platform
import Primitives

@testable import Catalog

/// A folder for one test, removed with everything in it afterwards.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/gnomon-catalog-XXXXXX".utf8CString)
    let made = unsafe mkdtemp(&template)
    precondition(unsafe made != nil)
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    run("rm", "-rf", path)
  }
}

/// Runs a program; true if it exits with 0.
@discardableResult
func run(_ arguments: String...) -> Bool {
  var process = pid_t()
  var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
  defer { for index in arguments.indices { unsafe free(argv[index]) } }
  guard unsafe posix_spawnp(&process, argv[0]!, nil, nil, &argv, environ) == 0 else { return false }
  var status: Int32 = 0
  while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
  return status == 0
}

/// A pool's catalog in a temporary folder, with what it should contain.
final class TemporaryPool {
  let folder = TemporaryFolder()
  var directory: String { folder.path + "/pool" }
  static let identity = PoolRecord(uuid: UUID128(high: 1, low: 2), createdSeconds: 1_700_000_000)

  init(volumes: [VolumeRecord] = [volume(1, extents: 10_000)]) throws {
    try Catalog.create(at: directory, pool: Self.identity, stores: [Self.store(0)], volumes: volumes)
  }

  static func store(_ id: UInt8, name: String? = nil) -> StoreRecord {
    StoreRecord(
      id: StoreID(rawValue: id), uuid: UUID128(high: 7, low: UInt64(id)), name: name ?? "store\(id)",
      path: "/nowhere/\(id)", sizeBytes: 1 << 30, tier: 1, region: "eu", zone: "a", node: "n1", cost: 0.25,
      cache: .page)
  }

  static func volume(_ id: UInt32, extents: UInt64, name: String? = nil) -> VolumeRecord {
    VolumeRecord(
      id: VolumeID(rawValue: id), uuid: UUID128(high: 8, low: UInt64(id)), name: name ?? "vol\(id)",
      sizeBytes: extents << 20)
  }

  func open() throws -> Catalog { try Catalog(opening: directory) }

  /// A copy of the folder as it is on disk now: what a crash at this moment leaves.
  func crashed() -> CrashedPool {
    let copy = TemporaryFolder()
    precondition(run("cp", "-a", directory, copy.path + "/pool"))
    return CrashedPool(folder: copy)
  }

  /// Runs SQL on the closed catalog, as a fault would.
  func tamper(_ sql: String) throws {
    let database = try Database(path: directory + "/catalog.db", flags: 2)
    try database.execute(sql)
  }
}

struct CrashedPool {
  let folder: TemporaryFolder
  var directory: String { folder.path + "/pool" }
}

extension Catalog {
  func append(_ deltas: [MapDelta]) throws {
    unsafe try deltas.withUnsafeBufferPointer { unsafe try append($0) }
  }

  func map(of volume: VolumeRecord) throws -> [UInt64] {
    var entries = [UInt64](repeating: 0, count: Int(volume.extentCount))
    unsafe try entries.withUnsafeMutableBufferPointer { unsafe try loadMap(of: volume, into: $0) }
    return entries
  }
}

/// The error that `body` throws, if it is one for people.
func gnomonError(_ body: () throws -> Void) -> GnomonError? {
  do {
    try body()
    return nil
  } catch {
    return error as? GnomonError
  }
}

/// A reproducible source of random numbers.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}

/// Random changes to a volume's map: some extents are mapped, some unmapped.
func randomDeltas(_ count: Int, in volume: VolumeRecord, _ random: inout SplitMix) -> [MapDelta] {
  (0..<count).map { _ in
    let extent = UInt64.random(in: 0..<volume.extentCount, using: &random)
    let isMapped = UInt64.random(in: 0..<4, using: &random) > 0
    let slot = UInt64.random(in: 0..<1 << 30, using: &random)
    let entry = isMapped ? MapEntry(store: StoreID(rawValue: 0), slot: slot) : .unmapped
    return MapDelta(volume: volume.id, extent: extent, entry: entry)
  }
}

func apply(_ deltas: [MapDelta], to map: inout [UInt64]) {
  for delta in deltas { map[Int(delta.extent)] = delta.entry.rawValue }
}
