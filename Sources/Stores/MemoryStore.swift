import Glibc
public import Platform
public import Primitives

/// A store in memory: fast, and gone with the process, so it holds shadows only.
///
/// Callers keep reads and writes of overlapping ranges apart, as with any store.
public final class MemoryStore: Store {
  /// The store as the catalog describes it.
  public let record: StoreRecord
  /// Bytes for slots, in whole granules of 64 KiB.
  public let capacityBytes: UInt64
  /// Where the first slot begins, in bytes.
  public var dataOffset: UInt64 { 0 }
  /// False: what is written here is gone with the process.
  public var mayHoldLiveCopies: Bool { false }
  /// By copying.
  public var access: StoreAccess { .memory(self) }
  /// Pages that are given back read zero.
  public var capabilities: StoreCapabilities {
    StoreCapabilities(zeroRange: true, punchHole: true, preallocate: false)
  }
  private let memory: AlignedMemory

  /// Reserves the address space; memory is used as it is written.
  ///
  /// - Throws: `invalid` if the size is less than one granule; `system` if the kernel refuses.
  public init(_ record: StoreRecord) throws(GnomonError) {
    self.record = record
    capacityBytes = record.sizeBytes / StoreLayout.granuleBytes * StoreLayout.granuleBytes
    guard capacityBytes > 0 else {
      throw GnomonError(
        .invalid, "\(ByteSize(rawValue: record.sizeBytes)) is too small for store \(record.name)",
        remedy: "give it at least 64 KiB")
    }
    do {
      memory = try AlignedMemory(count: Int(capacityBytes), hugePages: true)
    } catch {
      throw GnomonError(.system, "store \(record.name) can not be made", cause: error.description)
    }
  }

  /// Copies a range into `buffer`.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) {
    precondition(offset + UInt64(buffer.count) <= capacityBytes)
    unsafe buffer.copyMemory(
      from: UnsafeRawBufferPointer(start: memory.base + Int(offset), count: buffer.count))
  }

  /// Copies `buffer` to a range.
  public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) {
    precondition(offset + UInt64(buffer.count) <= capacityBytes)
    guard let source = buffer.baseAddress else { return }
    unsafe (memory.base + Int(offset)).copyMemory(from: source, byteCount: buffer.count)
  }

  /// Frees the memory of a range of whole pages; it reads zero afterwards.
  public func clear(offset: UInt64, length: UInt64) {
    precondition(offset + length <= capacityBytes)
    memory.discard(offset: Int(offset), count: Int(length))
  }

  /// Frees the memory of a range; it reads zero afterwards.
  public func discard(offset: UInt64, length: UInt64) throws(SystemError) {
    clear(offset: offset, length: length)
  }

  /// Makes a range read zero.
  public func zero(offset: UInt64, length: UInt64) throws(SystemError) {
    clear(offset: offset, length: length)
  }

  /// Does nothing: nothing here is ever durable.
  public func synchronize() throws(SystemError) {}

  /// Does nothing: nobody else can reach it.
  public func unlock() {}
}
