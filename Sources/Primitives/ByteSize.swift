/// A number of bytes as people write it: `512`, `64K`, `10G`, `10GiB`, `1.5T`.
///
/// K, M, G, T and P are powers of 1024, with or without `iB` or `B`, in either case: the units that
/// nbd-client, qemu-img and fio use.
public struct ByteSize: RawRepresentable, Hashable, Comparable, Sendable {
  /// Bytes.
  public let rawValue: UInt64

  /// That many bytes.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// Parses a size; nil if it is not one, is negative, is not a whole number of bytes or does not fit 63
  /// bits.
  public init?(parsing text: String) {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard !digits.isEmpty, let shift = Self.shift(of: text.dropFirst(digits.count)) else { return nil }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, let whole = UInt64(parts[0]) else { return nil }
    let scaled = whole.multipliedReportingOverflow(by: 1 << shift)
    guard !scaled.overflow else { return nil }
    var total = scaled.partialValue
    if parts.count == 2 {
      guard let numerator = UInt64(parts[1]), parts[1].count <= 6 else { return nil }
      let denominator = (0..<parts[1].count).reduce(UInt64(1)) { power, _ in power * 10 }
      let product = numerator.multipliedFullWidth(by: 1 << shift)
      guard product.high < denominator else { return nil }
      let (fraction, remainder) = denominator.dividingFullWidth(product)
      guard remainder == 0 else { return nil }
      let sum = total.addingReportingOverflow(fraction)
      guard !sum.overflow else { return nil }
      total = sum.partialValue
    }
    guard total <= UInt64(Int64.max) else { return nil }
    rawValue = total
  }

  private static func shift(of suffix: Substring) -> UInt64? {
    let units: [Character: UInt64] = ["k": 10, "m": 20, "g": 30, "t": 40, "p": 50]
    var rest = suffix.lowercased()[...]
    var shift: UInt64 = 0
    if let first = rest.first, let unit = units[first] {
      shift = unit
      rest = rest.dropFirst()
      if rest.first == "i" {
        rest = rest.dropFirst()
        guard rest == "b" else { return nil }
      }
    }
    return rest.isEmpty || rest == "b" ? shift : nil
  }

  /// Orders by number of bytes.
  public static func < (left: ByteSize, right: ByteSize) -> Bool {
    left.rawValue < right.rawValue
  }
}

extension ByteSize: CustomStringConvertible {
  /// The size in the largest unit that shows it in at most one decimal, for example `1.5 GiB`.
  public var description: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    while unit + 1 < units.count, rawValue >> UInt64(10 * (unit + 1)) > 0 { unit += 1 }
    let whole = rawValue >> UInt64(10 * unit)
    guard unit > 0 else { return "\(whole) B" }
    let tenths = ((rawValue >> UInt64(10 * (unit - 1))) & 1023) * 10 / 1024
    return tenths == 0 ? "\(whole) \(units[unit])" : "\(whole).\(tenths) \(units[unit])"
  }
}
