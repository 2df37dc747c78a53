public import NBDWire
import Primitives

/// The bytes that answer a finished operation: a header, then a payload that lies where it was read.
@frozen
@safe
public struct EncodedReply {
  /// Bytes of the header.
  public var headerBytes: Int
  /// The payload, in the operation's buffer; nil if there is none.
  public var payload: UnsafeMutableRawPointer?
  /// Bytes of the payload.
  public var payloadBytes: Int
}

extension Redirector {
  /// Encodes the reply, or the chunk of one, that a finished operation stands for.
  ///
  /// - Parameter header: room for `ReplyFormat.replyBytesMax` bytes.
  public func encodeReply(
    to index: UInt32, _ format: ReplyFormat, into header: UnsafeMutableRawPointer
  ) -> EncodedReply {
    let op = unsafe operation(index)
    let cookie = unsafe op.pointee.cookie
    let offset = unsafe op.pointee.offset
    let length = unsafe op.pointee.length
    let isPiece = unsafe op.pointee.flags.contains(.piece)
    let requestOffset = unsafe isPiece ? operation(op.pointee.parent).pointee.offset : offset
    var reply = unsafe EncodedReply(headerBytes: 0, payload: nil, payloadBytes: 0)
    if let error = unsafe op.pointee.error {
      reply.headerBytes = unsafe format.error(
        into: header, cookie: cookie, requestOffset: requestOffset, error)
      return reply
    }
    switch unsafe op.pointee.kind {
    case .answer where unsafe op.pointee.buffer != nil:
      unsafe reply.payload = op.pointee.buffer
      reply.payloadBytes = Int(length)
    case .read where unsafe op.pointee.flags.contains(.answeredInPieces):
      reply.headerBytes = unsafe format.success(into: header, cookie: cookie, requestOffset: requestOffset)
    case .read where unsafe op.pointee.flags.contains(.hole):
      reply.headerBytes = unsafe format.hole(
        into: header, cookie: cookie, requestOffset: requestOffset, offset: offset, length: UInt32(length),
        done: !isPiece)
    case .read:
      reply.headerBytes = unsafe format.readHeader(
        into: header, cookie: cookie, requestOffset: requestOffset, offset: offset, length: UInt32(length),
        done: !isPiece)
      unsafe reply.payload = op.pointee.payload
      reply.payloadBytes = Int(length)
    default:
      reply.headerBytes = unsafe format.success(into: header, cookie: cookie, requestOffset: requestOffset)
    }
    return reply
  }
}
