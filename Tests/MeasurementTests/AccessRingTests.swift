import Measurement
import Primitives
import Synchronization
import Testing

private func record(_ number: UInt64, _ kind: AccessRecord.Kind = .read) -> AccessRecord {
  AccessRecord(
    kind, of: VolumeID(rawValue: UInt32(truncatingIfNeeded: number) | 1 << 31), offset: number << 40 | number,
    length: number % 70_000 + 1, microseconds: number * 3)
}

@Suite struct AccessRingTests {
  @Test(arguments: [AccessRecord.Kind.read, .write, .cache]) func recordsComeOutAsTheyWentIn(
    _ kind: AccessRecord.Kind
  ) {
    let ring = AccessRing(capacity: 8)
    var taken: [AccessRecord] = []
    ring.append(record(5, kind))
    ring.take(8, into: &taken)
    #expect(taken == [record(5, kind)])
    #expect(taken[0].offset == 5 << 40 | 5)
  }

  @Test func longRequestsCountAsTheLongestThatThereIs() {
    let long = AccessRecord(.cache, of: VolumeID(rawValue: 1), offset: 0, length: 1 << 40, microseconds: 0)
    #expect(long.length == AccessRecord.lengthMax)
    let ring = AccessRing(capacity: 1)
    var taken: [AccessRecord] = []
    ring.append(long)
    ring.take(1, into: &taken)
    #expect(taken == [long])
  }

  @Test func whatFindsNoRoomIsDroppedAndCounted() {
    let ring = AccessRing(capacity: 4)
    for number in 0..<7 { ring.append(record(UInt64(number))) }
    #expect(ring.droppedCount == 3)
    var taken: [AccessRecord] = []
    ring.take(3, into: &taken)
    ring.append(record(9))
    ring.take(100, into: &taken)
    #expect(taken == [record(0), record(1), record(2), record(3), record(9)])
  }

  @Test func ringOfNothingIsOff() {
    let ring = AccessRing(capacity: 0)
    #expect(!ring.isOn)
    #expect(AccessRing(capacity: 2).isOn)
  }

  private final class Flag: Sendable {
    let isRaised = Atomic(false)
  }

  /// Two threads: nothing is torn, nothing comes twice, and what is missing was counted.
  @Test func twoThreadsAgree() async {
    let ring = AccessRing(capacity: 64)
    let count: UInt64 = 200_000
    let done = Flag()
    async let reading = Task.detached { () -> [AccessRecord] in
      var taken: [AccessRecord] = []
      while true {
        let isLast = done.isRaised.load(ordering: .acquiring)
        ring.take(64, into: &taken)
        if isLast { return taken }
      }
    }.value
    await Task.detached {
      for number in 1...count { ring.append(record(number)) }
      done.isRaised.store(true, ordering: .releasing)
    }.value
    let found = await reading
    #expect(UInt64(found.count) + ring.droppedCount == count)
    var last: UInt64 = 0
    for access in found {
      let number = access.microseconds / 3
      if number <= last || access != record(number) {
        Issue.record("record \(number) after \(last) is wrong")
        return
      }
      last = number
    }
  }
}
