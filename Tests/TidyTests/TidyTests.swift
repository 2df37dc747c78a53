import Foundation
import Testing

/// The checkable part of the style, checked over everything in `Sources/`, and file by file in `Fuzz/`.
@Suite struct TidyTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func sources(in folder: String = "Sources") throws -> [SourceText] {
    let folder = root.appending(path: folder)
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path())
    return try names.filter { $0.hasSuffix(".swift") }.sorted().map { name in
      SourceText(path: name, text: try String(contentsOf: folder.appending(path: name), encoding: .utf8))
    }
  }

  static func layers() throws -> Layers {
    Layers(manifest: try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8))
  }

  static func report(_ violations: [Violation]) -> Comment {
    Comment(rawValue: violations.map(\.description).joined(separator: "\n"))
  }

  @Test func everyFileFollowsTheRules() throws {
    let sources = try Self.sources()
    #expect(sources.count > 10)
    let violations = try (sources + Self.sources(in: "Fuzz")).flatMap(FileRules.check)
    #expect(violations.isEmpty, Self.report(violations))
  }

  @Test func importsPointDown() throws {
    let layers = try Self.layers()
    #expect(layers.layers.count > 8)
    let violations = try layers.violations() + Self.sources().flatMap(layers.violations(in:))
    #expect(violations.isEmpty, Self.report(violations))
  }

  @Test func everyFolderIsATargetAndHasNoPlaceholder() throws {
    let layers = try Self.layers()
    let known = Set(layers.layers.map(\.name) + layers.libraries)
    let folders = try FileManager.default.contentsOfDirectory(
      atPath: Self.root.appending(path: "Sources").path())
    #expect(Set(folders).subtracting(known).isEmpty)
    let placeholders = try Self.sources().filter { $0.path.hasSuffix("Placeholder.swift") }.map(\.path)
    #expect(placeholders.isEmpty)
  }
}
