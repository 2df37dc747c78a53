import Testing

/// Every rule finds its bad sample and leaves its good one alone.
@Suite struct RuleTests {
  private func rules(_ path: String, _ text: String) -> [String] {
    FileRules.check(SourceText(path: path, text: text)).map { "\($0.rule) \($0.line)" }
  }

  @Test func longLines() {
    let bound = String(repeating: "a", count: 110)
    #expect(rules("Daemon/A.swift", "\(bound)\nlet b = 1\n") == [])
    #expect(rules("Daemon/A.swift", "let a = 1\n\(bound)a\n") == ["line length 2"])
  }

  @Test func longFiles() {
    #expect(rules("Daemon/A.swift", String(repeating: "//\n", count: 500)) == [])
    #expect(rules("Daemon/A.swift", String(repeating: "//\n", count: 501)) == ["file length 501"])
  }

  @Test(arguments: ["func f() {", "init(a: Int) throws {", "deinit {", "subscript(i: Int) -> Int {"])
  func longFunctions(head: String) {
    let body = String(repeating: "  a()\n", count: 68)
    #expect(rules("Daemon/A.swift", "let a = 1\n\(head)\n\(body)}\n") == [])
    #expect(rules("Daemon/A.swift", "let a = 1\n\(head)\n\(body)  a()\n}\n") == ["function length 2"])
  }

  @Test func nestedFunctionsAreMeasuredEach() {
    let body = String(repeating: "    a()\n", count: 69)
    let text = "struct S {\n  func outer() {\n    func inner() {\n\(body)    }\n  }\n}\n"
    #expect(rules("Daemon/A.swift", text) == ["function length 2", "function length 3"])
  }

  @Test func requirementsHaveNoBody() {
    let text = "protocol P {\n  func f() -> Int\n  init()\n  var a: Int { get }\n}\n"
    #expect(FunctionScanner(SourceText(path: "", text: text).code).functions().isEmpty)
  }

  @Test func callsOfInitAreNoDeclarations() {
    let text = "let a = S.init()\nlet b = [1].map { S.init($0) }\n"
    #expect(FunctionScanner(SourceText(path: "", text: text).code).functions().isEmpty)
  }

  @Test func bracesInStringsAndCommentsDoNotCount() {
    let text = """
      func f() { // {
        let a = "{ \\(g("}") + "{") {"
        let b = #"{ " \\( { "#
        /* { /* { */ { */
      }
      func g() {}
      """
    let found = FunctionScanner(SourceText(path: "", text: text).code).functions()
    #expect(found == [.init(firstLine: 1, lastLine: 5), .init(firstLine: 6, lastLine: 6)])
  }

  @Test(arguments: Limits.banned.map(\.call))
  func bannedCallsInPureAndDataPlaneTargets(call: String) {
    for target in Limits.pure.union(Limits.dataPlane) {
      #expect(rules("\(target)/A.swift", "let a = \(call)\n").contains("banned call 1"))
    }
    #expect(rules("Daemon/A.swift", "let a = \(call)\n") == [])
    #expect(rules("NBDWire/A.swift", "// \(call)\nlet a = \"\(call)\"\n") == [])
    #expect(rules("NBDWire/A.swift", "let a = my\(call)\n") == [])
  }

  @Test func randomNumbersAreHandedIn() {
    #expect(rules("Stores/A.swift", "let a = Int.random(in: 0..<5)\n") == ["banned call 1"])
    #expect(rules("Stores/A.swift", "let a = Int.random(in: 0..<5, using: &generator)\n") == [])
  }

  @Test(arguments: ["TODO", "FIXME", "XXX"])
  func leftovers(word: String) {
    #expect(rules("Daemon/A.swift", "// \(word): later\n") == ["leftover 1"])
    #expect(rules("Daemon/A.swift", "let \(word)S = 1\n") == [])
  }

  private static let manifest = """
    func layer(_ name: String, _ imports: [String]) -> Target { }
    .systemLibrary(name: "CA", pkgConfig: "a"),
    .systemLibrary(name: "CB", pkgConfig: "b"),
    layer("Low", ["CA"]),
    layer(
      "High", ["Low", "CB"]),
    .executableTarget(name: "tool", dependencies: ["High", "Low"]),
    .executableTarget(name: "rig", dependencies: ["Elsewhere"], path: "Rig"),
    """

  @Test func layersAreRead() {
    let layers = Layers(manifest: Self.manifest)
    #expect(layers.libraries == ["CA", "CB"])
    #expect(layers.layers.map(\.name) == ["Low", "High", "tool"])
    #expect(layers.layers[1].imports == ["Low", "CB"])
    #expect(layers.violations().isEmpty)
  }

  @Test func importsThatPointUp() {
    let upward = Self.manifest.replacing("[\"CA\"]", with: "[\"CA\", \"High\"]")
    #expect(Layers(manifest: upward).violations().map(\.rule) == ["layering"])
  }

  @Test func librariesWithTwoImportersOrNone() {
    let twice = Self.manifest.replacing("\"CB\"]", with: "\"CB\", \"CA\"]")
    #expect(Layers(manifest: twice).violations().map(\.rule) == ["one importer"])
    let never = Self.manifest.replacing(", \"CB\"]", with: "]")
    #expect(Layers(manifest: never).violations().map(\.rule) == ["one importer"])
  }

  @Test(arguments: ["import High", "internal import High", "@preconcurrency public import struct High.Thing"])
  func importsThatWereNotDeclared(line: String) {
    let layers = Layers(manifest: Self.manifest)
    let source = { (path: String) in SourceText(path: path, text: "import Glibc\n\(line)\n// import CB\n") }
    #expect(layers.violations(in: source("Low/A.swift")).map(\.line) == [2])
    #expect(layers.violations(in: source("tool/A.swift")).isEmpty)
  }
}
