import Synchronization

/// What the thread that predicts and those who ask it share.
final class PredictionShared: Sendable {
  /// As of a moment ago.
  let state = Mutex(PredictionState())
  let decisions = Mutex(DecisionLog())
  let hints = Mutex(HintTable())
}
