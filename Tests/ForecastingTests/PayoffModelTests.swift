import Primitives
import Testing

@testable import Forecasting

@Suite struct PayoffModelTests {
  @Test func itSaysWhatItWasGivenBeforeItHasLearned() {
    var model = PayoffModel<3>(sizes: [4, 5, 6], start: 0.9)
    #expect((model.expected([0, 0, 0]) - 0.9).magnitude < 1e-6)
    model.shift(cell: 2, of: 1, by: -0.5)
    #expect((model.expected([3, 2, 5]) - 0.4).magnitude < 1e-6)
    #expect((model.expected([3, 1, 5]) - 0.9).magnitude < 1e-6)
  }

  /// Outcomes that are sums of what each signal adds are learned, and followed when they change.
  @Test func itLearnsSumsAndFollowsChange() {
    var random = SeededGenerator(seed: 3)
    var model = PayoffModel<2>(sizes: [8, 8], start: 1)
    for round in 0..<2 {
      func truth(_ one: Int, _ other: Int) -> Float {
        round == 0 ? Float(one) * 0.08 + Float(other) * 0.04 : 0.8 - Float(one) * 0.1
      }
      for _ in 0..<20_000 {
        let (one, other) = (random.below(8), random.below(8))
        let noise = Float(random.below(1000)) / 5000 - 0.1
        model.learn([UInt16(one), UInt16(other)], outcome: truth(one, other) + noise)
      }
      for one in 0..<8 {
        for other in 0..<8 {
          let error = model.expected([UInt16(one), UInt16(other)]) - truth(one, other)
          #expect(error.magnitude < 0.06, "round \(round), \(one), \(other): \(error)")
        }
      }
    }
  }

  @Test func outcomesComeOutInOrderWhenTheyAreDue() {
    var queue = OutcomeQueue<1>(capacity: 4)
    for request in 1...6 as ClosedRange<UInt32> {
      queue.append(.init(extent: request, request: request, touches: 0, cells: [0]))
    }
    #expect(queue.count == 4)
    func next(at request: UInt32) -> UInt32? { queue.next(at: request, age: 10)?.extent }
    let early = [next(at: 11), next(at: 12), next(at: 12)]
    #expect(early == [nil, 1, nil])
    queue.append(.init(extent: 9, request: 12, touches: 0, cells: [0]))
    let late = (0..<5).map { _ in next(at: 30) }
    #expect(late == [2, 3, 4, 9, nil])
  }

  @Test func requestNumbersWrapAround() {
    var queue = OutcomeQueue<1>(capacity: 4)
    queue.append(.init(extent: 1, request: .max, touches: 0, cells: [0]))
    let found = [5, 20].map { queue.next(at: $0, age: 10)?.extent }
    #expect(found == [nil, 1])
  }
}

@Suite struct ScaleTests {
  @Test func stepsDouble() {
    #expect(
      [0, 0.9, 1, 1.9, 2, 3.9, 4, 1e9].map { Scale.bits(Float($0), below: 9) } == [0, 0, 1, 1, 2, 2, 3, 9])
    #expect([0, 1, 2, 3, 4, 255, 256].map { Scale.bits(UInt64($0), below: 8) } == [0, 1, 2, 2, 3, 8, 8])
  }

  @Test func decayHalvesAndNeverRises() {
    for age in 0..<32 { #expect(Scale.decay(Float(age)) * Float(1 << age) == 1) }
    #expect((Scale.decay(0.5) * Float(2).squareRoot() - 1).magnitude < 1e-3)
    // Ten half-lives in small steps.
    #expect(((0..<10_000).reduce(Float(1024)) { left, _ in left * Scale.decay(0.001) } - 1).magnitude < 0.01)
    #expect(Scale.decay(32) == 0)
    #expect(Scale.decay(.infinity) == 0)
    var last: Float = 1
    for step in 0..<3300 {
      let value = Scale.decay(Float(step) / 100)
      #expect(value <= last)
      last = value
    }
  }
}
