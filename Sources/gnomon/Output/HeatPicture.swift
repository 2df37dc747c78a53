import HTTPService
import Primitives

/// Where in a volume requests were served, over time, in characters or as SVG: time goes down, addresses to
/// the right. The shade goes by the logarithm of the number of requests.
struct HeatPicture {
  private let map: HeatMapInfo
  /// The most that a cell has.
  private let most: UInt32

  private static let shades = Array(" .:-=+*#%@")
  private static let columnCount = 64

  init(_ map: HeatMapInfo) {
    self.map = map
    most = map.rows.flatMap(\.counts).max() ?? 0
  }

  /// From 0 (none) to 1 (the most that there is).
  private func shade(_ count: UInt64, of most: UInt64) -> Double {
    guard count > 0, most > 0 else { return 0 }
    return Self.magnitude(count) / Self.magnitude(most)
  }

  /// log2(1 + n), to within a tenth: between powers of two along a straight line.
  private static func magnitude(_ count: UInt64) -> Double {
    let number = count + 1
    let whole = 63 - number.leadingZeroBitCount
    return Double(whole) + Double(number) / Double(UInt64(1) << UInt64(whole)) - 1
  }

  // MARK: Characters

  /// A line for each step, newest last, of `columnCount` cells at most.
  var text: String {
    guard most > 0 else { return "No request was served in this time.\n" }
    let buckets = max(1, map.bucketCount)
    let columns = min(Self.columnCount, buckets)
    let cells = map.rows.map { row in
      (0..<columns).map { column in
        (column * buckets / columns..<max((column + 1) * buckets / columns, column * buckets / columns + 1))
          .reduce(UInt64(0)) { $0 + ($1 < row.counts.count ? UInt64(row.counts[$1]) : 0) }
      }
    }
    let most = cells.joined().max() ?? 0
    var lines = ""
    for (index, row) in cells.enumerated() {
      let shown = row.map { count in
        let level = shade(count, of: most) * Double(Self.shades.count - 1)
        return String(Self.shades[count > 0 ? max(1, Int(level.rounded())) : 0])
      }
      let ago = age(of: index)
      lines += String(repeating: " ", count: 8 - ago.count) + ago + " │" + shown.joined() + "│\n"
    }
    let end = "\(ByteSize(rawValue: map.sizeBytes))"
    let gap = max(1, columns - 1 - end.count)
    lines += String(repeating: " ", count: 10) + "0" + String(repeating: " ", count: gap) + end + "\n"
    let perCell = map.bucketBytes * UInt64((buckets + columns - 1) / columns)
    return lines
      + "One character: up to \(ByteSize(rawValue: perCell)), \(TimeSpan(seconds: map.stepSeconds));"
      + " '\(Self.shades[1])' few requests, '\(Self.shades[9])' up to \(most).\n"
  }

  private func age(of index: Int) -> String {
    let steps = UInt64(map.rows.count - 1 - index)
    return steps == 0 ? "now" : "-\(TimeSpan(seconds: steps * map.stepSeconds))"
  }

  // MARK: SVG

  private static let (cellWidth, cellHeight, margin) = (4, 10, 60)

  /// A picture of its own, without anything that a viewer would have to fetch.
  var svg: String {
    let columns = max(1, map.bucketCount)
    let width = columns * Self.cellWidth + 2 * Self.margin
    let height = map.rows.count * Self.cellHeight + 2 * Self.margin
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" font-family="sans-serif" \
      font-size="11">
      <title>Requests of volume \(Self.escaped(map.volume)) by time and address</title>
      <rect x="\(Self.margin)" y="\(Self.margin)" width="\(columns * Self.cellWidth)" \
      height="\(map.rows.count * Self.cellHeight)" fill="#f4f4f4"/>

      """
    for (index, row) in map.rows.enumerated() {
      let y = Self.margin + index * Self.cellHeight
      for (column, count) in row.counts.enumerated() where count > 0 {
        text +=
          "<rect x=\"\(Self.margin + column * Self.cellWidth)\" y=\"\(y)\" width=\"\(Self.cellWidth)\" "
          + "height=\"\(Self.cellHeight)\" fill=\"\(color(shade(UInt64(count), of: UInt64(most))))\">"
          + "<title>\(count)</title></rect>\n"
      }
      if index % 10 == 0 || index == map.rows.count - 1 {
        text += Self.label(age(of: index), x: Self.margin - 4, y: y + Self.cellHeight, anchor: "end")
      }
    }
    let y = map.rows.count * Self.cellHeight + Self.margin + 16
    text += Self.label("0", x: Self.margin, y: y, anchor: "start")
    text += Self.label(
      "\(ByteSize(rawValue: map.sizeBytes))", x: Self.margin + columns * Self.cellWidth, y: y, anchor: "end")
    text += Self.label(
      "volume \(map.volume): requests by time and address, at most \(most) in a cell", x: Self.margin,
      y: Self.margin - 12, anchor: "start")
    return text + "</svg>\n"
  }

  /// From pale yellow to dark red.
  private func color(_ shade: Double) -> String {
    let parts = [(255.0, 110.0), (237.0, 0.0), (160.0, 20.0)].map { Int(($0 + ($1 - $0) * shade).rounded()) }
    return "rgb(\(parts[0]),\(parts[1]),\(parts[2]))"
  }

  private static func label(_ words: String, x: Int, y: Int, anchor: String) -> String {
    "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\">\(escaped(words))</text>\n"
  }

  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "&": result += "&amp;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
  }
}
