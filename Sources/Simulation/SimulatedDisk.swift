import CSQLite
import Primitives

/// The file system that holds the catalog: every file has a *live* image, which reads return, and a *durable*
/// one, which survives a crash. What was written since the last synchronization reaches the durable image
/// sector by sector, in any selection: that is how a power cut tears and reorders writes.
final class SimulatedDisk {
  /// Bytes that are written whole or not at all.
  static let sectorBytes = 512

  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case resize(Int)
  }

  final class File {
    var live: [UInt8] = []
    /// Nil until the file was synchronized for the first time: before, a crash may take its name too.
    var durable: [UInt8]?
    var pending: [Change] = []

    init() {}

    init(copying other: File) {
      live = other.live
      durable = other.durable
      pending = other.pending
    }
  }

  enum Failure: Int32 {
    /// Also once power has gone.
    case read, write, synchronize, full

    var code: Int32 {
      switch self {
      case .read: SQLITE_IOERR | 1 << 8
      case .write: SQLITE_IOERR | 3 << 8
      case .synchronize: SQLITE_IOERR | 4 << 8
      case .full: SQLITE_FULL
      }
    }
  }

  private(set) var files: [String: File] = [:]
  var generator: SeededGenerator
  var faults = Faults.none
  /// Accesses until power goes, in the middle of whatever is done then; nil for never.
  var accessesLeft: Int?
  /// Nothing is read, written or forgotten any more.
  private(set) var isOff = false
  /// Accesses so far, for the digest.
  private(set) var accessCount: UInt64 = 0

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
  }

  /// Another disk with the same content.
  init(copying other: SimulatedDisk) {
    generator = other.generator
    files = other.files.mapValues(File.init(copying:))
  }

  private enum Power {
    case on, failing, off
  }

  /// Counts an access. Power fails during one of them: what that one does is done in part at most.
  private func access() -> Power {
    if isOff { return .off }
    accessCount += 1
    guard let left = accessesLeft else { return .on }
    accessesLeft = left - 1
    if left > 0 { return .on }
    isOff = true
    return .failing
  }

  // MARK: What SQLite asks for

  func open(_ name: String, creating: Bool) -> File? {
    guard access() == .on else { return nil }
    if let file = files[name] { return file }
    guard creating else { return nil }
    let file = File()
    files[name] = file
    return file
  }

  func exists(_ name: String) -> Bool { files[name] != nil }

  func delete(_ name: String) -> Failure? {
    guard access() == .on else { return .write }
    files[name] = nil
    return nil
  }

  /// Copies what there is.
  ///
  /// - Returns: bytes copied; nil if the disk fails.
  func read(_ file: File, _ offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
    guard access() == .on, !generator.chance(10 * faults.catalogError) else { return nil }
    let count = max(0, min(buffer.count, file.live.count - offset))
    guard count > 0 else { return 0 }
    unsafe file.live.withUnsafeBytes { live in
      unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: live[offset..<offset + count]))
    }
    return count
  }

  func write(_ file: File, _ offset: Int, _ buffer: UnsafeRawBufferPointer) -> Failure? {
    let power = access()
    if power == .off { return .write }
    if power == .on && generator.chance(faults.catalogFull) { return .full }
    let hasFailed = power == .failing || generator.chance(faults.catalogError)
    // A write that fails may have happened in part.
    let count = hasFailed ? generator.below(buffer.count + 1) : buffer.count
    let bytes = unsafe [UInt8](buffer[..<count])
    Self.apply(.write(offset: offset, bytes: bytes), to: &file.live)
    file.pending.append(.write(offset: offset, bytes: bytes))
    return hasFailed ? .write : nil
  }

  func resize(_ file: File, to count: Int) -> Failure? {
    guard access() == .on else { return .write }
    if generator.chance(faults.catalogError) { return .write }
    Self.apply(.resize(count), to: &file.live)
    file.pending.append(.resize(count))
    return nil
  }

  func synchronize(_ file: File) -> Failure? {
    guard access() == .on else { return .synchronize }
    if generator.chance(faults.catalogError) {
      // Some of it is durable; some never will be, though it still reads.
      persistSome(of: file)
      file.pending = []
      return .synchronize
    }
    file.durable = file.live
    file.pending = []
    return nil
  }

  // MARK: Crash

  /// Nothing more happens on this disk before `crash()`.
  func turnOff() {
    isOff = true
    accessesLeft = nil
  }

  /// Power comes back: what was not synchronized has survived in part.
  func crash() {
    for name in files.keys.sorted() {
      let file = files[name]!
      persistSome(of: file)
      file.pending = []
      if let durable = file.durable { file.live = durable } else { files[name] = nil }
    }
    isOff = false
    accessesLeft = nil
  }

  private func persistSome(of file: File) {
    if file.pending.isEmpty { return }
    // All, nothing, or anything between: each is likely enough.
    let oneIn = [0, 1, 2, 8][generator.below(4)]
    var image = file.durable ?? []
    for change in file.pending {
      switch change {
      case .resize:
        if generator.chance(oneIn) { Self.apply(change, to: &image) }
      case .write(let offset, let bytes):
        var start = 0
        while start < bytes.count {
          let end = min(
            bytes.count, (offset + start) / Self.sectorBytes * Self.sectorBytes + Self.sectorBytes - offset)
          if generator.chance(oneIn) {
            Self.apply(.write(offset: offset + start, bytes: Array(bytes[start..<end])), to: &image)
          }
          start = end
        }
      }
    }
    if file.durable != nil || !image.isEmpty || generator.chance(2) { file.durable = image }
  }

  private static func apply(_ change: Change, to image: inout [UInt8]) {
    switch change {
    case .resize(let count):
      if count < image.count {
        image.removeLast(image.count - count)
      } else {
        image.append(contentsOf: repeatElement(0, count: count - image.count))
      }
    case .write(let offset, let bytes):
      if image.count < offset + bytes.count {
        image.append(contentsOf: repeatElement(0, count: offset + bytes.count - image.count))
      }
      unsafe image.withUnsafeMutableBytes { target in
        unsafe bytes.withUnsafeBytes { source in
          unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + source.count])
            .copyMemory(from: source)
        }
      }
    }
  }

  // MARK: Damage

  /// Flips a bit in a place that holds `word`, chosen at random.
  ///
  /// - Returns: false if no place in the file does.
  func damage(_ name: String, holding word: UInt64) -> Bool {
    guard let file = files[name] else { return false }
    var places: [Int] = []
    unsafe file.live.withUnsafeBytes { bytes in
      guard bytes.count >= 8 else { return }
      for offset in 0...(bytes.count - 8)
      where unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == word.littleEndian {
        // Before its content a page has pointers of SQLite's, which are under no checksum of ours.
        let page = offset & ~4095
        let content = Int(unsafe bytes[page + 5]) << 8 | Int(unsafe bytes[page + 6])
        if offset & 4095 >= content { places.append(offset) }
      }
    }
    guard !places.isEmpty else { return false }
    file.live[places[generator.below(places.count)]] ^= 1
    return true
  }
}
