/// A plot of what was observed and what is expected, in characters.
struct LinePlot {
  /// What one column shows.
  private struct Column {
    var observed: Double?
    var expected: (mean: Double, low: Double, high: Double)?
  }

  private static let columnCount = 64
  private static let rowCount = 12

  private var columns = [Column](repeating: Column(), count: columnCount)
  /// The column of the first expected value.
  private let now: Int
  private let label: (Double) -> String

  /// - Parameters:
  ///   - observed: values at equal steps, oldest first; nil where there is none.
  ///   - expected: of the next steps; may be empty.
  ///   - label: writes a value with its unit.
  init(
    observed: [Double?], expected: [(mean: Double, low: Double, high: Double)],
    label: @escaping (Double) -> String
  ) {
    self.label = label
    let all = observed.count + expected.count
    // Each column has at least one value of a short series, and the mean of several of a long one.
    let width = min(Self.columnCount, max(1, all))
    columns = [Column](repeating: Column(), count: width)
    now = (observed.count * width + max(0, all - 1)) / max(1, all)
    for column in 0..<now {
      let values = Self.part(column, of: now, observed).compactMap { $0 }
      if !values.isEmpty { columns[column].observed = values.reduce(0, +) / Double(values.count) }
    }
    for column in now..<width where !expected.isEmpty {
      let values = Self.part(column - now, of: width - now, expected)
      columns[column].expected = (
        values.reduce(0) { $0 + $1.mean } / Double(values.count), values.map(\.low).min() ?? 0,
        values.map(\.high).max() ?? 0
      )
    }
  }

  /// The values of one of `count` columns; at least one.
  private static func part<Value>(_ column: Int, of count: Int, _ values: [Value]) -> ArraySlice<Value> {
    let first = min(column * values.count / count, values.count - 1)
    return values[first..<max(first + 1, (column + 1) * values.count / count)]
  }

  /// The lines: `•` was observed, `━` is expected, `░` is the interval.
  var text: String {
    // An interval that grows without end must not flatten all else.
    let means = columns.compactMap { $0.observed ?? $0.expected?.mean }
    let highs = columns.compactMap { $0.expected?.high }
    let largest = means.max() ?? 0
    let top = max(min(highs.max() ?? 0, 3 * largest), largest)
    guard top > 0 else { return "  nothing but zeros\n" }
    let labels = [top, top / 2, 0].map(label)
    let margin = labels.map(\.count).max() ?? 0
    var lines = ""
    for row in (0..<Self.rowCount).reversed() {
      let title =
        row == Self.rowCount - 1
        ? labels[0] : row == Self.rowCount / 2 ? labels[1] : row == 0 ? labels[2] : ""
      var line = String(repeating: " ", count: margin - title.count) + title + " │"
      for column in columns { line += cell(of: column, row, top) }
      while line.last == " " { line.removeLast() }
      lines += line + "\n"
    }
    return lines + String(repeating: " ", count: margin + 1) + "└" + axis + "\n"
  }

  private func cell(of column: Column, _ row: Int, _ top: Double) -> String {
    func place(_ value: Double) -> Int {
      Int((min(max(value, 0), top) / top * Double(Self.rowCount - 1)).rounded())
    }
    if let observed = column.observed { return place(observed) == row ? "•" : " " }
    guard let expected = column.expected else { return " " }
    if place(expected.mean) == row { return "━" }
    return (place(expected.low)...place(expected.high)).contains(row) ? "░" : " "
  }

  private var axis: String {
    columns.indices.map { $0 == now ? "┴" : "─" }.joined()
  }
}
