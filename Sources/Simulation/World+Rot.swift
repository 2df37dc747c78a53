import ExtentMap
import Primitives
import Redirection
import Shadowing

/// Disks that forget: bits of copies at rest change, and nobody is told.
extension World {
  /// A copy of a sealed extent.
  private struct SealedCopy {
    let volume: Int
    let extent: UInt64
    let address: MapEntry
    let isLive: Bool
  }

  /// Seals everything, lets bits flip, and has it all scrubbed; power may go meanwhile. What has a good copy
  /// is healed, what has none is reported and left as it is.
  func sufferRot() throws {
    faults = .none
    isRotten = true
    defer { isRotten = false }
    try makeCopies()
    try sealEverything()
    let backup = backup()
    for copy in sealedCopies() where generator.chance(3) {
      let store = stores[Int(copy.address.store.rawValue)]
      let bytes = volumes[copy.volume].extentBytes
      let offset = Int(store.dataOffset + copy.address.slot * bytes) + generator.below(Int(bytes))
      store.disk.flipBit(offset)
      trace.say("bit flips in store \(copy.address.store.rawValue) at \(offset)")
    }
    if generator.chance(2) {
      for copy in sealedCopies() { lookAfter(copy.volume, copy.extent) }
      for _ in 0..<generator.below(400) where try !step() { break }
      try crash()
      trace.say("power went while it was scrubbed")
    }
    try scrubAndCompare()
    // What no copy could heal is put right by other means: the rest of the world must be as it was.
    let unhealed = Set(scrubFindings.filter { !$0.finding.isHealed }.map { "\($0.volume):\($0.extent)" })
    for copy in sealedCopies() where unhealed.contains("\(copy.volume):\(copy.extent)") {
      let store = stores[Int(copy.address.store.rawValue)]
      let content = backup["\(copy.volume):\(copy.extent)"]!
      let start = Int(store.dataOffset) + Int(copy.address.slot) * content.count
      unsafe content.withUnsafeBytes { bytes in
        unsafe store.disk.write(start, bytes.count, from: bytes.baseAddress!, durably: true)
      }
    }
    isRotten = false
    try verifyAtRest()
  }

  /// Makes shadows equal that lack something, and some more of them.
  private func makeCopies() throws {
    for volume in volumes {
      for extent in 0..<UInt64(volume.committed.count) {
        guard let copies = ExtentCopies(volume.map.view, extent),
          (try? volume.map.makeShadowLine(extent)) != nil
        else { continue }
        for shadow in copies.shadows where !shadow.isSynced {
          begin(Move(.resync, volume: volume.record.id, extent: extent, to: shadow.store, reason: ""))
          try settle()
        }
        let target = StoreID(rawValue: UInt8(generator.below(stores.count)))
        guard !copies.stores.contains(target) else { continue }
        begin(Move(.replicate, volume: volume.record.id, extent: extent, to: target, reason: ""))
        try settle()
      }
    }
  }

  private func sealEverything() throws {
    try endActivity()
    // To watch it, to seal it, and to wait for room for the change.
    for _ in 0..<2 + volumes.reduce(0, { $0 + $1.committed.count }) {
      for (number, extent) in unsealed() { lookAfter(number, extent) }
      try settle()
      try flushAndSettle(volume: 0)
    }
    try verifyAtRest()
    guard let (number, extent) = unsealed().first else { return }
    throw BrokenPromise("extent \(number):\(extent) is at rest, and can not be sealed")
  }

  private func unsealed() -> [(volume: Int, extent: UInt64)] {
    volumes.enumerated().flatMap { number, volume in
      let view = volume.map.view
      return (0..<UInt64(volume.committed.count))
        .filter { view.entry($0).isMapped && !view.seal($0).isSealed }.map { (number, $0) }
    }
  }

  /// What is sealed, with its copies that are believed to be equal.
  private func sealedCopies() -> [SealedCopy] {
    var copies: [SealedCopy] = []
    for (number, volume) in volumes.enumerated() {
      let view = volume.map.view
      for extent in 0..<UInt64(volume.committed.count) where view.seal(extent).isSealed {
        let entry = view.entry(extent)
        copies.append(SealedCopy(volume: number, extent: extent, address: entry.address, isLive: true))
        guard let line = view.shadows(of: extent, entry) else { continue }
        for shadow in 0..<ShadowLine.shadowsMax where line.isSynced(shadow) {
          let address = line.shadow(shadow).address
          copies.append(SealedCopy(volume: number, extent: extent, address: address, isLive: false))
        }
      }
    }
    return copies
  }

  /// What is sealed, by volume and extent.
  private func backup() -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for copy in sealedCopies() where copy.isLive {
      let volume = volumes[copy.volume]
      var content = [UInt8](repeating: 0, count: Int(volume.extentBytes))
      unsafe content.withUnsafeMutableBytes { unsafe read(copy.address, volume, into: $0.baseAddress!) }
      result["\(copy.volume):\(copy.extent)"] = content
    }
    return result
  }

  private func isGood(_ copy: SealedCopy) -> Bool {
    let volume = volumes[copy.volume]
    return checksum(of: copy.address, volume) == volume.map.view.seal(copy.extent).checksum
  }

  /// Scrubs everything, and compares what was found and done with what the disks held before.
  private func scrubAndCompare() throws {
    scrubFindings = []
    let lateBefore = redirectors.reduce(0) { $0 + $1.missedDeadlines.synchronizations }
    let groups = Dictionary(grouping: sealedCopies()) { "\($0.volume):\($0.extent)" }
    let before = groups.mapValues { copies in copies.map { (copy: $0, isGood: isGood($0)) } }
    for copies in groups.values.sorted(by: { ($0[0].volume, $0[0].extent) < ($1[0].volume, $1[0].extent) }) {
      lookAfter(copies[0].volume, copies[0].extent)
    }
    try settle()
    // A store that was late has lost its live copies to others, whoever scrubs.
    let isAnyLate = redirectors.reduce(0) { $0 + $1.missedDeadlines.synchronizations } > lateBefore
    for (name, copies) in before {
      let found = scrubFindings.filter { "\($0.volume):\($0.extent)" == name }
      let bad = copies.filter { !$0.isGood }
      guard Set(found.map(\.finding.store)) == Set(bad.map(\.copy.address.store)) else {
        throw BrokenPromise("of \(name) \(bad.count) copies are bad, and the scrub finds \(found.count)")
      }
      let isHealable = copies.contains {
        $0.isGood
          && ($0.copy.isLive || copies.first!.isGood
            || !stores[Int($0.copy.address.store.rawValue)].isVolatile)
      }
      for (copy, wasGood) in copies {
        let isGood = isGood(copy)
        guard isGood == (wasGood || isHealable) else {
          throw BrokenPromise("a copy of \(name) is \(isGood ? "good" : "bad") after the scrub")
        }
      }
      guard found.allSatisfy({ $0.finding.isHealed == isHealable }) else {
        throw BrokenPromise("the scrub of \(name) says what is not so: \(found)")
      }
      let (volume, extent) = (volumes[copies[0].copy.volume], copies[0].copy.extent)
      guard isAnyLate || volume.map.view.entry(extent).address == copies[0].copy.address else {
        throw BrokenPromise("the live copy of \(name) has moved for good")
      }
      figures.healed += isHealable ? bad.count : 0
    }
  }
}
