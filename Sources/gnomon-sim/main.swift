import Glibc
import Platform
import Primitives

guard let options = Options(Array(CommandLine.arguments.dropFirst())), let task = options.task else {
  say(Options.usage)
  exit(2)
}
if let canary = options.canary {
  #if FAULT_INJECTION
  Canary.letOut(canary)
  #else
  say("\(canary) is not in this build: canaries are in debug builds only")
  exit(2)
  #endif
}
TrapNote.install()
// What fails in a world is meant to; the log would tell of it all.
Log.level = .error
let isKept: Bool
switch task {
case .one(let seed): isKept = Runner.one(seed, tracing: options.isTracing)
case .many(let first, let count): isKept = Runner.many(first: first, count: count)
case .soak(let seconds): isKept = try Runner.soak(seconds: seconds, jobs: options.jobs)
}
exit(isKept ? 0 : 1)
