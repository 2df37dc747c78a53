import Glibc

/// The connections of one listener, so that one can give way when there is one too many.
///
/// A client may take its time over a request, but not so that others find no room: then the connection
/// that has gone longest without a complete request is shut. One that is being answered is left alone.
struct OpenConnections {
  private struct Entry {
    let socket: Int32
    /// When it was opened or last had its answer, counted in such events.
    var turn: UInt64
    var isBusy = false
  }

  /// Connections that are let be.
  let limit: Int
  private var entries: [UInt: Entry] = [:]
  private var turn: UInt64 = 0

  /// No connection is open.
  init(limit: Int) {
    self.limit = limit
  }

  /// A client has come; whoever gives way to it is shut, and will be reported as closed.
  mutating func opened(_ connection: UInt, socket: Int32) {
    if entries.count >= limit {
      let idle = entries.values.filter { !$0.isBusy }
      if let oldest = idle.min(by: { $0.turn < $1.turn }) { shutdown(oldest.socket, Int32(SHUT_RDWR)) }
    }
    turn += 1
    entries[connection] = Entry(socket: socket, turn: turn)
  }

  /// The connection is about to be gone, with its socket.
  mutating func closed(_ connection: UInt) {
    entries[connection] = nil
  }

  /// A complete request is here.
  mutating func began(_ connection: UInt) {
    entries[connection]?.isBusy = true
  }

  /// A request is over, answered or not.
  mutating func ended(_ connection: UInt) {
    turn += 1
    entries[connection]?.isBusy = false
    entries[connection]?.turn = turn
  }
}
