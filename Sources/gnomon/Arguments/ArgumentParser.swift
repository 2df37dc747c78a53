import HTTPService

/// A command line that can not be understood; answered with the usage line and exit status 2.
struct UsageError: Error, Equatable {
  let message: String
  var remedy: String?
  /// The command that was meant, as far as it is known.
  var command: CommandSpec?
}

/// The arguments of a command, sorted out.
struct ParsedArguments: Sendable, Equatable {
  var positionals: [String] = []
  var options: [String: [String]] = [:]

  func has(_ option: OptionSpec) -> Bool {
    options[option.name] != nil
  }

  func value(_ option: OptionSpec) -> String? {
    options[option.name]?.last
  }

  func values(_ option: OptionSpec) -> [String] {
    options[option.name] ?? []
  }
}

/// Sorts the words behind a command into options and positionals.
///
/// Options may stand anywhere; `--name value` and `--name=value` are the same; what follows `--` is
/// positional whatever it looks like.
struct ArgumentParser {
  let command: CommandSpec

  func parse(_ words: [String]) throws(UsageError) -> ParsedArguments {
    var result = ParsedArguments()
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        result.positionals += rest
        break
      } else if word == "-h" {
        result.options[OptionSpec.help.name] = [""]
      } else if word.hasPrefix("--") {
        try parseOption(word.dropFirst(2), &rest, &result)
      } else if word.hasPrefix("-"), word != "-" {
        throw error("unknown option \(word)", "options are long: see 'gnomon help \(command.name)'")
      } else {
        result.positionals.append(word)
      }
    }
    if result.has(.help) { return result }
    try check(result)
    return result
  }

  private func parseOption(
    _ text: Substring, _ rest: inout ArraySlice<String>, _ result: inout ParsedArguments
  ) throws(UsageError) {
    let equals = text.firstIndex(of: "=")
    let name = String(text[..<(equals ?? text.endIndex)])
    let known = command.options + [.help]
    guard let option = known.first(where: { $0.name == name }) else {
      let names = known.map { "--" + $0.name }
      throw error("unknown option --\(name)", NearestName.remedy(for: "--" + name, among: names))
    }
    if result.has(option), !option.isRepeatable { throw error("option --\(name) is given twice") }
    var value = equals.map { String(text[text.index(after: $0)...]) }
    if let placeholder = option.value {
      if value == nil, let next = rest.first {
        guard !next.hasPrefix("--") else {
          throw error("option --\(name) needs a value", "write --\(name)=\(placeholder)")
        }
        value = rest.removeFirst()
      }
      guard let value, !value.isEmpty else {
        throw error("option --\(name) needs a value", "write --\(name) \(placeholder)")
      }
      result.options[name, default: []].append(value)
    } else {
      guard value == nil else { throw error("option --\(name) takes no value") }
      result.options[name] = [""]
    }
  }

  private func check(_ result: ParsedArguments) throws(UsageError) {
    let least = command.positionals.count { !$0.isOptional }
    if result.positionals.count < least {
      throw error("\(command.positionals[result.positionals.count].name) is missing")
    }
    let takesMore = command.positionals.last?.isRepeatable ?? false
    if !takesMore, result.positionals.count > command.positionals.count {
      throw error("unexpected argument '\(result.positionals[command.positionals.count])'")
    }
    for option in command.options where option.isRequired && !result.has(option) {
      throw error("option --\(option.name) is missing")
    }
  }

  private func error(_ message: String, _ remedy: String? = nil) -> UsageError {
    UsageError(message: message, remedy: remedy, command: command)
  }
}
