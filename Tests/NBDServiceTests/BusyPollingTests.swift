import Testing

@testable import NBDService

@Suite struct BusyPollingTests {
  @Test func theWindowGrowsWhileWaitsAreWorthPollingFor() {
    var polling = BusyPolling(maximum: 100_000)
    #expect(polling.window == 0)
    var windows: [UInt64] = []
    for _ in 0..<7 {
      polling.waited(80_000)
      windows.append(polling.window)
    }
    // Once the window covers the wait it stays as it is.
    #expect(windows == [4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 100_000])
  }

  @Test func oneLongWaitEndsPolling() {
    var polling = BusyPolling(maximum: 100_000)
    for _ in 0..<7 { polling.waited(80_000) }
    polling.waited(100_001)
    #expect(polling.window == 0)
    polling.waited(3_000)
    #expect(polling.window == 4_000)
    polling.waited(3_000)
    #expect(polling.window == 4_000)
  }
}
