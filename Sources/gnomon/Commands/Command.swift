import Daemon
import HTTPService
import Primitives

/// A command: what it takes, and what it does.
struct Command: Sendable {
  let spec: CommandSpec
  let run: @Sendable (Invocation) throws -> ExitStatus

  /// All commands, in the order of the help.
  static let all: [Command] =
    [serve] + poolCommands + storeCommands + volumeCommands + moveCommands + jobCommands + scrubCommands
    + loadCommands + predictionCommands + planCommands + hintCommands
    + [health, check, replay, status, version, help]
}

/// What a command works with besides its arguments.
struct CommandContext: Sendable {
  var environment: [String: String] = [:]
  var workingDirectory = "/"
  var output: TextOutput
  var errors: TextOutput
  /// Whether `errors` is a terminal, on which a line can be written again.
  var isTerminal = false
  var offline: any OfflineOperations
}

/// One run of a command.
struct Invocation: Sendable {
  let spec: CommandSpec
  let arguments: ParsedArguments
  let context: CommandContext

  /// The absolute path of the pool's folder, from `--pool`, a positional or the environment.
  func poolDirectory(positional: String? = nil) throws -> String {
    let option = arguments.value(.pool)
    if let positional, let option, positional != option {
      throw UsageError(
        message: "two pools are named: '\(positional)' and '\(option)'", remedy: "name one", command: spec)
    }
    let variable = context.environment["GNOMON_POOL"].flatMap { $0.isEmpty ? nil : $0 }
    guard let path = positional ?? option ?? variable else {
      throw UsageError(
        message: "no pool is named", remedy: "add --pool DIR, or set GNOMON_POOL=DIR", command: spec)
    }
    return AbsolutePath.of(path, from: context.workingDirectory)
  }

  /// Calls the daemon of the pool; if there is none, says how to start it.
  func withDaemon<Result>(
    positional: String? = nil, _ body: (APIClient) throws -> Result
  ) throws -> Result {
    let directory = try poolDirectory(positional: positional)
    do {
      return try body(APIClient(socket: Configuration.apiSocket(of: directory)))
    } catch var error as GnomonError where error.code == .unavailable && error.remedy == nil {
      error.remedy = "start it: gnomon serve --pool \(ShellWord.quoted(directory))"
      throw error
    }
  }

  /// Prints the value as JSON if it was asked for, else as text.
  func show(_ value: some Encodable, as text: () throws -> String) rethrows {
    if arguments.has(.json) {
      context.output.write(String(decoding: JSONText.encode(value, pretty: true), as: UTF8.self))
    } else {
      context.output.write(try text())
    }
  }
}

/// Words in command lines that are to be copied.
enum ShellWord {
  /// The word as a shell reads it.
  static func quoted(_ word: String) -> String {
    let plain = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:@%".contains($0)) }
    if plain && !word.isEmpty { return word }
    return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
