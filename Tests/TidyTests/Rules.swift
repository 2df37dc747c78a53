/// A rule that a file breaks, and where.
struct Violation: CustomStringConvertible, Equatable {
  let rule: String
  let path: String
  let line: Int
  let detail: String

  var description: String { "\(path):\(line): \(rule): \(detail)" }
}

/// The bounds and the names that the rules know.
enum Limits {
  static let lineLength = 110
  static let functionLines = 70
  static let fileLines = 500

  /// Targets that do no I/O, read no clock and draw no random number that was not handed to them.
  static let pure: Set<String> = [
    "Primitives", "Measurement", "NBDWire", "ExtentMap", "Forecasting", "Health",
  ]
  /// Targets on the path of a request.
  static let dataPlane: Set<String> = ["Ring", "Stores", "Redirection", "NBDService"]

  /// What may be called in neither; each with what to use instead.
  static let banned: [(call: String, instead: String)] = [
    ("Date(", "an instant that is handed in"),
    ("Date.now", "an instant that is handed in"),
    ("ContinuousClock", "the clock that is handed in"),
    ("SuspendingClock", "the clock that is handed in"),
    ("DispatchTime", "the clock that is handed in"),
    ("clock_gettime(", "the clock that is handed in"),
    ("gettimeofday(", "the clock that is handed in"),
    ("SystemRandomNumberGenerator", "the seeded generator that is handed in"),
    ("UUID()", "the seeded generator that is handed in"),
    ("getrandom(", "the seeded generator that is handed in"),
    ("arc4random", "the seeded generator that is handed in"),
    ("randomElement()", "randomElement(using:)"),
    ("shuffled()", "shuffled(using:)"),
    ("shuffle()", "shuffle(using:)"),
    ("print(", "the log"),
    ("try!", "do and catch"),
    ("fatalError(", "a thrown error, or precondition where data could be lost"),
    ("Task.detached", "the reactor's inbox or a structured task"),
  ]
}

/// The rules that look at one file.
enum FileRules {
  static func check(_ source: SourceText) -> [Violation] {
    lineLength(source) + fileLength(source) + functionLength(source) + bannedCalls(source) + leftovers(source)
  }

  static func lineLength(_ source: SourceText) -> [Violation] {
    source.lines.enumerated().compactMap { number, line in
      line.count <= Limits.lineLength
        ? nil
        : Violation(
          rule: "line length", path: source.path, line: number + 1,
          detail: "\(line.count) characters, \(Limits.lineLength) are allowed")
    }
  }

  static func fileLength(_ source: SourceText) -> [Violation] {
    let count = source.lines.last == "" ? source.lines.count - 1 : source.lines.count
    guard count > Limits.fileLines else { return [] }
    return [
      Violation(
        rule: "file length", path: source.path, line: count,
        detail: "\(count) lines, \(Limits.fileLines) are allowed")
    ]
  }

  static func leftovers(_ source: SourceText) -> [Violation] {
    source.lines.enumerated().compactMap { number, line in
      guard let word = ["TODO", "FIXME", "XXX"].first(where: { contains(line, word: $0) }) else { return nil }
      return Violation(
        rule: "leftover", path: source.path, line: number + 1, detail: "\(word): do it or file an issue")
    }
  }

  static func bannedCalls(_ source: SourceText) -> [Violation] {
    guard Limits.pure.contains(source.target) || Limits.dataPlane.contains(source.target) else { return [] }
    var found: [Violation] = []
    for (number, line) in source.codeLines.enumerated() {
      for (call, instead) in Limits.banned where contains(line[...], call: call) {
        found.append(
          Violation(
            rule: "banned call", path: source.path, line: number + 1, detail: "\(call): use \(instead)"))
      }
      if line.contains(".random(in:") && !line.contains("using:") {
        found.append(
          Violation(
            rule: "banned call", path: source.path, line: number + 1,
            detail: "random(in:): use random(in:using:)"))
      }
    }
    return found
  }

  private static func isWord(_ character: Character?) -> Bool {
    guard let character else { return false }
    return character.isLetter || character.isNumber || character == "_"
  }

  /// Whether `line` has `word` with no letter, digit or underscore on either side.
  static func contains(_ line: Substring, word: String) -> Bool {
    line.ranges(of: word).contains { range in
      let before = range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
      let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
      return !isWord(before) && !isWord(after)
    }
  }

  /// Whether `line` has `call` with no letter, digit or underscore before it: `print(`, not `blueprint(`.
  static func contains(_ line: Substring, call: String) -> Bool {
    line.ranges(of: call).contains { range in
      range.lowerBound == line.startIndex || !isWord(line[line.index(before: range.lowerBound)])
    }
  }

  static func functionLength(_ source: SourceText) -> [Violation] {
    FunctionScanner(source.code).functions().compactMap { function in
      let count = function.lastLine - function.firstLine + 1
      guard count > Limits.functionLines else { return nil }
      return Violation(
        rule: "function length", path: source.path, line: function.firstLine,
        detail: "\(count) lines, \(Limits.functionLines) are allowed")
    }
  }
}

/// Finds the bodies of `func`, `init`, `deinit` and `subscript` in blanked code.
struct FunctionScanner {
  struct Function: Equatable {
    let firstLine: Int
    let lastLine: Int
  }

  private let code: [UInt8]
  private static let heads: Set<String> = ["func", "init", "deinit", "subscript"]
  /// A declaration that begins before a body was found: the head was a requirement without one.
  private static let others: Set<String> = [
    "func", "init", "deinit", "var", "let", "case", "struct", "class", "enum",
  ]

  init(_ code: [UInt8]) { self.code = code }

  func functions() -> [Function] {
    var found: [Function] = []
    var line = 1
    var at = 0
    while at < code.count {
      if code[at] == UInt8(ascii: "\n") { line += 1 }
      if let word = word(at: at) {
        let isCall = at > 0 && code[at - 1] == UInt8(ascii: ".")
        if Self.heads.contains(word), !isCall, let length = lines(from: at + word.utf8.count) {
          found.append(Function(firstLine: line, lastLine: line + length))
        }
        at += word.utf8.count
      } else {
        at += 1
      }
    }
    return found
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xFF:
      true
    default: false
    }
  }

  /// The whole word that begins at `at`, if one does.
  private func word(at: Int) -> String? {
    guard Self.isWord(code[at]), at == 0 || !Self.isWord(code[at - 1]) else { return nil }
    let end = code[at...].firstIndex { !Self.isWord($0) } ?? code.count
    return String(decoding: code[at..<end], as: UTF8.self)
  }

  /// How many line breaks there are between `start` and the closing brace of the body; nil without a body.
  private func lines(from start: Int) -> Int? {
    var braces = 0
    var parentheses = 0
    var breaks = 0
    var at = start
    while at < code.count {
      switch code[at] {
      case UInt8(ascii: "\n"): breaks += 1
      case UInt8(ascii: "("), UInt8(ascii: "["): parentheses += 1
      case UInt8(ascii: ")"), UInt8(ascii: "]"): parentheses -= 1
      case UInt8(ascii: "{") where parentheses == 0: braces += 1
      case UInt8(ascii: "}") where parentheses == 0:
        braces -= 1
        if braces == 0 { return breaks }
        if braces < 0 { return nil }
      default:
        if braces == 0, parentheses == 0, let word = word(at: at), Self.others.contains(word) { return nil }
      }
      at += 1
    }
    return nil
  }
}
