import Glibc
import Primitives

exit(runProgram().rawValue)

/// Runs the command line of this process.
private func runProgram() -> ExitStatus {
  // A reader that goes away, as in `gnomon volume list | head -1`, must not kill the program.
  signal(SIGPIPE, SIG_IGN)
  var environment: [String: String] = [:]
  if let pool = unsafe getenv("GNOMON_POOL") { environment["GNOMON_POOL"] = unsafe String(cString: pool) }
  #if FAULT_INJECTION
  letOutCanary()
  #endif
  let context = CommandContext(
    environment: environment, workingDirectory: workingDirectory(), output: .descriptor(STDOUT_FILENO),
    errors: .descriptor(STDERR_FILENO), isTerminal: isatty(STDERR_FILENO) == 1,
    offline: offlineOperations())
  return Program(context: context).run(Array(CommandLine.arguments.dropFirst()))
}

#if FAULT_INJECTION
/// Lets out the deliberate bug that GNOMON_CANARY names, to prove that the end-to-end tests find it.
private func letOutCanary() {
  guard let name = unsafe getenv("GNOMON_CANARY") else { return }
  guard let canary = unsafe Canary(name: String(cString: name)) else {
    preconditionFailure("GNOMON_CANARY names no canary")
  }
  Canary.letOut(canary)
}
#endif

private func workingDirectory() -> String {
  guard let path = unsafe getcwd(nil, 0) else { return "/" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}
