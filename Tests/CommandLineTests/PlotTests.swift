import HTTPService
import Testing

@testable import gnomon

/// Plots in characters.
@Suite struct PlotTests {
  private func lines(_ observed: [Double?], _ expected: [(mean: Double, low: Double, high: Double)] = [])
    -> [String]
  {
    LinePlot(observed: observed, expected: expected) { "\(Int($0))" }.text
      .split(separator: "\n").map(String.init)
  }

  @Test func valuesStandAtTheirHeight() {
    let lines = lines([0, 11, nil, 5.5], [(11, 0, 22), (0, 0, 11)])
    #expect(lines.count == 13)
    #expect(lines[0] == "22 │    ░")
    // 5.5 lies half-way between two rows, and goes to the upper one.
    #expect(lines[5] == "11 │ •  ━░")
    #expect(lines[6] == "   │    ░░")
    #expect(lines[8] == "   │   •░░")
    #expect(lines[11] == " 0 │•   ░━")
    #expect(lines[12] == "   └────┴─")
  }

  @Test func nothingIsPlotted() {
    #expect(lines([]) == ["  nothing but zeros"])
    #expect(lines([nil, nil]) == ["  nothing but zeros"])
    #expect(lines([0, 0], [(0, 0, 0)]) == ["  nothing but zeros"])
  }

  @Test(arguments: [1, 2, 63, 64, 65, 1000])
  func anyLengthFits(count: Int) {
    let values = [Double?](repeating: 3, count: count)
    let expected = [(mean: Double, low: Double, high: Double)](repeating: (3, 2, 4), count: count)
    for lines in [lines(values), lines(values, expected), lines(values, [expected[0]])] {
      #expect(lines[12].count <= 67 && lines[12].count >= min(count, 64), "\(lines[12])")
      #expect(lines.joined().contains("•"))
    }
    // However long it is, what is expected is seen.
    #expect(lines(values, expected).joined().contains("━"))
  }

  @Test func anIntervalDoesNotFlattenTheRest() {
    #expect(lines([10, 10], [(10, 0, 10_000)])[0].hasPrefix("30 │"))
  }
}
