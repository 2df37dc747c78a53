public import Primitives

/// A slot that the map no longer refers to.
public struct RetiredSlot: Hashable, Sendable {
  /// The store that it belongs to.
  public var store: StoreID
  /// Its number, in units of `slotBytes` from the store's data offset.
  public var slot: UInt64
  /// Bytes of the slot: the volume's extent size.
  public var slotBytes: UInt64

  /// A slot to be given up.
  public init(store: StoreID, slot: UInt64, slotBytes: UInt64) {
    self.store = store
    self.slot = slot
    self.slotBytes = slotBytes
  }

  /// Neighbouring slots together, as ranges of bytes from the store's data offset: what is given back in one
  /// call.
  public static func runs(
    of slots: [RetiredSlot]
  ) -> [(store: StoreID, start: UInt64, length: UInt64)] {
    var runs: [(store: StoreID, start: UInt64, length: UInt64)] = []
    for slot in slots.sorted(by: { ($0.store, $0.start) < ($1.store, $1.start) }) {
      if let last = runs.last, last.store == slot.store, last.start + last.length == slot.start {
        runs[runs.count - 1].length += slot.slotBytes
      } else {
        runs.append((slot.store, slot.start, slot.slotBytes))
      }
    }
    return runs
  }

  private var start: UInt64 { slot * slotBytes }
}
