import HTTPService
import Primitives
import Testing

/// The parser of JSON and JSON5.
@Suite struct JSONTests {
  private func parse(_ text: String, json5: Bool = false) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), json5: json5)
  }

  private func cause(_ text: String, json5: Bool = false) -> String? {
    do {
      _ = try parse(text, json5: json5)
      return "it was accepted"
    } catch {
      return (error as? GnomonError)?.cause
    }
  }

  @Test func readsEveryKindOfValue() throws {
    let text = #"{"a":[null,true,false,-1,9223372036854775807,1.5,1e3],"b":{"c":"x\n\u00e9\ud83d\ude00\/"}}"#
    #expect(
      try parse(text)
        == .object([
          "a": .array([
            .null, .boolean(true), .boolean(false), .integer(-1), .integer(.max), .number(1.5),
            .integer(1000),
          ]),
          "b": .object(["c": .string("x\né😀/")]),
        ]))
  }

  @Test func keysAreBounded() throws {
    func object(_ count: Int) -> String { "{\"" + String(repeating: "k", count: count) + "\": 1}" }
    _ = try parse(object(256))
    #expect(cause(object(257)) == "line 1, column 2: the key is too long")
    // Half a million bytes of two kinds of accents: to put them into order takes minutes.
    let accents =
      String(repeating: "\u{301}", count: 128 << 10) + String(repeating: "\u{323}", count: 128 << 10)
    #expect(cause("{\"" + accents + "\": 1}") == "line 1, column 2: the key is too long")
  }

  @Test func readsWhatJSON5Adds() throws {
    let text = """
      // a comment
      { bare: 'it''s', /* another */ "quoted": +.5, $hex_1: 0xFF, list: [1, 2,], end: 5., minus: -0x10, }
      """
    #expect(throws: GnomonError.self) { try parse(text, json5: true) }
    let fixed = text.split(separator: "''").joined(separator: "\\'")
    #expect(
      try parse(fixed, json5: true)
        == .object([
          "bare": .string("it's"), "quoted": .number(0.5), "$hex_1": .integer(255),
          "list": .array([.integer(1), .integer(2)]), "end": .integer(5), "minus": .integer(-16),
        ]))
  }

  @Test(arguments: [
    "{a:1}", "{'a':1}", "[1,]", "[01]", "[+1]", "[.5]", "[5.]", "[0x1]", "[NaN]", "// x\n1", "[1 2]", "tru",
    "[1]]",
    "\"\u{1}\"", "\"\\x41\"", "nil", "-", "1e", "[1e999]",
  ])
  func strictJSONIsStrict(text: String) {
    #expect(throws: GnomonError.self) { try parse(text) }
  }

  @Test(arguments: [
    ("", "line 1, column 1: the text is empty"),
    ("{ a: 1,\n  b: }", "line 2, column 6: a value is expected here"),
    ("{ a: 1,\n  b 2 }", "line 2, column 5: ':' is expected behind the key 'b'"),
    ("{ a: 1\n  b: 2 }", "line 2, column 3: ',' or '}' is expected here"),
    ("{ a: 1,\n  a: 2 }", "line 2, column 3: the key 'a' is there twice"),
    ("{ a: {\n", "line 2, column 1: the text ends within what begins at line 1, column 6"),
    ("{ a: on }", "line 1, column 6: a value is expected; text must be in quotes"),
    ("{ a: 'x\n' }", "line 1, column 8: a control character must be escaped in a string"),
    ("\n\n  /* x", "line 3, column 3: a comment is not closed"),
    ("{ a: 1 } b", "line 1, column 10: the end is expected here"),
    ("{ a: 1.2.3 }", "line 1, column 6: '1.2.3' is no number"),
    ("'\\ud800'", "line 1, column 2: half of a surrogate pair is missing"),
  ])
  func errorsNameTheirPlace(text: String, cause: String) {
    #expect(self.cause(text, json5: true) == cause)
  }

  @Test func nestingIsBounded() {
    let deep = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
    #expect(throws: Never.self) { try parse(deep) }
    #expect(cause(String(repeating: "[", count: 60_000)) == "line 1, column 65: values are nested too deep")
    #expect(cause(String(repeating: "{\"a\":", count: 60_000)) != "it was accepted")
  }

  @Test func textMustBeUTF8() {
    #expect(throws: GnomonError(.invalid, "this is not JSON", cause: "it is not UTF-8")) {
      try JSONValue(parsing: [0x22, 0xff, 0x22])
    }
  }

  @Test func writesKeysSorted() {
    #expect(
      JSONText.encode(VolumeRequest(name: "a/b", sizeBytes: 4096))
        == Array(#"{"name":"a/b","readOnly":false,"sizeBytes":4096}"#.utf8) + [10])
  }
}
