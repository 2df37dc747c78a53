import HTTPService

extension Command {
  /// `gnomon version`
  static let version = Command(
    spec: CommandSpec(
      path: ["version"], summary: "Show the version of this program", options: [.json],
      details: ["The daemon may be of another version: 'gnomon status' shows its own."],
      examples: [.init(text: "For people", line: "gnomon version")])
  ) { run in
    run.show(["version": Version.current]) { "gnomon \(Version.current)\n" }
    return .ok
  }

  /// `gnomon help`
  static let help = Command(
    spec: CommandSpec(
      path: ["help"], summary: "Show help for a command",
      positionals: [
        PositionalSpec(name: "COMMAND", isOptional: true), PositionalSpec(name: "VERB", isOptional: true),
      ],
      examples: [.init(text: "Everything about creating a pool", line: "gnomon help pool create")])
  ) { run in
    let words = run.arguments.positionals
    let matches = all.map(\.spec).filter { $0.path.starts(with: words) }
    if matches.isEmpty { throw Program.unknownCommand(words) }
    run.context.output.write(matches.count == 1 ? Help.text(of: matches[0]) : Help.overview(of: matches))
    return .ok
  }
}
