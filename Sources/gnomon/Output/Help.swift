/// The words of `--help`.
enum Help {
  static let width = 96

  /// Commands with a line each.
  static func overview(of commands: [CommandSpec]) -> String {
    var text = "usage: gnomon COMMAND …\n\nCommands:\n"
    let column = commands.map(\.name.count).max() ?? 0
    for command in commands {
      text += "  " + padded(command.name, column) + "  " + command.summary + "\n"
    }
    return text + """

      Sizes are written like 4096, 512M, 10G, 10GiB. $GNOMON_POOL stands in for --pool DIR.
      Exit status: \(ExitStatus.allCases.map { "\($0.rawValue) \(word($0))" }.joined(separator: ", ")).
      'gnomon help COMMAND' or 'gnomon COMMAND --help' tells more.

      """
  }

  /// Everything about one command.
  static func text(of command: CommandSpec) -> String {
    var text = "usage: \(command.usage)\n\n\(command.summary).\n"
    for paragraph in command.details { text += "\n" + wrapped(paragraph, width) }
    text += "\nOptions:\n"
    let options = command.options + [.help]
    let column = options.map(\.form.count).max() ?? 0
    for option in options {
      let words = option.summary + (option.isRepeatable ? " (repeatable)" : "")
      let lines = wrapped(words, width - column - 4).split(separator: "\n")
      for (index, line) in lines.enumerated() {
        text += "  " + padded(index == 0 ? option.form : "", column) + "  " + line + "\n"
      }
    }
    text += "\nExamples:\n"
    for example in command.examples { text += "  # \(example.text)\n  \(example.line)\n" }
    return text
  }

  private static func word(_ status: ExitStatus) -> String {
    switch status {
    case .ok: "done"
    case .failure: "failed"
    case .usage: "wrong use"
    case .noDaemon: "no daemon"
    case .conflict: "conflict"
    case .corrupt: "corrupt"
    case .notFound: "not found"
    case .full: "full"
    }
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// Breaks text into lines of at most `width` characters; a longer word stays whole.
  static func wrapped(_ text: String, _ width: Int) -> String {
    var lines = [""]
    for word in text.split(separator: " ") {
      if let last = lines.last, !last.isEmpty, last.count + 1 + word.count > width { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines.map { $0 + "\n" }.joined()
  }
}
