/// One Swift file: its path below `Sources/`, its text, and its text without comments and string contents.
struct SourceText {
  let path: String
  let lines: [Substring]
  /// The text with every comment and every string's content blanked; line breaks are kept.
  let code: [UInt8]

  init(path: String, text: String) {
    self.path = path
    self.lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    self.code = SourceText.blank(Array(text.utf8))
  }

  /// The target that the file belongs to: the first folder of its path.
  var target: String { String(path.prefix { $0 != "/" }) }

  var codeLines: [String] {
    code.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }
}

extension SourceText {
  /// What the scanner is inside of.
  private enum Scope {
    case code
    /// An interpolation, with the number of its open parentheses.
    case interpolation(open: Int)
    case string(hashes: Int, multiline: Bool)
    case lineComment
    case blockComment(depth: Int)
  }

  private static func blank(_ text: [UInt8]) -> [UInt8] {
    var out = text
    var scopes: [Scope] = [.code]
    var at = 0
    while at < text.count {
      let scope = scopes[scopes.count - 1]
      let step: Int
      switch scope {
      case .code: step = scanCode(text, at, &scopes)
      case .interpolation(let open): step = scanInterpolation(text, at, &scopes, open)
      case .string(let hashes, let multiline): step = scanString(text, at, &scopes, hashes, multiline)
      case .lineComment:
        if text[at] == UInt8(ascii: "\n") { scopes.removeLast() }
        step = 1
      case .blockComment(let depth): step = scanBlockComment(text, at, &scopes, depth)
      }
      let stays = if case .code = scope, case .code = scopes[scopes.count - 1] { true } else { false }
      for index in at..<min(at + step, text.count) where !stays && text[index] != UInt8(ascii: "\n") {
        out[index] = UInt8(ascii: " ")
      }
      at += step
    }
    return out
  }

  private static func has(_ text: [UInt8], _ at: Int, _ word: StaticString) -> Bool {
    let end = at + word.utf8CodeUnitCount
    return end <= text.count && text[at..<end].elementsEqual("\(word)".utf8)
  }

  private static func scanCode(_ text: [UInt8], _ at: Int, _ scopes: inout [Scope]) -> Int {
    if has(text, at, "//") {
      scopes.append(.lineComment)
      return 2
    }
    if has(text, at, "/*") {
      scopes.append(.blockComment(depth: 1))
      return 2
    }
    return openString(text, at, &scopes) ?? 1
  }

  private static func openString(_ text: [UInt8], _ at: Int, _ scopes: inout [Scope]) -> Int? {
    var hashes = 0
    while at + hashes < text.count, text[at + hashes] == UInt8(ascii: "#") { hashes += 1 }
    guard at + hashes < text.count, text[at + hashes] == UInt8(ascii: "\"") else { return nil }
    let multiline = has(text, at + hashes, "\"\"\"")
    scopes.append(.string(hashes: hashes, multiline: multiline))
    return hashes + (multiline ? 3 : 1)
  }

  private static func scanInterpolation(
    _ text: [UInt8], _ at: Int, _ scopes: inout [Scope], _ open: Int
  ) -> Int {
    if let step = openString(text, at, &scopes) { return step }
    if text[at] == UInt8(ascii: "(") {
      scopes[scopes.count - 1] = .interpolation(open: open + 1)
    } else if text[at] == UInt8(ascii: ")") {
      if open == 1 { scopes.removeLast() } else { scopes[scopes.count - 1] = .interpolation(open: open - 1) }
    }
    return 1
  }

  private static func scanString(
    _ text: [UInt8], _ at: Int, _ scopes: inout [Scope], _ hashes: Int, _ multiline: Bool
  ) -> Int {
    func hashesFollow(_ from: Int) -> Bool {
      from + hashes <= text.count && text[from..<from + hashes].allSatisfy { $0 == UInt8(ascii: "#") }
    }
    if text[at] == UInt8(ascii: "\\"), hashesFollow(at + 1) {
      let next = at + 1 + hashes
      if next < text.count, text[next] == UInt8(ascii: "(") {
        scopes.append(.interpolation(open: 1))
      }
      return hashes + 2
    }
    if multiline {
      if has(text, at, "\"\"\""), hashesFollow(at + 3) {
        scopes.removeLast()
        return 3 + hashes
      }
    } else if text[at] == UInt8(ascii: "\"") && hashesFollow(at + 1) {
      scopes.removeLast()
      return 1 + hashes
    }
    return 1
  }

  private static func scanBlockComment(
    _ text: [UInt8], _ at: Int, _ scopes: inout [Scope], _ depth: Int
  ) -> Int {
    if has(text, at, "/*") {
      scopes[scopes.count - 1] = .blockComment(depth: depth + 1)
      return 2
    }
    if has(text, at, "*/") {
      if depth == 1 {
        scopes.removeLast()
      } else {
        scopes[scopes.count - 1] = .blockComment(depth: depth - 1)
      }
      return 2
    }
    return 1
  }
}
