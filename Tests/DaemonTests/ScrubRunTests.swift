import Primitives
import Testing

@testable import Daemon

@Suite struct ScrubRunTests {
  @Test(arguments: [
    (ScrubRecord.End.complete, true), (.stopped, true), (.interrupted, false),
  ])
  func theNextIsDueAfterOneThatEndedOrWasStopped(end: ScrubRecord.End, counts: Bool) {
    var last = ScrubRecord(scope: "all volumes", startedSeconds: 90)
    last.wholeEndedSeconds = 100
    let record = ScrubRun(ScrubScope()).end(end, after: last)
    #expect(record.wholeEndedSeconds == (counts ? record.endedSeconds : 100))
    let partial = ScrubRun(ScrubScope(store: (StoreID(rawValue: 1), "s"))).end(end, after: last)
    #expect(partial.wholeEndedSeconds == 100)
  }
}
