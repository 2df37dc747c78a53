import HTTPService
import Primitives

/// The command line from its words to the exit status.
struct Program {
  let context: CommandContext

  /// Runs the command that the words name; the program's own name is not among them.
  func run(_ words: [String]) -> ExitStatus {
    do {
      return try perform(words)
    } catch let error as UsageError {
      report(error.message, cause: nil, remedy: error.remedy)
      context.errors.write("usage: \(error.command?.usage ?? "gnomon COMMAND …")\n")
      return .usage
    } catch let error as GnomonError {
      report(error.message, cause: error.cause, remedy: error.remedy)
      return ExitStatus(error.code)
    } catch {
      report("\(error)", cause: nil, remedy: nil)
      return .failure
    }
  }

  private func perform(_ words: [String]) throws -> ExitStatus {
    let commands = Command.all
    // Options come behind the command, so the leading words without a dash name it.
    let names = words.prefix { !$0.hasPrefix("-") }
    let command = commands.first { names.starts(with: $0.spec.path) }
    if let command {
      let rest = Array(words.dropFirst(command.spec.path.count))
      let arguments = try ArgumentParser(command: command.spec).parse(rest)
      guard !arguments.has(.help) else {
        context.output.write(Help.text(of: command.spec))
        return .ok
      }
      return try command.run(Invocation(spec: command.spec, arguments: arguments, context: context))
    }
    let group = commands.map(\.spec).filter { names.isEmpty || $0.path.first == names.first }
    let next = words.dropFirst(min(names.count, 1)).first
    if !group.isEmpty, next == "--help" || next == "-h" {
      context.output.write(Help.overview(of: group))
      return .ok
    }
    if words == ["--version"] { return try perform(["version"]) }
    if let option = words.first, option.hasPrefix("-") {
      throw UsageError(message: "the command comes before \(option)", remedy: "see 'gnomon help'")
    }
    throw Self.unknownCommand(Array(names))
  }

  /// The error for words that name no command.
  static func unknownCommand(_ names: [String]) -> UsageError {
    let specs = Command.all.map(\.spec)
    guard let first = names.first else {
      return UsageError(message: "no command is named", remedy: "see 'gnomon help'")
    }
    let verbs = specs.filter { $0.path.first == first }.compactMap { $0.path.dropFirst().first }
    guard !verbs.isEmpty else {
      var groups: [String] = []
      for spec in specs where !groups.contains(spec.path[0]) { groups.append(spec.path[0]) }
      return UsageError(
        message: "unknown command '\(first)'", remedy: NearestName.remedy(for: first, among: groups))
    }
    guard names.count > 1 else {
      return UsageError(message: "what about the \(first)?", remedy: NearestName.remedy(for: "", among: verbs))
    }
    return UsageError(
      message: "unknown command '\(first) \(names[1])'", remedy: NearestName.remedy(for: names[1], among: verbs))
  }

  private func report(_ message: String, cause: String?, remedy: String?) {
    var text = "gnomon: " + message
    if let cause { text += ": " + cause }
    context.errors.write(Table.printable(text) + "\n")
    if let remedy { context.errors.write("  " + Table.printable(remedy) + "\n") }
  }
}
