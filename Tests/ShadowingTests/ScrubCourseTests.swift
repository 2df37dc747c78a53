import ExtentMap
import Platform
import Primitives
import Redirection
import Testing

@testable import Shadowing

private let live = StoreID(rawValue: 1)
private let first = StoreID(rawValue: 2)
private let second = StoreID(rawValue: 3)
/// The checksum of nothing, which is what a scan gives that has added nothing.
private let good = SealEntry(checksum: 0)
private let extentBytes: UInt64 = 65_536

/// What a store's copy is like when it is read.
private enum Copy {
  case good, bad, unreadable, unreachable
}

/// What was done, in words.
private struct Log {
  var steps: [String] = []
  var course: ScrubCourse
  var copies: [StoreID: Copy]

  init(
    _ copies: [StoreID: Copy], in store: StoreID? = nil, volatile: Set<StoreID> = [], sealed: SealEntry = good
  ) {
    self.copies = copies
    let shadows = copies.keys.filter { $0 != live }.sorted { $0.rawValue < $1.rawValue }
    course = ScrubCourse(
      ExtentCopies(
        volume: VolumeID(rawValue: 1), extent: 7, live: live,
        shadows: shadows.map { ExtentCopies.Shadow($0, isSynced: true) }),
      in: store, extentBytes: extentBytes, sealed: sealed
    ) { volatile.contains($0) }
  }

  /// Takes steps to the end; each copy that is written again is good.
  mutating func run(
    condemning: Bool = true, moving: (Move) -> MoveCourse.End = { _ in .done }
  ) -> ScrubCourse {
    while let step = course.next, steps.count < 100 {
      switch step {
      case .scan(var scan):
        steps.append("scan \(scan.store.rawValue)")
        scan.offset = extentBytes
        switch copies[scan.store]! {
        case .good: course.scanned(.read(scan))
        case .bad:
          scan.checksum.add(7)
          course.scanned(.read(scan))
        case .unreadable: course.scanned(.unreadable(5))
        case .unreachable: course.scanned(.unreachable(110))
        }
      case .condemn(let stores, let heir):
        steps.append("condemn \(stores.map { "\($0.rawValue)" }) for \(heir?.rawValue ?? 0)")
        course.condemned(condemning)
      case .move(let move):
        steps.append("\(move.kind) \(move.target.rawValue)")
        let end = moving(move)
        if end == .done { copies[move.target] = .good }
        course.moved(end)
      }
    }
    return course
  }
}

@Suite struct ScrubCourseTests {
  @Test func goodCopiesAreReadAndNothingElse() {
    var log = Log([live: .good, first: .good])
    let course = log.run()
    #expect(log.steps == ["scan 1", "scan 2"] && course.findings.isEmpty && course.copiesRead == 2)
  }

  @Test func aBadShadowIsWrittenAgainAndReadOnceMore() {
    var log = Log([live: .good, first: .bad, second: .good])
    let course = log.run()
    #expect(
      log.steps == ["scan 1", "scan 2", "scan 3", #"condemn ["2"] for 0"#, "resync 2", "scan 2"])
    #expect(course.findings == [ScrubCourse.Finding(store: first, isHealed: true)])
  }

  @Test func aBadLiveCopyGivesItsPlaceAndGetsItBack() {
    var log = Log([live: .bad, first: .good])
    let course = log.run()
    #expect(
      log.steps
        == ["scan 1", "scan 2", #"condemn ["1"] for 2"#, "resync 1", "scan 1", "promote 1"])
    #expect(course.findings.map(\.isHealed) == [true])
  }

  @Test func severalBadCopiesAreGivenUpAtOnce() {
    var log = Log([live: .bad, first: .unreadable, second: .good])
    let course = log.run()
    #expect(log.steps[3] == #"condemn ["1", "2"] for 3"#)
    #expect(course.findings.map(\.isHealed) == [true, true])
    #expect(course.findings.map(\.errno) == [nil, 5] && course.copiesRead == 2)
  }

  @Test func withoutAGoodCopyNothingIsChanged() {
    var log = Log([live: .bad, first: .bad])
    let course = log.run()
    #expect(log.steps == ["scan 1", "scan 2"])
    #expect(course.findings.allSatisfy { !$0.isHealed && $0.reason == "no copy holds what was sealed" })
  }

  @Test func aCopyInMemoryDoesNotBecomeTheLiveOne() {
    var log = Log([live: .bad, first: .good], volatile: [first])
    let course = log.run()
    #expect(log.steps == ["scan 1", "scan 2"])
    #expect(course.findings.map(\.reason) == ["the only good copy is in memory"])
    var other = Log([live: .bad, first: .good, second: .good], volatile: [first])
    #expect(other.run().findings.map(\.isHealed) == [true])
    #expect(other.steps[3] == #"condemn ["1"] for 3"#)
  }

  @Test func aStoreThatIsAwayIsLeftAlone() {
    var log = Log([live: .good, first: .unreachable])
    let course = log.run()
    #expect(log.steps == ["scan 1", "scan 2"])
    #expect(course.findings.map(\.errno) == [110] && !course.findings[0].isHealed)
    // It may be as good as ever: it is no reason to give another its place, or to leave a bad one as it is.
    var other = Log([live: .unreachable, first: .bad, second: .good])
    let found = other.run().findings
    #expect(other.steps[3...] == [#"condemn ["2"] for 0"#, "resync 2", "scan 2"])
    #expect(found.map(\.isHealed) == [false, true])
  }

  @Test func whatCanNotBeWrittenAgainIsSaid() {
    var log = Log([live: .bad, first: .good])
    let course = log.run { _ in .failed(.fill, .failed(5)) }
    #expect(log.steps.last == "resync 1")
    #expect(course.findings[0].reason?.hasPrefix("it can not be written again") == true)
  }

  @Test func otherCopiesAreReadOnlyIfTheOneAskedForIsBad() {
    var log = Log([live: .good, first: .good, second: .bad], in: first)
    #expect(log.run().findings.isEmpty && log.steps == ["scan 2"])
    var bad = Log([live: .good, first: .bad], in: first)
    #expect(bad.run().findings.map(\.isHealed) == [true])
    #expect(bad.steps.prefix(2) == ["scan 2", "scan 1"])
    var none = Log([live: .good], in: second)
    #expect(none.run().findings.isEmpty && none.steps.isEmpty)
  }

  @Test func whoeverWritesMeanwhileMakesItVoid() {
    var log = Log([live: .bad, first: .good])
    let course = log.run(condemning: false)
    #expect(course.isVoid && course.findings.isEmpty && log.steps.last == #"condemn ["1"] for 2"#)
    var read = Log([live: .bad, first: .good]).course
    read.scanned(.void)
    #expect(read.isVoid && read.next == nil)
  }

  @Test func aBusyExtentIsTriedAgainAndACancelledOneIsNot() {
    var course = Log([live: .good]).course
    course.scanned(.busy)
    guard case .scan(let scan) = course.next else {
      Issue.record("it is given up")
      return
    }
    #expect(scan.store == live)
    course.cancel()
    #expect(course.next == nil && course.findings.isEmpty)
  }
}
