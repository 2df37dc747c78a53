/// A one-time event between threads: `wait` returns once `raise` has been called.
public final class Signal: Sendable {
  private let event: EventFD

  public init() throws(SystemError) {
    event = try EventFD()
  }

  public func raise() {
    event.signal()
  }

  public func wait() {
    event.wait()
  }

  /// - Returns: false if it has not been raised within `seconds`.
  public func wait(seconds: UInt64) -> Bool {
    event.wait(milliseconds: Int32(clamping: min(seconds, UInt64(Int32.max)) * 1000))
  }
}
