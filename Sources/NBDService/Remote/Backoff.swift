import Primitives

/// Times between attempts: none before the first, then doubling up to a bound, each drawn between half of it
/// and all, so that many clients of a server that has come back do not arrive at once.
struct Backoff: Sendable {
  private var generator: SeededGenerator
  private var milliseconds = 0

  static let firstMilliseconds = 50
  static let maxMilliseconds = 5000

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
  }

  /// How long to wait before the next attempt.
  mutating func next() -> Int {
    let bound = milliseconds
    milliseconds = min(max(Self.firstMilliseconds, milliseconds * 2), Self.maxMilliseconds)
    return bound == 0 ? 0 : bound / 2 + generator.below(bound / 2 + 1)
  }

  /// It went well for a while: begin from the start the next time.
  mutating func reset() {
    milliseconds = 0
  }
}
