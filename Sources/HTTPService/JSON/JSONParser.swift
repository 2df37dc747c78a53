/// What is wrong with a JSON text, and where; both counts start at 1.
struct JSONProblem: Error, Equatable {
  let line: Int
  let column: Int
  let text: String
}

/// Reads JSON or JSON5.
///
/// The toolchain's own decoder neither says where an error is nor notices a key that is there twice; both
/// matter to somebody who edits a configuration file.
struct JSONParser {
  /// Values within values. No document of Gnomon has more than a few.
  static let depthMax = 64
  /// Bytes of a key. Ours are short, and Unicode's way to tell long strings apart can take seconds.
  static let keyBytesMax = 256

  let scalars: [Unicode.Scalar]
  let json5: Bool
  var position = 0
  private var depth = 0

  init(_ text: String, json5: Bool) {
    scalars = Array(text.unicodeScalars)
    self.json5 = json5
  }

  /// Reads one value and nothing behind it.
  mutating func document() throws(JSONProblem) -> JSONValue {
    try skipSpace()
    guard next != nil else { throw problem("the text is empty") }
    let value = try value()
    try skipSpace()
    guard next == nil else { throw problem("the end is expected here") }
    return value
  }

  /// The scalar at the position; nil at the end.
  var next: Unicode.Scalar? {
    position < scalars.count ? scalars[position] : nil
  }

  /// Consumes the scalar if it is next.
  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  /// An error at the position, or at another one.
  func problem(_ text: String, at place: Int? = nil) -> JSONProblem {
    let before = scalars[..<min(place ?? position, scalars.count)]
    let start = before.lastIndex(of: "\n").map { $0 + 1 } ?? 0
    return JSONProblem(line: before.count { $0 == "\n" } + 1, column: before.count - start + 1, text: text)
  }

  private mutating func value() throws(JSONProblem) -> JSONValue {
    switch next {
    case nil: throw problem("a value is expected, but the text ends")
    case "{": return try nested { (parser) throws(JSONProblem) in try parser.object() }
    case "[": return try nested { (parser) throws(JSONProblem) in try parser.array() }
    case "\"": return .string(try string())
    case "'" where json5: return .string(try string())
    case let scalar? where scalar.properties.isAlphabetic && scalar != "I" && scalar != "N":
      return try literal()
    default: return try number()
    }
  }

  private mutating func nested(
    _ body: (inout JSONParser) throws(JSONProblem) -> JSONValue
  ) throws(JSONProblem) -> JSONValue {
    depth += 1
    guard depth <= Self.depthMax else { throw problem("values are nested too deep") }
    let value = try body(&self)
    depth -= 1
    return value
  }

  private mutating func literal() throws(JSONProblem) -> JSONValue {
    let start = position
    switch identifier() {
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    case "null": return .null
    default: throw problem("a value is expected; text must be in quotes", at: start)
    }
  }

  private mutating func object() throws(JSONProblem) -> JSONValue {
    var fields: [String: JSONValue] = [:]
    let opening = position
    position += 1
    while true {
      try skipSpace()
      if take("}") { return .object(fields) }
      let start = position
      let key = try key(of: opening)
      guard key.utf8.count <= Self.keyBytesMax else { throw problem("the key is too long", at: start) }
      try skipSpace()
      guard take(":") else { throw problem("':' is expected behind the key '\(key)'") }
      try skipSpace()
      guard fields.updateValue(try value(), forKey: key) == nil else {
        throw problem("the key '\(key)' is there twice", at: start)
      }
      guard try separated(by: "}", of: opening) else { return .object(fields) }
    }
  }

  private mutating func key(of opening: Int) throws(JSONProblem) -> String {
    switch next {
    case "\"": return try string()
    case "'" where json5: return try string()
    case nil: throw unclosed(opening)
    default:
      let name = json5 ? identifier() : ""
      if name.isEmpty { throw problem(json5 ? "a key is expected here" : "a key in quotes is expected here") }
      return name
    }
  }

  private mutating func array() throws(JSONProblem) -> JSONValue {
    var items: [JSONValue] = []
    let opening = position
    position += 1
    while true {
      try skipSpace()
      if take("]") { return .array(items) }
      if next == nil { throw unclosed(opening) }
      items.append(try value())
      guard try separated(by: "]", of: opening) else { return .array(items) }
    }
  }

  /// Consumes what stands behind an item: a comma (true: more may come) or the end.
  private mutating func separated(by end: Unicode.Scalar, of opening: Int) throws(JSONProblem) -> Bool {
    try skipSpace()
    if take(end) { return false }
    if next == nil { throw unclosed(opening) }
    guard take(",") else { throw problem("',' or '\(end)' is expected here") }
    let comma = position - 1
    try skipSpace()
    if !json5, next == end { throw problem("there must be no comma before '\(end)'", at: comma) }
    return true
  }

  private func unclosed(_ opening: Int) -> JSONProblem {
    let place = problem("", at: opening)
    return problem("the text ends within what begins at line \(place.line), column \(place.column)")
  }

  /// Letters, digits, `$` and `_`; empty if there are none.
  private mutating func identifier() -> String {
    var name = String.UnicodeScalarView()
    while let scalar = next, scalar == "$" || scalar == "_" || scalar.properties.isIDContinue {
      name.append(scalar)
      position += 1
    }
    return String(name)
  }
}
