/// A 128-bit identity, written as `8-4-4-4-12` hexadecimal digits.
@frozen
public struct UUID128: Hashable, Sendable {
  /// The first eight bytes as written, the first digit most significant.
  public let high: UInt64
  /// The last eight bytes as written.
  public let low: UInt64

  /// An identity from its two halves.
  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A random identity (version 4 of RFC 9562) out of 128 random bits, of which it keeps 122.
  public init(randomHigh: UInt64, randomLow: UInt64) {
    high = randomHigh & ~0xf000 | 0x4000
    low = randomLow & ~(3 << 62) | (2 << 62)
  }

  /// Parses the written form; nil if it is not one.
  public init?(_ text: String) {
    let digits = text.split(separator: "-", omittingEmptySubsequences: false)
    guard digits.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
    let hex = digits.joined()
    guard hex.utf8.allSatisfy({ UInt8(ascii: "0") <= $0 && $0 != UInt8(ascii: "+") }),
      let high = UInt64(hex.prefix(16), radix: 16), let low = UInt64(hex.suffix(16), radix: 16)
    else { return nil }
    self.high = high
    self.low = low
  }
}

extension UUID128: CustomStringConvertible {
  /// The written form, in lower case.
  public var description: String {
    func padded(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    let hex = Array(padded(high) + padded(low))
    let cuts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
    return cuts.map { String(hex[$0]) }.joined(separator: "-")
  }
}
