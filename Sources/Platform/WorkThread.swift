import Synchronization

/// A thread that does one piece of work after the other, in the order in which they were given.
///
/// For work that blocks (disk, database) and must not disturb a reactor or a cooperative thread.
public final class WorkThread: Sendable {
  private struct State {
    var work: [@Sendable () -> Void] = []
    var isStopping = false
  }

  private let state: SharedState
  private let thread: NativeThread

  private final class SharedState: Sendable {
    let value = Mutex(State())
    let event: EventFD

    init() throws(SystemError) {
      event = try EventFD()
    }

    func run() {
      while true {
        event.take()
        let (work, isStopping) = value.withLock { state in
          let taken = state.work
          state.work = []
          return (taken, state.isStopping)
        }
        for body in work { body() }
        if isStopping { return }
      }
    }
  }

  /// Starts the thread; `name` is shown by ps and perf (15 characters at most).
  public init(name: String) throws(SystemError) {
    let state = try SharedState()
    self.state = state
    thread = try NativeThread(name: name) { state.run() }
  }

  /// Has `body` run after everything given before it.
  public func async(_ body: @escaping @Sendable () -> Void) {
    state.value.withLock { $0.work.append(body) }
    state.event.signal()
  }

  /// Runs `body` on the thread and suspends until it has returned.
  public func perform<Value: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
      async {
        do throws(Failure) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  /// Does what has been given so far, then ends the thread.
  public func stop() {
    end()
    thread.join()
  }

  /// Likewise, without waiting for it: `done` is the last that it does.
  public func stop(_ done: @escaping @Sendable () -> Void) {
    async(done)
    end()
  }

  private func end() {
    state.value.withLock { $0.isStopping = true }
    state.event.signal()
  }
}
