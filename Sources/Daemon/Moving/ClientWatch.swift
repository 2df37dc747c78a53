import Measurement
import NBDService
import Redirection
import Shadowing
import Synchronization

/// Reads what reactors count of clients' requests, to see whether moves make them wait.
final class ClientWatch: Sendable {
  /// How clients fared in an interval.
  struct Look {
    /// See `ForegroundPace.observe`.
    var slowdown: Double?
    var seconds: Double
  }

  private struct State {
    var counts = StoreCounts()
    var nanoseconds: UInt64?
    var pace = ForegroundPace()
  }

  private let pool: Pool
  private let state = Mutex(State())

  /// Seconds of an interval: it ends as soon as it has enough requests, and without them all the same. A
  /// longer one would say more of this process, which did not get to run.
  private static let secondsMin = 0.1
  private static let secondsDue = 1.0
  private static let secondsMax = 5.0

  init(_ pool: Pool) {
    self.pool = pool
  }

  /// Looks, if it is time to.
  ///
  /// - Parameters:
  ///   - now: nanoseconds on a clock that does not jump.
  ///   - isMoving: whether anything is being moved.
  /// - Returns: nil if there is nothing to say yet.
  func look(at now: UInt64, isMoving: Bool) -> Look? {
    state.withLock { state in
      let seconds = state.nanoseconds.map { Double(now - min(now, $0)) / 1e9 }
      if let seconds, seconds < Self.secondsMin { return nil }
      var counts = StoreCounts()
      for reactor in pool.reactors { reactor.meters.readRequests(into: &counts) }
      let change = counts.since(state.counts)
      if let seconds, seconds < Self.secondsDue, change.succeeded < ForegroundPace.requestsMin { return nil }
      state.counts = counts
      state.nanoseconds = now
      guard let seconds, seconds <= Self.secondsMax else { return nil }
      let slowdown = state.pace.observe(change, seconds: seconds, isMoving: isMoving)
      return Look(slowdown: slowdown, seconds: seconds)
    }
  }
}
