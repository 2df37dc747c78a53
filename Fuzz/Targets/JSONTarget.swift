import FoundationEssentials
import HTTPService
import Primitives

/// The parser of request bodies and configuration files.
///
/// Properties: what is JSON is the same in JSON5, and is JSON to the toolchain's decoder too; a value that
/// is written and read again stays the same; a refusal says where.
enum JSONTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    let strict = try parse(input, json5: false)
    let relaxed = try parse(input, json5: true)
    if let strict {
      guard let relaxed else { throw PropertyFailure("JSON that is no JSON5") }
      try require(
        JSONWriter.text(of: strict) == JSONWriter.text(of: relaxed), "JSON5 reads JSON in another way")
      try require(
        (try? JSONDecoder().decode(Anything.self, from: Data(input))) != nil, "JSON that is none to others")
    }
    for (value, json5) in [(strict, false), (relaxed, true)] {
      guard let value else { continue }
      let text = JSONWriter.text(of: value)
      let again = try parse(Array(text.utf8), json5: json5)
      try require(again.map(JSONWriter.text(of:)) == text, "a value changes when it is written and read")
    }
  }

  private static func parse(_ bytes: [UInt8], json5: Bool) throws(PropertyFailure) -> JSONValue? {
    do {
      return try JSONValue(parsing: bytes, json5: json5)
    } catch {
      let place = error.cause ?? ""
      try require(place.hasPrefix("line ") || place == "it is not UTF-8", "a refusal that does not say where")
      return nil
    }
  }

  /// Takes any document without looking at it.
  private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }
}

/// Writes a value on one line, keys in the order of their bytes.
enum JSONWriter {
  static func text(of value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .boolean(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): number.isNaN ? "NaN" : number.isInfinite ? infinity(number) : "\(number)"
    case .string(let text): quoted(text)
    case .array(let items): "[" + items.map(text(of:)).joined(separator: ",") + "]"
    case .object(let fields):
      "{"
        + fields.map { quoted($0.key) + ":" + text(of: $0.value) }
        .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.joined(separator: ",") + "}"
    }
  }

  private static func infinity(_ number: Double) -> String {
    number < 0 ? "-Infinity" : "Infinity"
  }

  /// Everything but printable ASCII as escapes of UTF-16.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for unit in text.utf16 {
      if (0x20..<0x7f).contains(unit), unit != 0x22, unit != 0x5c {
        result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      } else {
        let digits = String(unit, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return result + "\""
  }
}
