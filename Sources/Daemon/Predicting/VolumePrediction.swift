import ExtentMap
import Primitives
import Redirection
import Shadowing

/// What prediction knows of one volume. It belongs to the thread that predicts.
final class VolumePrediction {
  let volume: Volume
  var loop: FastLoop
  /// Its shadows, by extent.
  private(set) var own: [UInt32: OwnShadow] = [:]
  /// The latest access: times of different reactors may go back a little.
  var lastMicroseconds: UInt64 = 0

  /// A guess, until copies have been made.
  private static let copyMicrosecondsAtFirst: UInt64 = 20_000
  /// What a copy costs the slow tier: a request, and one for each MiB, as `gnomon replay` counts.
  private static func copyCost(_ extentBytes: UInt64) -> Float { 1 + Float(extentBytes) / Float(1 << 20) }
  /// Bytes of a shadow in `own`.
  private static let shadowBytes = MemoryLayout<OwnShadow>.stride + MemoryLayout<UInt32>.stride

  /// - Parameters:
  ///   - capacity: extents that the fast tier has room for.
  ///   - recordsMax: extents whose accesses are remembered.
  init(_ volume: Volume, capacity: Int, recordsMax: Int) {
    self.volume = volume
    let count = UInt32(clamping: volume.map.extentCount)
    loop = FastLoop(
      capacity: max(1, min(capacity, Int(count))), extentCount: count,
      settings: .init(
        extentBytes: UInt32(volume.extentBytes), copyCost: Self.copyCost(volume.extentBytes),
        copyMicroseconds: Self.copyMicrosecondsAtFirst, recordsMax: recordsMax))
  }

  /// Bytes of memory.
  var bytes: Int { loop.bytes + own.capacity * Self.shadowBytes }

  /// Bytes of shadows that are there or on their way.
  var ownBytes: UInt64 { UInt64(own.count) * volume.extentBytes }

  /// Bytes of those of them that are to stay.
  var wantedBytes: UInt64 { UInt64(loop.tier.count) * volume.extentBytes }

  /// The shadow of an extent.
  subscript(extent: UInt32) -> OwnShadow? {
    get { own[extent] }
    set { own[extent] = newValue }
  }

  /// Whether the slow tier alone has an extent, but for a shadow that prediction has made.
  func isSlow(_ extent: UInt64, _ fast: FastStores) -> Bool {
    extent < volume.map.extentCount
      && (own[UInt32(truncatingIfNeeded: extent)] != nil || fast.lack(extent, of: volume.map.view))
  }

  /// A copy has become readable so long after the request that led to it.
  func learnCopy(microseconds: UInt64) {
    // Smoothed over eight copies.
    loop.copyMicroseconds = (loop.copyMicroseconds * 7 + microseconds) / 8
  }
}
