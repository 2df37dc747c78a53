/// Reads the fields of one option's data; every step checks what is left.
struct OptionReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  var remaining: Int { bytes.count - position }

  /// The next big-endian number, nil if the data ends before it does.
  mutating func next<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Number? {
    let size = MemoryLayout<Number>.size
    guard remaining >= size else { return nil }
    var value: Number = 0
    for byte in bytes[position..<position + size] {
      value = value << 8 | Number(byte)
    }
    position += size
    return value
  }

  /// The next string of `length` bytes.
  ///
  /// nil if the data ends before it does or it breaks a rule of proto.md "Conventions": UTF-8, no NUL,
  /// at most 4096 bytes.
  mutating func nextString(length: UInt32) -> String? {
    guard length <= NBDLimits.stringBytesMax, Int(length) <= remaining else { return nil }
    let slice = bytes[position..<position + Int(length)]
    position += Int(length)
    guard !slice.contains(0) else { return nil }
    return String(validating: slice, as: UTF8.self)
  }

  /// A 32-bit length and a string of that length.
  mutating func nextCountedString() -> String? {
    guard let length = next(UInt32.self) else { return nil }
    return nextString(length: length)
  }
}

extension [UInt8] {
  /// Appends a number in network byte order.
  mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
    var shift = value.bitWidth
    while shift > 0 {
      shift -= 8
      append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }
}
