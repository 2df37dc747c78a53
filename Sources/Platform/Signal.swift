/// A one-time event between threads: `wait` returns once `raise` has been called.
public final class Signal: Sendable {
  private let event: EventFD

  /// A signal that has not been raised.
  ///
  /// - Throws: EMFILE or ENFILE if there is no descriptor left.
  public init() throws(SystemError) {
    event = try EventFD()
  }

  /// Lets everybody go on who waits now or will. Further calls change nothing.
  public func raise() {
    event.signal()
  }

  /// Blocks until it has been raised.
  public func wait() {
    event.wait()
  }

  /// - Returns: false if it has not been raised within `seconds`.
  public func wait(seconds: UInt64) -> Bool {
    event.wait(milliseconds: Int32(clamping: min(seconds, UInt64(Int32.max)) * 1000))
  }

  /// - Returns: false if it has not been raised within so many milliseconds.
  public func wait(milliseconds: Int32) -> Bool {
    event.wait(milliseconds: milliseconds)
  }
}
