/// The layers as `Package.swift` declares them, bottom up; after the program itself, what only tests link.
struct Layers: Equatable {
  struct Layer: Equatable {
    let name: String
    let imports: [String]
    /// Only tests and developers link it.
    var isHarness = false
  }

  var layers: [Layer] = []
  /// System-library targets: one C library each.
  var libraries: [String] = []

  /// Reads `layer("Name", ["A", …])`, `harness(…)`, the executables and the system libraries out of a
  /// manifest's text.
  init(manifest: String) {
    for range in manifest.ranges(of: ".systemLibrary(name:") {
      libraries += Self.strings(in: manifest[range.upperBound...].prefix { $0 != "," })
    }
    let heads = ["layer(", "harness(", ".executableTarget("]
    let places = heads.flatMap { head in manifest.ranges(of: head).map { ($0, head) } }
    for (range, head) in places.sorted(by: { $0.0.lowerBound < $1.0.lowerBound }) {
      let rest = manifest[range.upperBound...].drop { $0.isWhitespace }
      // The declarations of the helpers themselves have no string as their first argument.
      guard rest.first == "\"" || rest.hasPrefix("name: \"") else { continue }
      // With a path of its own it does not lie in `Sources/`: it is no layer.
      if head == ".executableTarget(", rest.prefix(while: { $0 != ")" }).contains("path:") { continue }
      append(rest, isHarness: head == "harness(")
    }
  }

  private mutating func append(_ rest: Substring, isHarness: Bool) {
    let body = rest.prefix { $0 != "]" }
    let names = Self.strings(in: body)
    guard let name = names.first else { return }
    layers.append(Layer(name: name, imports: Array(names.dropFirst()), isHarness: isHarness))
  }

  private static func strings(in text: Substring) -> [String] {
    let parts = text.split(separator: "\"", omittingEmptySubsequences: false)
    return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
  }

  /// Imports that point up or sideways in the manifest, and libraries with more or fewer than one user
  /// in the program.
  func violations() -> [Violation] {
    var found: [Violation] = []
    var below: Set<String> = Set(libraries)
    for layer in layers {
      for name in layer.imports where !below.contains(name) {
        found.append(
          Violation(
            rule: "layering", path: "Package.swift", line: 0,
            detail: "\(layer.name) imports \(name), which is not below it"))
      }
      below.insert(layer.name)
    }
    for library in libraries {
      let users = layers.filter { !$0.isHarness && $0.imports.contains(library) }.map(\.name)
      if users.count != 1 {
        found.append(
          Violation(
            rule: "one importer", path: "Package.swift", line: 0,
            detail: "\(library) is imported by \(users.isEmpty ? "nobody" : users.joined(separator: ", "))"))
      }
    }
    return found
  }

  /// Imports of a file that its target did not declare.
  func violations(in source: SourceText) -> [Violation] {
    let ours = Set(layers.map(\.name) + libraries)
    let declared = Set(layers.first { $0.name == source.target }?.imports ?? [])
    return source.codeLines.enumerated().compactMap { number, line in
      guard let name = Self.imported(line), ours.contains(name), !declared.contains(name) else { return nil }
      return Violation(
        rule: "layering", path: source.path, line: number + 1,
        detail: "\(source.target) may not import \(name)")
    }
  }

  /// The module that a line imports.
  static func imported(_ line: String) -> String? {
    var words = line.split(whereSeparator: \.isWhitespace)[...]
    while let first = words.first,
      first.hasPrefix("@") || ["public", "package", "internal", "private"].contains(first)
    {
      words = words.dropFirst()
    }
    guard words.first == "import" else { return nil }
    words = words.dropFirst()
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "let", "var", "typealias"]
    if let kind = words.first, kinds.contains(kind) { words = words.dropFirst() }
    return words.first.map { String($0.prefix { $0 != "." && $0 != ";" }) }
  }
}
