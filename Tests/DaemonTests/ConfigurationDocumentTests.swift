import Primitives
import TestSupport
import Testing

@testable import Daemon

/// docs/configuration.md.
@Suite struct ConfigurationDocumentTests {
  @Test func isUpToDate() throws {
    #expect(try Golden.difference(ConfigurationDocument.text, from: "docs/configuration.md") == nil)
  }

  @Test func itsExampleIsTheDefaults() throws {
    let text = ConfigurationDocument.text
    let example = try #require(text.split(separator: "```json5\n").last?.split(separator: "```").first)
    var reader = ConfigurationReader(defaults: Configuration(directory: "DIR"))
    try reader.read(Array(example.utf8))
    var expected = Configuration(directory: "DIR")
    expected.listenIsExplicit = true
    #expect(reader.configuration == expected)
  }
}
