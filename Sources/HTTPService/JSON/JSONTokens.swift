extension JSONParser {
  /// Skips white space, and in JSON5 comments.
  mutating func skipSpace() throws(JSONProblem) {
    while let scalar = next {
      switch scalar {
      case " ", "\t", "\n", "\r":
        position += 1
      case _ where json5 && (scalar.properties.isWhitespace || scalar == "\u{feff}"):
        position += 1
      case "/" where json5:
        try skipComment()
      default:
        return
      }
    }
  }

  private mutating func skipComment() throws(JSONProblem) {
    let start = position
    position += 1
    if take("/") {
      while let scalar = next, scalar != "\n" { position += 1 }
    } else if take("*") {
      while true {
        guard next != nil else { throw problem("a comment is not closed", at: start) }
        if take("*") {
          if take("/") { return }
        } else {
          position += 1
        }
      }
    } else {
      throw problem("'/' begins nothing here", at: start)
    }
  }

  /// Reads a string in quotes, single or double.
  mutating func string() throws(JSONProblem) -> String {
    let start = position
    let quote = scalars[position]
    position += 1
    var text = String.UnicodeScalarView()
    while let scalar = next {
      position += 1
      switch scalar {
      case quote:
        return String(text)
      case "\\":
        try escape(&text)
      case _ where scalar.value < 0x20:
        throw problem("a control character must be escaped in a string", at: position - 1)
      default:
        text.append(scalar)
      }
    }
    throw problem("a string is not closed", at: start)
  }

  private mutating func escape(_ text: inout String.UnicodeScalarView) throws(JSONProblem) {
    let start = position - 1
    guard let scalar = next else { return }
    position += 1
    switch scalar {
    case "\"", "\\", "/": text.append(scalar)
    case "b": text.append("\u{08}")
    case "f": text.append("\u{0c}")
    case "n": text.append("\n")
    case "r": text.append("\r")
    case "t": text.append("\t")
    case "u": text.append(try unicodeEscape(start))
    case "'" where json5: text.append("'")
    case "v" where json5: text.append("\u{0b}")
    case "0" where json5: text.append("\0")
    case "x" where json5: text.append(Unicode.Scalar(UInt8(try hexadecimal(2, start))))
    case "\n" where json5: break
    case "\r" where json5: _ = take("\n")
    default: throw problem("there is no escape '\\\(scalar)'", at: start)
    }
  }

  /// `XXXX`, or the two halves of a surrogate pair.
  private mutating func unicodeEscape(_ start: Int) throws(JSONProblem) -> Unicode.Scalar {
    let first = try hexadecimal(4, start)
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xd800..<0xdc00).contains(first), take("\\"), take("u") else {
      throw problem("half of a surrogate pair is missing", at: start)
    }
    let second = try hexadecimal(4, start)
    guard (0xdc00..<0xe000).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
    else { throw problem("half of a surrogate pair is missing", at: start) }
    return scalar
  }

  private mutating func hexadecimal(_ digits: Int, _ start: Int) throws(JSONProblem) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let scalar = next, let digit = Character(scalar).hexDigitValue, scalar.isASCII else {
        throw problem("an escape needs \(digits) hexadecimal digits", at: start)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  /// Reads a number; whole ones of 64 bits stay exact.
  mutating func number() throws(JSONProblem) -> JSONValue {
    let start = position
    while let scalar = next, scalar.isASCII,
      scalar.properties.isAlphabetic || "+-.0123456789".unicodeScalars.contains(scalar)
    { position += 1 }
    var text = String(String.UnicodeScalarView(scalars[start..<position]))
    guard !text.isEmpty else { throw problem("a value is expected here") }
    if json5 {
      let sign = text.hasPrefix("-") ? "-" : ""
      var body = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
      if body == "Infinity" { return .number(sign.isEmpty ? .infinity : -.infinity) }
      if body == "NaN" { return .number(.nan) }
      if body.hasPrefix("0x") || body.hasPrefix("0X") {
        body = body.dropFirst(2)
        guard body.first?.isHexDigit == true, let integer = Int64(sign + body, radix: 16) else {
          throw notANumber(start)
        }
        return .integer(integer)
      }
      // What JSON5 adds to decimal numbers is put into JSON's form.
      text = sign + (body.hasPrefix(".") ? "0" : "") + body + (body.hasSuffix(".") ? "0" : "")
    }
    guard Self.isStrictNumber(text) else { throw notANumber(start) }
    if let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw notANumber(start) }
    return Int64(exactly: number).map { .integer($0) } ?? .number(number)
  }

  private func notANumber(_ start: Int) -> JSONProblem {
    let text = String(String.UnicodeScalarView(scalars[start..<position].prefix(40)))
    return problem("'\(text)' is no number", at: start)
  }

  /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  private static func isStrictNumber(_ text: String) -> Bool {
    var rest = text.utf8[...]
    func digits(_ rest: inout Substring.UTF8View) -> Int {
      let run = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
      rest = rest.dropFirst(run)
      return run
    }
    if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
    let leadsWithZero = rest.first == UInt8(ascii: "0")
    let whole = digits(&rest)
    guard whole > 0, whole == 1 || !leadsWithZero else { return false }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      guard digits(&rest) > 0 else { return false }
    }
    if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
      guard digits(&rest) > 0 else { return false }
    }
    return rest.isEmpty
  }
}
