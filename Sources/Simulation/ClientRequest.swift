import NBDWire
import Primitives
import Redirection

/// A request of a client.
struct ClientRequest {
  var command: Command
  var volume: Int
  var offset: UInt64 = 0
  var length: UInt64 = 0
  var flags: CommandFlags = []
  /// What a request that breaks a rule must be answered with.
  var refusal: NBDErrno?
  /// Sent instead of the command's number.
  var commandNumber: UInt16?

  var cells: Range<Int> {
    precondition((offset | length) % Model.cellBytes == 0, "the model knows whole cells only")
    return Int(offset / Model.cellBytes)..<Int((offset + length) / Model.cellBytes)
  }

  var isDurable: Bool { flags.contains(.forceUnitAccess) }

  func header(cookie: UInt64, isExtended: Bool) -> RequestHeader {
    var flags = flags
    if isExtended && command == .write { flags.insert(.payloadLength) }
    return RequestHeader(
      flags: flags, commandNumber: commandNumber ?? command.rawValue, cookie: cookie, offset: offset,
      length: length)
  }
}

/// A request that has not been answered yet.
struct PendingRequest {
  let request: ClientRequest
  /// When it was sent.
  let issue: Int
  /// Of a change: its number in the model.
  var change: Int?
  var error: NBDErrno?
  /// Cells of a read that have been answered.
  var covered: [Bool] = []
  /// Whether its success promises anything.
  var isPromise = true
}
