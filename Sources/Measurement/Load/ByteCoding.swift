/// Writes numbers one after the other, little-endian.
public struct ByteWriter: Sendable {
  /// What was written.
  public private(set) var bytes: [UInt8] = []

  /// Nothing is written yet.
  public init() {}

  /// Adds a number.
  public mutating func append(_ number: some FixedWidthInteger) {
    for place in 0..<(number.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * place))) }
  }
}

/// Reads what a `ByteWriter` wrote.
public struct ByteReader: Sendable {
  private var rest: ArraySlice<UInt8>

  /// Begins with the first byte.
  public init(_ bytes: [UInt8]) {
    rest = bytes[...]
  }

  /// Whether all was read.
  public var isAtEnd: Bool { rest.isEmpty }

  /// The next number; nil if there are not enough bytes.
  public mutating func take<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
    let count = Number.bitWidth / 8
    guard rest.count >= count else { return nil }
    var number: Number = 0
    for byte in rest.prefix(count).reversed() { number = number << 8 | Number(truncatingIfNeeded: byte) }
    rest = rest.dropFirst(count)
    return number
  }
}
