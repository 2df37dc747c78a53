/// Takes the parameters of a test out of a fuzzer's input; an exhausted input gives zeros.
struct InputReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard !isAtEnd else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  /// A big-endian number of so many bytes.
  mutating func number(bytes count: Int) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<count { value = value << 8 | UInt64(byte()) }
    return value
  }

  /// A 64-bit number that is as often small as it is large.
  mutating func sizedNumber() -> UInt64 {
    number(bytes: 1 + Int(byte() % 8))
  }

  /// The next bytes, padded with zeros.
  mutating func take(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in byte() }
  }

  /// Everything that is left.
  mutating func rest() -> [UInt8] {
    defer { position = bytes.count }
    return Array(bytes[min(position, bytes.count)...])
  }
}

/// Lengths of the pieces in which a stream arrives, from a seed (xorshift).
struct Cuts {
  private var state: UInt64

  init(seed: UInt8) {
    state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
  }

  /// 1 to 32 bytes, or now and then far more.
  mutating func next() -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    let length = Int(state % 32) + 1
    return state >> 60 == 0 ? length * 64 : length
  }
}

/// Numbers as they travel.
func bigEndian(_ bytes: some Collection<UInt8>) -> UInt64 {
  bytes.reduce(0) { $0 << 8 | UInt64($1) }
}
