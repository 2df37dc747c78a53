/// Logarithms and decay without calls into the mathematical library: a few nanoseconds each, and the same
/// everywhere.
enum Scale {
  /// 0 for what is below 1, then 1 + ⌊log₂⌋, at most `bound`.
  static func bits(_ value: Float, below bound: Int) -> Int {
    guard value >= 1 else { return 0 }
    return min(Int(value.exponent) + 1, bound)
  }

  /// The same for integers.
  static func bits(_ value: UInt64, below bound: Int) -> Int {
    min(64 - value.leadingZeroBitCount, bound)
  }

  /// About 2^(−age): exact at whole numbers, where it also begins with the right slope, for counts that fade
  /// in many small steps; a cubic between them, less than 0.1 % off. 0 from 2^(−32) on.
  static func decay(_ age: Float) -> Float {
    guard age < 32 else { return 0 }
    let whole = age.rounded(.down)
    let power = Float(bitPattern: UInt32(127 - Int32(whole)) << 23)
    let rest = age - whole
    return power * (1 + rest * (-0.693_147_2 + rest * (0.240_226_5 - rest * 0.047_079_3)))
  }

  /// A number from 1 on as one of 255 steps of the logarithm, eight to a doubling; 0 for what is below.
  static func level(_ value: Float) -> UInt8 {
    guard value >= 1 else { return 0 }
    // The leading bits of the significand as a linear stand-in for the logarithm's rest.
    return UInt8(min((Float(value.exponent) + value.significand - 1) * 8 + 1.5, 255))
  }

  /// The number that a step stands for, at most 5 % from what was told.
  static func value(ofLevel level: UInt8) -> Float {
    guard level > 0 else { return 0 }
    let (doublings, rest) = (level - 1).quotientAndRemainder(dividingBy: 8)
    return Float(UInt32(1) << UInt32(doublings)) * (1 + Float(rest) / 8)
  }
}
