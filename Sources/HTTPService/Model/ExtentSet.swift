public import Primitives

/// Extents of a volume as people name them: `all`, or numbers and ranges like `7,9-12`.
public struct ExtentSet: Sendable, Equatable {
  /// Ascending, without overlaps; nil: all.
  public let ranges: [ClosedRange<UInt64>]?

  /// Parts that a text may have.
  public static let partsMax = 256

  /// All extents.
  public static let all = ExtentSet(ranges: nil)

  private init(ranges: [ClosedRange<UInt64>]?) {
    self.ranges = ranges
  }

  /// Parses the text.
  public init(parsing text: String) throws(GnomonError) {
    if text == "all" {
      self = .all
      return
    }
    let parts = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard parts.count <= Self.partsMax else {
      throw GnomonError(
        .invalid, "too many extents are named", remedy: "name at most \(Self.partsMax) ranges")
    }
    var ranges: [ClosedRange<UInt64>] = []
    for part in parts {
      guard let range = Self.range(Substring(part)) else {
        throw GnomonError(
          .invalid, "extents can not be read from '\(text.prefix(64))'",
          remedy: "write 'all', or numbers and ranges like 7,9-12")
      }
      ranges.append(range)
    }
    self.init(ranges: Self.merged(ranges))
  }

  private static func range(_ text: Substring) -> ClosedRange<UInt64>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    func number(_ text: Substring) -> UInt64? {
      text.allSatisfy { $0.isASCII && $0.isNumber } ? UInt64(text) : nil
    }
    switch ends.count {
    case 1: return number(ends[0]).map { $0...$0 }
    case 2:
      guard let first = number(ends[0]), let last = number(ends[1]), first <= last else { return nil }
      return first...last
    default: return nil
    }
  }

  private static func merged(_ ranges: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
    var result: [ClosedRange<UInt64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// What is left of it from an extent on, as text.
  public func text(from next: UInt64, of count: UInt64) throws(GnomonError) -> String {
    try ranges(of: count).filter { $0.upperBound > next }
      .map { "\(max($0.lowerBound, next))-\($0.upperBound - 1)" }.joined(separator: ",")
  }

  /// The extents of a volume that has so many.
  ///
  /// - Throws: `invalid` if one is beyond the end.
  public func ranges(of count: UInt64) throws(GnomonError) -> [Range<UInt64>] {
    guard let ranges else { return [0..<count] }
    guard let last = ranges.last?.upperBound, last < count else {
      throw GnomonError(
        .invalid, "the volume has no extent \(ranges.last?.upperBound ?? 0)",
        cause: "it has \(count)", remedy: "name extents from 0 to \(count - 1)")
    }
    return ranges.map { $0.lowerBound..<$0.upperBound + 1 }
  }
}
