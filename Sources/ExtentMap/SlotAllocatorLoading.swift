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
    let sizeClass = Self.sizeClass(of: slotBytes)
    var taken = 0
    var index = 0
    while index < entries.count {
      let start = index
      let quick = unsafe takeQuickly(entries, from: &index, store, sizeClass)
      didTake(slots: quick, sizeClass)
      taken += quick
      guard index < entries.count else { break }
      // The first slot of a zone, the last one, a conflict, or nothing of ours.
      let entry = unsafe MapEntry(rawValue: entries[index])
      assert(index >= start && entry.isMapped && entry.store == store)
      if markUsed(slot: entry.slot, slotBytes: slotBytes) {
        taken += 1
      } else {
        onConflict(index)
      }
      index += 1
    }
    return taken
  }

  /// Takes slots of zones that are dedicated to the size already, up to the first entry that needs more.
  ///
  /// - Returns: how many; the caller accounts for them.
  private mutating func takeQuickly(
    _ entries: UnsafeBufferPointer<UInt64>, from index: inout Int, _ store: StoreID, _ sizeClass: Int
  ) -> Int {
    var taken = 0
    var next = index
    // The last zone may be short, so it is left to the caller.
    let wholeZones = zones.count - 1
    let slotsPerZone = 1 << Int(Self.zoneShift - Self.slotShift(ofClass: sizeClass))
    unsafe zones.withUnsafeMutableBufferPointer { zones in
      while next < entries.count {
        let entry = unsafe MapEntry(rawValue: entries[next])
        if entry.isMapped, entry.store == store {
          let (zone, slot) = Self.place(of: entry.slot, sizeClass)
          guard zone < wholeZones, unsafe zones[zone].sizeClass == sizeClass,
            unsafe zones[zone].used < slotsPerZone - 1, unsafe zones[zone].set(slot, &bitmaps)
          else { break }
          taken += 1
        }
        next += 1
      }
    }
    index = next
    return taken
  }
}
