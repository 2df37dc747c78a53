public import Primitives

/// A JSON document as a tree, for input whose every key is to be checked.
public indirect enum JSONValue: Sendable, Equatable {
  case null
  case boolean(Bool)
  case integer(Int64)
  /// A number that is no 64-bit integer.
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// Parses UTF-8 text.
  ///
  /// - Parameter json5: allows what people like to write: comments, trailing commas, bare keys, single
  ///   quotes, hexadecimal numbers.
  public init(parsing bytes: [UInt8], json5: Bool = false) throws(GnomonError) {
    let kind = json5 ? "JSON5" : "JSON"
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw GnomonError(.invalid, "this is not \(kind)", cause: "it is not UTF-8")
    }
    var parser = JSONParser(text, json5: json5)
    do {
      self = try parser.document()
    } catch {
      throw GnomonError(
        .invalid, "this is not \(kind)", cause: "line \(error.line), column \(error.column): \(error.text)")
    }
  }

  /// What kind of value it is, for messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .boolean: "a boolean"
    case .integer, .number: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }

  /// The value if it is short, else its kind.
  public var summary: String {
    switch self {
    case .null: "null"
    case .boolean(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .string(let text): text.utf8.count <= 64 ? "\"\(text)\"" : "a long string"
    case .array, .object: kind
    }
  }
}
