/// The text of docs/cli.md, made from the commands themselves.
enum CommandDocument {
  static var text: String {
    var text = head
    for command in Command.all.map(\.spec) {
      text +=
        "- [`gnomon \(command.name)`](#gnomon-\(command.path.joined(separator: "-"))): \(command.summary)\n"
    }
    for command in Command.all.map(\.spec) {
      text += "\n## gnomon \(command.name)\n\n```\n\(Help.text(of: command))```\n"
    }
    text += "\n## Exit status\n\n| status | meaning |\n| --- | --- |\n"
    for status in ExitStatus.allCases { text += "| \(status.rawValue) | \(status.meaning) |\n" }
    return text
  }

  private static let head = """
    # Command line

    Results go to stdout, messages to stderr. Options may stand before or behind other arguments, as
    `--name value` or `--name=value`; what follows `--` is no option. `--json` prints what the API answers,
    for programs: its keys are stable, sizes are bytes.

    Commands that need a running daemon find it by the pool's folder, `--pool DIR` or the variable
    `GNOMON_POOL`, in which it listens at `api.sock`. `pool create` and `check` need none.


    """
}
