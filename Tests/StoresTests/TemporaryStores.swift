import Catalog
import ExtentMap
import Glibc
import Platform
import Primitives
import Stores

/// A folder for one test, removed with everything in it afterwards.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/gnomon-stores-XXXXXX".utf8CString)
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

let poolID = UUID128(high: 0x1111, low: 0x2222)

func record(
  _ id: UInt8, at path: String, size: UInt64 = 8 << 20, cache: CacheMode = .direct, kind: StoreKind = .file
) -> StoreRecord {
  StoreRecord(
    id: StoreID(rawValue: id), uuid: UUID128(high: 9, low: UInt64(id)), name: "s\(id)", kind: kind,
    path: path,
    sizeBytes: size, tier: 1, cache: cache)
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

/// The content of a file, or a part of it.
func content(_ path: String, _ count: Int = 2 << 20, at offset: UInt64 = 0) throws -> [UInt8] {
  try FileDescriptor.open(path, O_RDONLY).readBytes(count, at: offset)
}

/// Size and checksum of a file; nil if it can not be read.
func fingerprint(_ path: String) -> [UInt64]? {
  guard let bytes = try? content(path, 256 << 20) else { return nil }
  return unsafe bytes.withUnsafeBytes { unsafe [UInt64($0.count), UInt64(CRC32C.checksum(of: $0))] }
}

func overwrite(_ path: String, _ bytes: [UInt8], at offset: UInt64) throws {
  try FileDescriptor.open(path, O_RDWR).writeBytes(bytes, at: offset)
}
