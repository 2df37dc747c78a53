/// Writes one chunk of a BLOCK_STATUS reply: the descriptors of one metadata context.
///
/// Append runs from the start of the request on, in order and without gaps, until `append` returns false;
/// then `finish`. Neighbouring runs of equal status become one descriptor. The rules that it keeps (proto.md
/// "NBD_REPLY_TYPE_BLOCK_STATUS"):
///
/// - There is at least one descriptor, and none has length 0.
/// - All descriptors but the last lie within the request. The last may go beyond it, unless the client asked
///   for one descriptor: then it is cut at the end of the request.
/// - Descriptors may cover less than the request, when the room is used up.
/// - A compact descriptor has 32 bits for its length: a longer run is cut at a multiple of the granularity.
///
/// ```
/// compact   │ chunk header │ context u32 │             { length u32 │ status u32 } …
/// extended  │ chunk header │ context u32 │ count u32 │ { length u64 │ status u64 } …
/// ```
///
/// The memory must outlive the builder: that is what `unsafe` at its initialiser vouches for.
@safe
public struct BlockStatusBuilder {
  private let format: ReplyFormat
  private let bytes: UnsafeMutableRawPointer
  private let cookie: UInt64
  private let requestOffset: UInt64
  private let requestLength: UInt64
  private let contextID: UInt32
  private let isOne: Bool
  /// Bytes; the longest descriptor.
  private let runBytesMax: UInt64
  private let descriptorsMax: Int

  /// Bytes of the request's range that the runs so far cover, or more if the last one goes beyond it.
  public private(set) var coveredBytes: UInt64 = 0
  /// Descriptors so far, with the one that may still grow.
  public var descriptorCount: Int { written + (pendingLength > 0 ? 1 : 0) }

  private var written = 0
  private var pendingLength: UInt64 = 0
  private var pendingStatus: UInt32 = 0

  /// Bytes that the smallest chunk takes.
  public static func bytesMin(_ format: ReplyFormat) -> Int {
    bytes(format, descriptors: 1)
  }

  /// Bytes that a chunk with so many descriptors takes.
  public static func bytes(_ format: ReplyFormat, descriptors: Int) -> Int {
    format.headerBytes + fixedBytes(format) + descriptors * descriptorBytes(format)
  }

  private static func fixedBytes(_ format: ReplyFormat) -> Int { format == .extended ? 8 : 4 }
  private static func descriptorBytes(_ format: ReplyFormat) -> Int { format == .extended ? 16 : 8 }

  /// A chunk that begins at `bytes`, where `capacityBytes` bytes are free.
  ///
  /// - Parameters:
  ///   - format: not `simple`, which has no form for a status.
  ///   - capacityBytes: at least `bytesMin`.
  ///   - request: the accepted BLOCK_STATUS request.
  ///   - contextID: as `Negotiated.contexts` has it.
  ///   - granularityBytes: a power of two, at least the minimum block size.
  public init(
    format: ReplyFormat, into bytes: UnsafeMutableRawPointer, capacityBytes: Int, request: RequestHeader,
    contextID: UInt32, granularityBytes: UInt32 = 512
  ) {
    precondition(format.hasChunks, "a block status needs structured replies")
    precondition(capacityBytes >= Self.bytesMin(format), "no room for one descriptor")
    self.format = format
    unsafe self.bytes = unsafe bytes
    cookie = request.cookie
    requestOffset = request.offset
    requestLength = request.length
    self.contextID = contextID
    isOne = request.flags.contains(.requestOne)
    let widest = format == .extended ? UInt64.max : UInt64(UInt32.max)
    runBytesMax = widest & ~(UInt64(max(granularityBytes, 1)) - 1)
    let room = (capacityBytes - format.headerBytes - Self.fixedBytes(format)) / Self.descriptorBytes(format)
    descriptorsMax = isOne ? 1 : room
  }

  /// Adds the next run. Returns whether another run is wanted: false means that the request is covered or
  /// that there is no room, and that the rest of this run may have been left out.
  public mutating func append(length: UInt64, status: UInt32) -> Bool {
    var rest = length
    if isOne { rest = min(rest, requestLength - min(coveredBytes, requestLength)) }
    while rest > 0, coveredBytes < requestLength {
      if pendingLength > 0, status != pendingStatus || pendingLength == runBytesMax {
        guard written + 1 < descriptorsMax else { return false }
        flush()
      }
      pendingStatus = status
      let piece = min(rest, runBytesMax - pendingLength)
      pendingLength += piece
      rest -= piece
      let (sum, overflow) = coveredBytes.addingReportingOverflow(piece)
      coveredBytes = overflow ? .max : sum
    }
    return coveredBytes < requestLength
  }

  /// Completes the chunk and returns its size in bytes.
  ///
  /// `done`: this is the last context of the reply. If no run was appended the whole request gets status 0,
  /// which proto.md "NBD_CMD_BLOCK_STATUS" allows at any time.
  public mutating func finish(done: Bool) -> Int {
    if descriptorCount == 0 { _ = append(length: requestLength, status: 0) }
    flush()
    let size = Self.bytes(format, descriptors: written)
    let type = format == .extended ? ChunkType.blockStatusExtended : ChunkType.blockStatus
    let header = unsafe format.chunk(
      type, into: bytes, cookie: cookie, requestOffset: requestOffset,
      payloadBytes: UInt64(size - format.headerBytes), done: done)
    unsafe bytes.storeBytes(of: contextID.bigEndian, toByteOffset: header, as: UInt32.self)
    if format == .extended {
      unsafe bytes.storeBytes(of: UInt32(written).bigEndian, toByteOffset: header + 4, as: UInt32.self)
    }
    return size
  }

  /// Writes the descriptor that can no longer grow.
  private mutating func flush() {
    guard pendingLength > 0 else { return }
    let place = Self.bytes(format, descriptors: written)
    if format == .extended {
      unsafe bytes.storeBytes(of: pendingLength.bigEndian, toByteOffset: place, as: UInt64.self)
      unsafe bytes.storeBytes(of: UInt64(pendingStatus).bigEndian, toByteOffset: place + 8, as: UInt64.self)
    } else {
      unsafe bytes.storeBytes(
        of: UInt32(pendingLength).bigEndian, toByteOffset: place, as: UInt32.self)
      unsafe bytes.storeBytes(of: pendingStatus.bigEndian, toByteOffset: place + 4, as: UInt32.self)
    }
    written += 1
    pendingLength = 0
  }
}
