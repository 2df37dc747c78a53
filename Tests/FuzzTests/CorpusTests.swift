import Foundation
import FuzzTargets
import Testing

/// Everything that fuzzing has kept is tried again: inputs that reach much, and inputs that broke something.
@Suite struct CorpusTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fuzz/corpus")

  private static func inputs(of target: String) throws -> [(name: String, bytes: [UInt8])] {
    let folder = folder.appending(path: target)
    return try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted().map { name in
      (name, Array(try Data(contentsOf: folder.appending(path: name))))
    }
  }

  @Test(arguments: FuzzTarget.all.map(\.name))
  func everyInputKeepsEveryProperty(name: String) throws {
    let target = try #require(FuzzTarget.named(name))
    let inputs = try Self.inputs(of: name)
    #expect(inputs.count >= 10)
    for input in inputs {
      do throws(PropertyFailure) {
        try target.run(input.bytes)
      } catch {
        Issue.record("\(name)/\(input.name): \(error)")
      }
    }
  }

  /// Prefixes and doublings reach what a fixed corpus does not: input that ends anywhere.
  @Test(arguments: FuzzTarget.all.map(\.name))
  func everyBeginningOfAnInputKeepsEveryProperty(name: String) throws {
    let target = try #require(FuzzTarget.named(name))
    for input in try Self.inputs(of: name) {
      let step = max(1, input.bytes.count / 16)
      for end in stride(from: 0, to: input.bytes.count, by: step) {
        do throws(PropertyFailure) {
          try target.run(Array(input.bytes[..<end]))
        } catch {
          Issue.record("\(name)/\(input.name), the first \(end) bytes: \(error)")
        }
      }
    }
  }

  @Test func everyFolderBelongsToATarget() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path())
    #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
  }
}
