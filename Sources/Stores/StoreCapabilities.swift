import Glibc
import NBDWire
import Platform

/// What a store's file system or device can do besides reading and writing.
public struct StoreCapabilities: Sendable, Equatable {
  /// A range can be made to read zero without writing zeros.
  public var zeroRange = false
  /// A range can be given back, and reads zero afterwards.
  public var punchHole = false
  /// Space for a range can be reserved.
  public var preallocate = false

  /// Where abilities are tried out, in bytes: between the labels and the first slot.
  public static let scratchOffset: UInt64 = 512 << 10
  static let scratchBytes = 64 << 10

  init(zeroRange: Bool, punchHole: Bool, preallocate: Bool) {
    self.zeroRange = zeroRange
    self.punchHole = punchHole
    self.preallocate = preallocate
  }

  /// Tries each on the scratch area. A call that succeeds but does not leave zeros counts as missing.
  init(probing descriptor: borrowing FileDescriptor) {
    let length = UInt64(Self.scratchBytes)
    let offset = Self.scratchOffset
    guard let buffer = try? AlignedMemory(count: Self.scratchBytes) else { return }
    let memory = unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: Self.scratchBytes)
    preallocate = (try? descriptor.reserve(offset: offset, length: length)) != nil
    zeroRange = unsafe Self.leavesZeros(descriptor, memory) { (descriptor) throws(SystemError) in
      try descriptor.zeroRange(offset: offset, length: length)
    }
    // Last, so that the area is left as a hole where that is possible.
    punchHole = unsafe Self.leavesZeros(descriptor, memory) { (descriptor) throws(SystemError) in
      try descriptor.punchHole(offset: offset, length: length)
    }
  }

  /// Tries what a server offers on the scratch area. What TRIM leaves is up to the server, so it never
  /// counts as a way to make zeros.
  init(probing connection: NBDConnection) {
    punchHole = connection.export.transmissionFlags.contains(.sendTrim)
    guard connection.export.transmissionFlags.contains(.sendWriteZeroes) else { return }
    let pattern = [UInt8](repeating: 0xa5, count: Self.scratchBytes)
    do throws(SystemError) {
      try connection.write(pattern, at: Self.scratchOffset)
      try connection.zero(offset: Self.scratchOffset, length: UInt64(Self.scratchBytes))
      let found = try connection.read(Self.scratchBytes, at: Self.scratchOffset)
      zeroRange = found.allSatisfy { $0 == 0 }
    } catch {
      zeroRange = false
    }
  }

  /// Whether `clear` turns a pattern on the scratch area into zeros.
  private static func leavesZeros(
    _ descriptor: borrowing FileDescriptor, _ memory: UnsafeMutableRawBufferPointer,
    _ clear: (borrowing FileDescriptor) throws(SystemError) -> Void
  ) -> Bool {
    do {
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xa5)
      unsafe try descriptor.write(UnsafeRawBufferPointer(memory), at: scratchOffset)
      try clear(descriptor)
      guard unsafe try descriptor.read(into: memory, at: scratchOffset) == memory.count else { return false }
      return unsafe memory.allSatisfy { $0 == 0 }
    } catch {
      return false
    }
  }
}
