import Daemon
import HTTPService
import Primitives
import TestSupport
import Synchronization
import Testing

@testable import gnomon

/// Tables, lists and help.
@Suite struct OutputTests {
  @Test func columnsAreAligned() {
    var table = Table([.init(title: "NAME"), .init(title: "SIZE", alignment: .right), .init(title: "PATH")])
    table.add(["a", "10 GiB", "/x"])
    table.add(["größer", "1 B", ""])
    #expect(
      table.text == """
        NAME      SIZE  PATH
        a       10 GiB  /x
        größer     1 B  -

        """)
  }

  @Test func controlCharactersDoNotReachTheTerminal() {
    #expect(Table.printable("a\u{1b}[2Jb\nc\u{9b}") == "a?[2Jb?c?")
  }

  @Test(arguments: [
    (0.04, "0.0"), (12.34, "12.3"), (99.96, "100.0"), (1e300, "1e+300"), (Double.infinity, "inf"),
  ])
  func figuresHaveOneDecimal(value: Double, text: String) {
    #expect(Figures.tenths(value) == text)
  }

  @Test func progressIsALineOfALogNowAndThen() {
    let written = Mutex("")
    let errors = TextOutput { text in written.withLock { $0 += text } }
    var progress = ProgressLine(
      CommandContext(output: TextOutput { _ in }, errors: errors, offline: PoolOperations()))
    for line in ["half", "half", "more"] { progress.show(line) }
    progress.clear()
    // The last came at once: it would be one line too many.
    #expect(written.withLock { $0 } == "half\n")
  }

  @Test func propertiesAreAligned() {
    var list = PropertyList()
    list.add("a", "1")
    list.add("longer", "2")
    #expect(list.text == "a:       1\nlonger:  2\n")
  }

  @Test(
    arguments: [
      (0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3661, "1 h 1 min"), (93_784, "1 d 2 h"),
      (86_400, "1 d 0 h"),
    ] as [(UInt64, String)])
  func durationsHaveTwoUnits(seconds: UInt64, text: String) {
    #expect(Command.duration(seconds) == text)
  }

  @Test func helpFitsTheTerminal() {
    for spec in Command.all.map(\.spec) {
      // Usage and examples are to be copied, so they are not broken.
      let free = Help.text(of: spec).split(separator: "\n").filter { $0.count > Help.width }
      for line in free { #expect(line.contains("gnomon \(spec.name)"), "\(line)") }
    }
  }

  @Test func everyCodeHasItsExitStatus() {
    #expect(GnomonError.Code.allCases.map { ExitStatus($0).rawValue } == [2, 6, 4, 7, 5, 1, 3])
  }

  @Test func theDocumentIsUpToDate() throws {
    #expect(try Golden.difference(CommandDocument.text, from: "docs/cli.md") == nil)
  }
}
