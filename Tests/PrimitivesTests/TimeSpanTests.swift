import Primitives
import Testing

/// Lengths of time as people write them.
@Suite struct TimeSpanTests {
  @Test(
    arguments: [
      ("90", 90, "90s"), ("90s", 90, "90s"), ("30m", 1800, "30m"), ("30min", 1800, "30m"), ("2h", 7200, "2h"),
      ("48h", 172_800, "2d"), ("1d", 86_400, "1d"), ("0", 0, "0s"),
    ] as [(String, UInt64, String)])
  func spansAreRead(text: String, seconds: UInt64, written: String) {
    #expect(TimeSpan(parsing: text)?.seconds == seconds)
    #expect(TimeSpan(seconds: seconds).description == written)
  }

  @Test(arguments: ["", "m", "-1m", "1.5h", "1 h", "1w", "1M", "99999999999999999999", "315576000001d", "٣s"])
  func othersAreNot(text: String) {
    #expect(TimeSpan(parsing: text) == nil)
  }
}
