import Primitives
import Shadowing

/// An extent of a volume.
struct ExtentKey: Hashable {
  var volume: VolumeID
  var extent: UInt64

  init(_ move: Move) {
    self.init(move.volume, move.extent)
  }

  init(_ volume: VolumeID, _ extent: UInt64) {
    self.volume = volume
    self.extent = extent
  }
}

/// What is remembered of moves that have ended: why extents lie where they do, and which are left alone for a
/// while because they could not be moved. Bounded: the oldest is forgotten.
struct MoveMemory {
  private struct Rest {
    var failures: Int
    var untilNanoseconds: UInt64
  }

  /// Extents of which is remembered why they were moved.
  static let reasonsMax = 1 << 14
  /// Extents that are left alone.
  static let restsMax = 1 << 12
  private static let firstRestNanoseconds: UInt64 = 250_000_000
  private static let doublingsMax = 8

  private var reasons: [ExtentKey: String] = [:]
  private var order: [ExtentKey] = []
  private var nextOut = 0
  private var rests: [ExtentKey: Rest] = [:]

  /// A move has ended.
  mutating func note(_ end: MoveCourse.End, of move: Move, at nanoseconds: UInt64) {
    let key = ExtentKey(move)
    switch end {
    case .done:
      rests[key] = nil
      remember("\(move.kind.rawValue): \(move.reason)", of: key)
    case .failed:
      let failures = (rests[key]?.failures ?? 0) + 1
      if rests.count >= Self.restsMax { rests.removeAll() }
      let rest = Self.firstRestNanoseconds << UInt64(min(failures - 1, Self.doublingsMax))
      rests[key] = Rest(failures: failures, untilNanoseconds: nanoseconds + rest)
    case .gone, .cancelled:
      break
    }
  }

  /// Whether an extent is left alone, because it could not be moved: the longer, the more often that was so.
  func rests(_ key: ExtentKey, at nanoseconds: UInt64) -> Bool {
    rests[key].map { nanoseconds < $0.untilNanoseconds } ?? false
  }

  /// By extent.
  func reasons(of volume: VolumeID) -> [UInt64: String] {
    var result: [UInt64: String] = [:]
    for (key, reason) in reasons where key.volume == volume { result[key.extent] = reason }
    return result
  }

  private mutating func remember(_ reason: String, of key: ExtentKey) {
    guard reasons.updateValue(reason, forKey: key) == nil else { return }
    if order.count < Self.reasonsMax {
      order.append(key)
    } else {
      reasons[order[nextOut]] = nil
      order[nextOut] = key
      nextOut = (nextOut + 1) % order.count
    }
  }
}
