public import Primitives

extension SlotAllocator {
  /// Takes the slots of all entries that lie in one store, while the map is loaded.
  ///
  /// - Parameters:
  ///   - entries: words of an extent map (`MapEntry`); unmapped ones and those in other stores are skipped.
  ///   - store: the store whose slots these are.
  ///   - slotBytes: the volume's extent size.
  ///   - onConflict: told the index of each entry whose slot is in use already, lies beyond the end, or is
  ///     in a zone of another size.
  /// - Returns: how many slots were taken.
  @discardableResult
  public mutating func markUsed(
    entries: UnsafeBufferPointer<UInt64>, store: StoreID, slotBytes: UInt64, onConflict: (Int) -> Void
  ) -> Int {
    var taken = 0
    for index in 0..<entries.count {
      let entry = unsafe MapEntry(rawValue: entries[index])
      guard entry.isMapped, entry.store == store else { continue }
      if markUsed(slot: entry.slot, slotBytes: slotBytes) {
        taken += 1
      } else {
        onConflict(index)
      }
    }
    return taken
  }
}
