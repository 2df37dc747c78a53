import FoundationEssentials

/// How Gnomon writes JSON: keys sorted, slashes as they are, a line feed at the end.
public enum JSONText {
  /// One line, or with `pretty` one value per line.
  public static func encode(_ value: some Encodable, pretty: Bool = false) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    // Only numbers that JSON can not write can fail, and no model has one that was not checked.
    guard let data = try? encoder.encode(value) else { return Array("null\n".utf8) }
    return Array(data) + [UInt8(ascii: "\n")]
  }

  /// Decodes a model; nil if the text is not one.
  public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
    try? JSONDecoder().decode(type, from: Data(bytes))
  }
}
