import Platform

/// How far something is, on stderr: on a terminal one line that is written over, otherwise lines of a log, at
/// most one every two seconds and none twice.
struct ProgressLine {
  private let context: CommandContext
  private var last = ""
  private var nextNanoseconds: UInt64 = 0
  private static let logNanoseconds: UInt64 = 2_000_000_000

  init(_ context: CommandContext) {
    self.context = context
  }

  mutating func show(_ line: String) {
    if context.isTerminal { return context.errors.write("\r\(line)\u{1B}[K") }
    let now = MonotonicClock.nanoseconds()
    guard line != last, now >= nextNanoseconds else { return }
    context.errors.write(line + "\n")
    last = line
    nextNanoseconds = now + Self.logNanoseconds
  }

  /// It has ended: nothing is left on a terminal.
  func clear() {
    if context.isTerminal { context.errors.write("\r\u{1B}[K") }
  }
}
