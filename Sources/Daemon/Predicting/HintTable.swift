import Primitives

/// What somebody has said will be read, and when.
struct Hint: Sendable, Equatable {
  let number: Int
  let volume: VolumeID
  /// Bytes of the volume.
  let range: Range<UInt64>
  /// From when to when, in seconds since 1970.
  let seconds: Range<Int64>
}

/// The hints that have not expired. Bounded.
struct HintTable: Sendable {
  /// Hints at a time.
  static let countMax = 256
  /// How far ahead a hint may begin, and for how long it may hold, in seconds.
  static let secondsMax: Int64 = 366 * 86_400

  private(set) var hints: [Hint] = []
  private var nextNumber = 1

  /// Takes a hint.
  ///
  /// - Parameters:
  ///   - start: when it begins; nil: now.
  ///   - now: the time, in seconds since 1970.
  /// - Throws: `invalid` if it is in the past or too far ahead, `conflict` if there are too many.
  mutating func add(
    _ volume: VolumeID, _ range: Range<UInt64>, from start: Int64?, for duration: Int64, at now: Int64
  ) throws(GnomonError) -> Hint {
    expire(at: now)
    let from = start ?? now
    guard from >= now else {
      throw GnomonError(.invalid, "the hint begins in the past", remedy: "leave the time out to begin now")
    }
    guard duration > 0, duration <= Self.secondsMax, from - now <= Self.secondsMax else {
      throw GnomonError(
        .invalid, "the hint is for a time that is too long or too far ahead",
        cause: "it may begin within 366 days, and hold for 1 second to 366 days")
    }
    guard hints.count < Self.countMax else {
      throw GnomonError(
        .conflict, "there are \(Self.countMax) hints already", remedy: "delete some: see `gnomon hint list`")
    }
    let hint = Hint(number: nextNumber, volume: volume, range: range, seconds: from..<from + duration)
    nextNumber += 1
    hints.append(hint)
    return hint
  }

  /// - Returns: false if there is none of that number.
  mutating func remove(_ number: Int) -> Bool {
    guard let index = hints.firstIndex(where: { $0.number == number }) else { return false }
    hints.remove(at: index)
    return true
  }

  /// Forgets those that are over.
  mutating func expire(at now: Int64) {
    hints.removeAll { $0.seconds.upperBound <= now }
  }

  /// Those that hold now.
  func active(at now: Int64) -> [Hint] { hints.filter { $0.seconds.contains(now) } }
}
