import Primitives

/// One step of moving copies of an extent between stores. A step is short; who moves takes one after the
/// other.
public enum MoveStep: UInt8, Sendable {
  /// The store gets a shadow that lacks everything, or the one that it has begins to be filled. The extent's
  /// `ShadowLine` has been made, and nobody else moves copies of the extent.
  case begin
  /// Copies what the shadow lacks, while the extent is in use, up to `CopyStride.bytesPerStep`.
  case fill
  /// Copies what is left while writers wait, if that is little; then the shadow is synced.
  case settle
  /// The synced shadow becomes the live copy, and the live copy a synced shadow.
  case promote
  /// Stops filling the shadow: it keeps what it has got, and lacks the rest.
  case leave
  /// Drops the shadow.
  case drop
}

/// How a step of a move has ended.
public enum MoveOutcome: Sendable, Equatable {
  /// Done: the next one can be taken.
  case done
  /// There is more to fill.
  case more
  /// There was no room to begin; later there will be.
  case busy
  /// The extent is not mapped, or has no such shadow, any more.
  case gone
  /// The shadow, or its store, is not in a state for this.
  case refused
  /// The extent has as many copies as it can have.
  case crowded
  /// The store has no room.
  case full
  /// What was written to the store was not what is read from it.
  case corrupt
  /// A store can not be read or written: errno.
  case failed(Int32)
}

/// How long the transfers are by which an extent is copied.
public enum CopyStride: Sendable {
  /// As long as it takes for a store to be fast.
  case long
  /// So short that clients' requests need not wait long behind one.
  case short

  /// Bytes of one transfer; at least one part.
  var bytesPerUnit: UInt64 {
    switch self {
    case .long: 256 << 10
    case .short: 64 << 10
    }
  }

  /// Bytes that one step copies at most.
  var bytesPerStep: UInt64 { 4 * bytesPerUnit }
}

/// What an operation knows of the step that it takes.
struct MoveState {
  var step = MoveStep.begin
  /// The store of the shadow.
  var target = StoreID(rawValue: 0)
  var phase = FillPhase.reading
  /// Holds the gate while it fills.
  var isLastPass = false
  /// The parts under way.
  var parts: UInt64 = 0
  /// The bytes of these parts, from the start of the extent.
  var start: UInt64 = 0
  var bytes: UInt64 = 0
  var outcome = MoveOutcome.done
  var stride = CopyStride.long

  /// Parts that are copied while writers wait.
  static let lastPassPartsMax = 4
  /// Nanoseconds that a store may take for one transfer of these.
  static let lastPassPatience: UInt64 = 1_000_000_000
}

enum FillPhase: UInt8 {
  case reading, writing, verifying
}
