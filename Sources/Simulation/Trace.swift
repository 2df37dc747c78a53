/// The fingerprint of everything that happened, and, if somebody asks for it, the end of the story in words.
struct Trace {
  /// FNV-1a over all events and results.
  private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  /// Whether events are kept in words: that takes time.
  let isKept: Bool
  private var lines: [String] = []

  /// Lines kept; a failure shows them all.
  static let linesMax = 4000

  init(isKept: Bool) {
    self.isKept = isKept
  }

  mutating func fold(_ value: UInt64) {
    digest = (digest ^ value) &* 0x100_0000_01b3
  }

  mutating func note(_ event: Event) {
    fold(event.time)
    fold(event.detail)
    for index in 0..<event.label.utf8CodeUnitCount { unsafe fold(UInt64(event.label.utf8Start[index])) }
    if isKept { keep("\(event.time / 1000) µs  \(event.label) \(event.detail)") }
  }

  mutating func say(_ text: @autoclosure () -> String) {
    if isKept { keep("          " + text()) }
  }

  private mutating func keep(_ line: String) {
    if lines.count >= 2 * Self.linesMax { lines.removeFirst(Self.linesMax) }
    lines.append(line)
  }

  /// The last lines.
  func last(_ count: Int) -> [String] { lines.suffix(count) }
}
