import Primitives

/// The fields of a JSON object in a request: every one is known, and each is of its kind.
///
/// Errors name the field by its path from the top of the body, like `$.sizeBytes`.
struct JSONFields {
  private let values: [String: JSONValue]

  /// Takes the object; refuses other values and fields that are not in `allowed`.
  init(_ value: JSONValue, allowed: [String]) throws(GnomonError) {
    guard case .object(let values) = value else {
      throw GnomonError(.invalid, "the body must be an object", cause: "it is \(value.kind)")
    }
    // Sorted, so that the same body gives the same message.
    for name in values.keys.sorted() where !allowed.contains(name) {
      throw GnomonError(
        .invalid, "unknown field $.\(name)", remedy: NearestName.remedy(for: name, among: allowed))
    }
    self.values = values
  }

  /// nil if the field is missing or null.
  private subscript(_ name: String) -> JSONValue? {
    let value = values[name]
    return value == .null ? nil : value
  }

  func string(_ name: String) throws(GnomonError) -> String? {
    guard let value = self[name] else { return nil }
    guard case .string(let text) = value else { throw mismatch(name, value, "a string") }
    return text
  }

  func bytes(_ name: String) throws(GnomonError) -> UInt64? {
    guard let value = self[name] else { return nil }
    guard case .integer(let number) = value, number >= 0 else {
      throw mismatch(name, value, "a whole number of bytes, from 0 to \(Int64.max)")
    }
    return UInt64(number)
  }

  func integer(_ name: String) throws(GnomonError) -> Int? {
    guard let value = self[name] else { return nil }
    guard case .integer(let number) = value else { throw mismatch(name, value, "a whole number") }
    return Int(number)
  }

  func number(_ name: String) throws(GnomonError) -> Double? {
    guard let value = self[name] else { return nil }
    switch value {
    case .integer(let number): return Double(number)
    case .number(let number): return number
    default: throw mismatch(name, value, "a number")
    }
  }

  /// Whether the field is there and null.
  func isNull(_ name: String) -> Bool { values[name] == .null }

  func tier(_ name: String) throws(GnomonError) -> Int? {
    guard let value = self[name] else { return nil }
    guard let tier = value.tier else { throw mismatch(name, value, "one of the \(Self.tierKind)") }
    return tier
  }

  func tiers(_ name: String) throws(GnomonError) -> TierSet? {
    guard let value = self[name] else { return nil }
    guard case .array(let values) = value else { throw mismatch(name, value, "a list of tiers, like [0, 2]") }
    var tiers = TierSet()
    for value in values {
      guard let tier = value.tier else { throw mismatch(name, value, "a list of \(Self.tierKind)") }
      tiers.insert(tier)
    }
    return tiers
  }

  private static let tierKind = "whole numbers from 0 (the fastest tier) to \(Tier.max)"

  func boolean(_ name: String) throws(GnomonError) -> Bool? {
    guard let value = self[name] else { return nil }
    guard case .boolean(let flag) = value else { throw mismatch(name, value, "true or false") }
    return flag
  }

  func choice<Choice>(_ name: String) throws(GnomonError) -> Choice?
  where Choice: RawRepresentable<String> & CaseIterable {
    guard let value = self[name] else { return nil }
    guard case .string(let text) = value, let choice = Choice(rawValue: text) else {
      throw mismatch(
        name, value, "one of " + Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
    }
    return choice
  }

  /// The value of a field that must be there.
  func required<Value>(_ name: String, _ value: Value?) throws(GnomonError) -> Value {
    guard let value else { throw GnomonError(.invalid, "the field $.\(name) is missing") }
    return value
  }

  private func mismatch(_ name: String, _ value: JSONValue, _ expected: String) -> GnomonError {
    GnomonError(
      .invalid, "wrong value of $.\(name)", cause: "it is \(value.summary)", remedy: "give \(expected)")
  }
}

extension JSONValue {
  /// The number of a tier; nil if it is something else.
  fileprivate var tier: Int? {
    guard case .integer(let number) = self, (0...Int64(Tier.max)).contains(number) else { return nil }
    return Int(number)
  }
}
