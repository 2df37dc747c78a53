import Forecasting
import Shadowing

/// The fast loop, as the daemon has it.
struct GnomonPolicy: ReplayPolicy {
  private var loop: FastLoop
  private let trace: ExtentTrace

  init(_ trace: ExtentTrace, capacity: Int, copyCost: Double, copyMicroseconds: UInt64) {
    self.trace = trace
    loop = FastLoop(
      capacity: capacity, extentCount: trace.extentCount,
      settings: .init(
        extentBytes: trace.extentBytes, copyCost: Float(copyCost), copyMicroseconds: copyMicroseconds))
  }

  func holds(_ number: Int) -> Bool { loop.tier.contains(trace.extents[number]) }

  mutating func beginRequest() { loop.beginRequest() }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let decision = loop.touch(touch.access, isLast: touch.isLast)
    if decision.admission != nil { copies.append(touch.number) }
    if let ahead = decision.ahead { copies.append(trace.numbers[ahead.extent] ?? -1) }
  }
}
