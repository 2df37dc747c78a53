import Synchronization

/// Does something again and again, with pauses in between, until somebody stops it.
final class Recurrence: Sendable {
  private struct State {
    var isStopping = false
    var nap: Task<Void, Never>?
    var task: Task<Void, Never>?
  }

  private let state = Mutex(State())

  /// Begins. Called once.
  ///
  /// - Parameter body: does it once, and says how many milliseconds to pause then.
  func start(_ body: @escaping @Sendable () -> Int) {
    let task = Task { await run(body) }
    state.withLock { $0.task = task }
  }

  /// Ends the pause, and does it no more; then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    let task = state.withLock { state in
      state.isStopping = true
      state.nap?.cancel()
      return state.task
    }
    Task {
      await task?.value
      done()
    }
  }

  private func run(_ body: @Sendable () -> Int) async {
    while true {
      let milliseconds = body()
      let nap = Task<Void, Never> { try? await Task.sleep(for: .milliseconds(milliseconds)) }
      let isStopping = state.withLock { state in
        state.nap = nap
        return state.isStopping
      }
      if isStopping { return nap.cancel() }
      await nap.value
    }
  }
}
