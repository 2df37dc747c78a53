import NBDWire

/// What a server still owes over a connection that is not used any more. Once it has answered every request
/// that changes something, it can not carry out any of them later.
///
/// It takes what arrives on the connection in pieces of any size, and keeps nothing of it.
struct OwedAnswers {
  /// Bytes of data behind the head of the answer, if it is no error.
  private var payloads: [UInt64: UInt64] = [:]
  /// Ranges that unanswered requests change, by the requests' cookies.
  private var changes: [UInt64: Range<UInt64>] = [:]
  private var bytesToSkip: UInt64
  /// The beginning of a head whose rest has not arrived.
  private var head: [UInt8] = []

  /// - Parameter payloadLeft: bytes of data of an answer whose head was taken before.
  init(payloadLeft: Int = 0) {
    bytesToSkip = UInt64(payloadLeft)
  }

  /// Adds a request that the server may have.
  mutating func add(_ request: borrowing RemoteRequest, cookie: UInt64) {
    payloads[cookie] = request.kind == .read ? request.length : 0
    if request.changes { changes[cookie] = request.range }
  }

  /// Whether nothing is left that could be changed late.
  var isSettled: Bool { changes.isEmpty }

  /// What could be changed late.
  var ranges: [Range<UInt64>] { Array(changes.values) }

  /// Takes what has arrived.
  ///
  /// - Returns: false if it is no answer that is owed: then nothing that follows can be trusted.
  mutating func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = unsafe bytes[...]
    while unsafe !rest.isEmpty {
      if bytesToSkip > 0 {
        let count = unsafe min(bytesToSkip, UInt64(rest.count))
        unsafe rest = rest.dropFirst(Int(count))
        bytesToSkip -= count
        continue
      }
      let missing = SimpleReply.size - head.count
      unsafe head += rest.prefix(missing)
      unsafe rest = rest.dropFirst(missing)
      guard head.count == SimpleReply.size else { return true }
      let reply = unsafe head.withUnsafeBytes { unsafe SimpleReply.decode($0.baseAddress!) }
      head.removeAll(keepingCapacity: true)
      guard let reply, let payload = payloads.removeValue(forKey: reply.cookie) else { return false }
      if reply.error == 0 { bytesToSkip = payload }
      changes[reply.cookie] = nil
    }
    return true
  }
}
