#if FAULT_INJECTION
import Foundation
import Primitives
import Testing

/// A simulator that finds nothing proves nothing: each deliberate bug is found.
///
/// In a process of its own each, because a bug may well make the real code stop the process.
@Suite struct CanaryTests {
  /// Worlds in which each must have been found.
  private static let worldsMax = 600

  @Test(arguments: Canary.allCases)
  func isFound(_ canary: Canary) throws {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(filePath: tests).deletingLastPathComponent().appending(path: "gnomon-sim")
    process.arguments = ["--canary", "\(canary)", "--seeds", "1", "\(Self.worldsMax)"]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let found = output.split(separator: "\n").last { $0.hasPrefix("seed ") }
    print("\(canary): \(found ?? "not found")")
    #expect(found != nil && process.terminationStatus != 0)
  }
}
#endif
