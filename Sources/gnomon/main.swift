import Glibc

exit(runProgram().rawValue)

/// Runs the command line of this process.
private func runProgram() -> ExitStatus {
  // A reader that goes away, as in `gnomon volume list | head -1`, must not kill the program.
  signal(SIGPIPE, SIG_IGN)
  var environment: [String: String] = [:]
  if let pool = unsafe getenv("GNOMON_POOL") { environment["GNOMON_POOL"] = unsafe String(cString: pool) }
  let context = CommandContext(
    environment: environment, workingDirectory: workingDirectory(), output: .descriptor(STDOUT_FILENO),
    errors: .descriptor(STDERR_FILENO), offline: offlineOperations())
  return Program(context: context).run(Array(CommandLine.arguments.dropFirst()))
}

private func workingDirectory() -> String {
  guard let path = unsafe getcwd(nil, 0) else { return "/" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}
