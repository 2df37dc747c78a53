import Primitives
import Testing

@testable import Shadowing

@Suite struct FastTierTests {
  /// Against an array that is kept in order.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func whatIsFinishedLeavesFirstThenTheLeastRecentlyTouched(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var tier = FastTier(capacity: 20)
    var model: [UInt32] = []
    for request in 1...5000 as ClosedRange<UInt32> {
      let extent = UInt32(random.below(60))
      let isFinished = random.chance(4)
      #expect(tier.contains(extent) == model.contains(extent))
      if let ready = tier.touch(extent, request: request, at: 0, isFinished: isFinished) {
        #expect(ready == UInt64(extent))
        model.removeAll { $0 == extent }
        model.insert(extent, at: isFinished ? model.count : 0)
      } else {
        let departure = tier.add(extent, request: request, at: 0, readyMicroseconds: UInt64(extent))
        let expected = model.count == 20 ? model.removeLast() : nil
        #expect(departure?.extent == expected)
        model.insert(extent, at: 0)
      }
      try #require(tier.count == model.count)
    }
  }

  @Test func onlyWhatLeavesInItsTurnSaysHowLongItStayed() {
    var tier = FastTier(capacity: 2)
    var departures = [(1, 1), (2, 2), (3, 9)].map { extent, request in
      tier.add(extent, request: request, at: 0, readyMicroseconds: 0)
    }
    _ = tier.touch(3, request: 10, at: 0, isFinished: true)
    departures.append(tier.add(4, request: 11, at: 0, readyMicroseconds: 0))
    #expect(departures == [nil, nil, .init(extent: 1, idleRequests: 8), .init(extent: 3, idleRequests: nil)])
  }
}

@Suite struct CopyLedgerTests {
  /// Whatever is expected of the copies: if none pays, the loss is bounded.
  @Test func lossesAreBounded() {
    var ledger = CopyLedger(capacity: 100_000, copyCost: 2)
    var copies = 0
    for _ in 0..<100_000 {
      ledger.addRequest()
      if ledger.grantCopy() {
        ledger.addCopy()
        copies += 1
      }
    }
    // The credit, and after that one in 32.
    #expect(copies > 128)
    #expect(copies < 100_000 / 32 + 2000)
  }

  @Test func copiesThatPayAreNeverRefused() {
    var ledger = CopyLedger(capacity: 100, copyCost: 2)
    for request in 0..<10_000 {
      ledger.addRequest()
      if request % 3 == 0 {
        let isGranted = ledger.grantCopy()
        #expect(isGranted)
        ledger.addCopy()
      } else {
        ledger.addHit()
      }
    }
  }

  @Test func gainsAreNotSavedUp() {
    var ledger = CopyLedger(capacity: 1000, copyCost: 2)
    for _ in 0..<100_000 { ledger.addHit() }
    #expect(ledger.balance == 0)
    for _ in 0..<129 { ledger.addCopy() }
    let isGranted = ledger.grantCopy()
    #expect(!isGranted)
  }
}
