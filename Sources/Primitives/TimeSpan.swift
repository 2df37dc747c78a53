/// A length of time as people write it: `90s`, `30m`, `2h`, `1d`; a number alone is seconds.
public struct TimeSpan: Hashable, Sendable {
  /// Its length.
  public let seconds: UInt64

  /// What is allowed, for error messages.
  public static let hint = "write a time like 90s, 30m, 2h or 1d"

  /// That many seconds.
  public init(seconds: UInt64) {
    self.seconds = seconds
  }

  /// Parses a time; nil if it is none, or one of more than ten thousand years.
  public init?(parsing text: String) {
    let units: [String: UInt64] = ["": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400]
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = UInt64(digits), count <= 315_576_000_000,
      let unit = units[String(text.dropFirst(digits.count))]
    else { return nil }
    seconds = count * unit
  }
}

extension TimeSpan: CustomStringConvertible {
  /// In the largest unit that divides it: `30m`.
  public var description: String {
    for (unit, name) in [(UInt64(86_400), "d"), (3600, "h"), (60, "m")]
    where seconds >= unit && seconds % unit == 0 {
      return "\(seconds / unit)\(name)"
    }
    return "\(seconds)s"
  }
}
