import Testing

@testable import gnomon

/// Words to options and positionals.
@Suite struct ArgumentTests {
  private static let name = OptionSpec(name: "name", value: "TEXT", summary: "")
  private static let many = OptionSpec(name: "many", value: "TEXT", summary: "", isRepeatable: true)
  private static let flag = OptionSpec(name: "flag", summary: "")

  private func parse(_ words: String..., required: Bool = false) throws(UsageError) -> ParsedArguments {
    var options = [Self.name, Self.many, Self.flag]
    if required { options.append(OptionSpec(name: "must", value: "X", summary: "", isRequired: true)) }
    let spec = CommandSpec(
      path: ["test"], summary: "", positionals: [.init(name: "A"), .init(name: "B", isOptional: true)],
      options: options)
    return try ArgumentParser(command: spec).parse(words)
  }

  @Test func optionsStandAnywhere() throws {
    let expected = ParsedArguments(positionals: ["a", "b"], options: ["name": ["n"], "flag": [""]])
    #expect(try parse("--name", "n", "--flag", "a", "b") == expected)
    #expect(try parse("a", "--name=n", "b", "--flag") == expected)
    #expect(try parse("a", "b", "--flag", "--name", "n") == expected)
  }

  @Test func valuesAreTakenAsTheyAre() throws {
    #expect(try parse("--name=a=b", "x").value(Self.name) == "a=b")
    #expect(try parse("--name", "-1", "x").value(Self.name) == "-1")
    #expect(try parse("--name=--flag", "x").value(Self.name) == "--flag")
    #expect(try parse("--many", "1", "x", "--many=2").values(Self.many) == ["1", "2"])
  }

  @Test func whatFollowsTwoDashesIsPositional() throws {
    #expect(try parse("--", "--flag", "-x").positionals == ["--flag", "-x"])
    #expect(try parse("-", "--", "--").positionals == ["-", "--"])
  }

  @Test func helpForgivesWhatIsMissing() throws {
    #expect(try parse("--help", required: true).has(.help))
    #expect(try parse("-h").has(.help))
  }

  private func problem(_ words: [String], required: Bool = false) -> (message: String, remedy: String?)? {
    do {
      switch words.count {
      case 0: _ = try parse(required: required)
      case 1: _ = try parse(words[0], required: required)
      case 2: _ = try parse(words[0], words[1], required: required)
      default: _ = try parse(words[0], words[1], words[2], required: required)
      }
      return nil
    } catch {
      return (error.message, error.remedy)
    }
  }

  @Test(arguments: [
    ([], "A is missing", nil), (["a", "b", "c"], "unexpected argument 'c'", nil),
    (["a", "--nmae", "x"], "unknown option --nmae", "did you mean '--name'?"),
    (["a", "--zzzzzzzz"], "unknown option --zzzzzzzz", "allowed: --name, --many, --flag, --help"),
    (["a", "--name"], "option --name needs a value", "write --name TEXT"),
    (["a", "--name="], "option --name needs a value", "write --name TEXT"),
    (["a", "--name", "--flag"], "option --name needs a value", "write --name=TEXT"),
    (["a", "--flag=x"], "option --flag takes no value", nil),
    (["--flag", "--flag", "a"], "option --flag is given twice", nil),
    (["--name=a", "--name=b", "a"], "option --name is given twice", nil),
    (["a", "-x"], "unknown option -x", "options are long: see 'gnomon help test'"),
  ])
  func mistakesAreTold(words: [String], message: String, remedy: String?) {
    let problem = problem(words)
    #expect(problem?.message == message)
    #expect(problem?.remedy == remedy)
  }

  @Test func requiredOptionsAreRequired() {
    #expect(problem(["a"], required: true)?.message == "option --must is missing")
    #expect(problem(["a", "--must", "x"], required: true) == nil)
  }

  @Test func everyCommandIsDescribed() {
    for spec in Command.all.map(\.spec) {
      #expect(!spec.examples.isEmpty, "\(spec.name)")
      #expect(!spec.summary.hasSuffix("."), "\(spec.name)")
      for example in spec.examples {
        #expect(example.line.hasPrefix("gnomon \(spec.name)"), "\(spec.name)")
      }
      #expect(Set(spec.options.map(\.name)).count == spec.options.count, "\(spec.name)")
    }
  }
}
