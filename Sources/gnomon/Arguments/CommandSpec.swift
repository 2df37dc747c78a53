/// What a command takes, and the words of its help.
struct CommandSpec: Sendable, Equatable {
  /// The words that select it: `["pool", "create"]`.
  let path: [String]
  /// One sentence without a full stop.
  let summary: String
  var positionals: [PositionalSpec] = []
  var options: [OptionSpec] = []
  /// Further paragraphs of the help.
  var details: [String] = []
  /// Command lines, each with the words that say what it does.
  var examples: [Example] = []

  struct Example: Sendable, Equatable {
    let text: String
    let line: String
  }

  var name: String { path.joined(separator: " ") }

  /// `gnomon pool create DIR --store SPEC [--volume SPEC]…`
  var usage: String {
    (["gnomon", name] + positionals.map(\.usage) + options.filter(\.isShownInUsage).map(\.usage))
      .joined(separator: " ")
  }
}

/// An argument without a name.
struct PositionalSpec: Sendable, Equatable {
  let name: String
  var isOptional = false
  /// More may follow; only of the last one.
  var isRepeatable = false

  var usage: String { (isOptional ? "[\(name)]" : name) + (isRepeatable ? "…" : "") }
}

/// An argument with a name.
struct OptionSpec: Sendable, Equatable {
  /// Without the dashes.
  let name: String
  /// What its value is called; nil: it takes none.
  var value: String?
  let summary: String
  var isRequired = false
  var isRepeatable = false
  var isShownInUsage = true

  /// `--store SPEC`
  var form: String { "--" + name + (value.map { " " + $0 } ?? "") }

  var usage: String {
    (isRequired ? form : "[\(form)]") + (isRepeatable ? (isRequired ? " [\(form)]…" : "…") : "")
  }

  static let help = OptionSpec(name: "help", summary: "show this help", isShownInUsage: false)
  static let json = OptionSpec(name: "json", summary: "print JSON for programs")
  static let wait = OptionSpec(
    name: "wait", summary: "wait for the end; progress goes to stderr")
  static let pool = OptionSpec(
    name: "pool", value: "DIR", summary: "the pool's folder; without it, $GNOMON_POOL")
}
