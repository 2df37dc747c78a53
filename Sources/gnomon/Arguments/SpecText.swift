import HTTPService
import Primitives

/// The text `NAME=VALUE,key=value,…` that describes a store or volume on the command line.
///
/// In every part `\,` is a comma and `\\` a backslash; a backslash before anything else is itself.
struct SpecText: Equatable {
  let name: String
  let value: String
  let keys: [String: String]

  /// Parses the text.
  ///
  /// - Parameters:
  ///   - kind: `store` or `volume`, for messages.
  ///   - form: how it should look, for messages.
  ///   - allowed: the keys that there are.
  init(parsing text: String, kind: String, form: String, allowed: [String]) throws(GnomonError) {
    let parts = Self.split(text)
    guard let (name, value) = Self.pair(parts[0]), !value.isEmpty else {
      throw GnomonError(.invalid, "a \(kind) can not be read from '\(text)'", remedy: "write it as \(form)")
    }
    var keys: [String: String] = [:]
    for part in parts.dropFirst() {
      guard let (key, value) = Self.pair(part) else {
        throw GnomonError(
          .invalid, "\(kind) '\(name)': '\(part)' is not of the form KEY=VALUE",
          remedy: "write it as \(form); a comma within a value is written \\,")
      }
      guard allowed.contains(key) else {
        throw GnomonError(
          .invalid, "\(kind) '\(name)': unknown key '\(key)'",
          remedy: NearestName.remedy(for: key, among: allowed))
      }
      guard keys.updateValue(value, forKey: key) == nil else {
        throw GnomonError(.invalid, "\(kind) '\(name)': '\(key)' is given twice")
      }
    }
    self.name = name
    self.value = value
    self.keys = keys
  }

  /// Cuts at commas that are not escaped, and removes the escapes.
  private static func split(_ text: String) -> [String] {
    var parts = [""]
    var rest = text[...]
    while let character = rest.popFirst() {
      switch character {
      case "\\" where rest.first == "," || rest.first == "\\":
        parts[parts.count - 1].append(rest.removeFirst())
      case ",":
        parts.append("")
      default:
        parts[parts.count - 1].append(character)
      }
    }
    return parts
  }

  private static func pair(_ text: String) -> (String, String)? {
    guard let equals = text.firstIndex(of: "=") else { return nil }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }
}
