import Synchronization

/// Lets one task through at a time, in the order of arrival.
///
/// An actor is entered again at every `await`. Where that must not happen, because what was checked before it
/// must still hold behind it, the whole operation passes a turnstile.
final class Turnstile: Sendable {
  private struct State {
    var isTaken = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Tasks that wait for their turn.
  var waitingCount: Int { state.withLock { $0.waiting.count } }

  /// Waits for its turn; `leave` must follow.
  func enter() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.isTaken {
          state.waiting.append(continuation)
          return false
        }
        state.isTaken = true
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  /// Lets the next one through.
  func leave() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      precondition(state.isTaken, "left without having entered")
      guard !state.waiting.isEmpty else {
        state.isTaken = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}
