import FoundationEssentials
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
  /// - Parameter json5: allows comments, trailing commas, unquoted keys and the like.
  public init(parsing bytes: [UInt8], json5: Bool = false) throws(GnomonError) {
    let decoder = JSONDecoder()
    decoder.allowsJSON5 = json5
    do {
      self = try decoder.decode(JSONValue.self, from: Data(bytes))
    } catch {
      let kind = json5 ? "JSON5" : "JSON"
      throw GnomonError(.invalid, "this is not \(kind)", cause: Self.reason(error, bytes))
    }
  }

  /// What the parser says; the position is in its own words: `… around line 3, column 7`.
  private static func reason(_ error: any Error, _ bytes: [UInt8]) -> String {
    if bytes.isEmpty { return "it is empty" }
    guard case DecodingError.dataCorrupted(let context) = error else { return "it can not be read" }
    if let inner = context.underlyingError as? CocoaError,
      let text = unsafe inner.userInfo["NSDebugDescription"] as? String
    {
      return text
    }
    return context.debugDescription
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
}

extension JSONValue: Decodable {
  public init(from decoder: any Decoder) throws {
    if let fields = try? decoder.container(keyedBy: AnyKey.self) {
      var object: [String: JSONValue] = [:]
      for key in fields.allKeys { object[key.stringValue] = try fields.decode(JSONValue.self, forKey: key) }
      self = .object(object)
      return
    }
    if var items = try? decoder.unkeyedContainer() {
      var array: [JSONValue] = []
      while !items.isAtEnd { array.append(try items.decode(JSONValue.self)) }
      self = .array(array)
      return
    }
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let boolean = try? value.decode(Bool.self) {
      self = .boolean(boolean)
    } else if let integer = try? value.decode(Int64.self) {
      self = .integer(integer)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else {
      self = .string(try value.decode(String.self))
    }
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) {
      self.stringValue = stringValue
    }

    init?(intValue: Int) {
      nil
    }
  }
}
