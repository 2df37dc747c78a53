import Glibc
import Synchronization

#if FAULT_INJECTION
/// What GNOMON_FAILPOINT asks for.
@usableFromInline
final class FailpointTrigger: Sendable {
  @usableFromInline static let shared = FailpointTrigger()

  private enum Purpose {
    case none
    case survey
    case death(Failpoint, count: Int)
  }

  private let purpose: Purpose
  private let passes = Mutex<[Failpoint: Int]>([:])

  private init() {
    guard let value = unsafe getenv("GNOMON_FAILPOINT") else {
      purpose = .none
      return
    }
    let words = unsafe String(cString: value).split(separator: ":", omittingEmptySubsequences: false)
    if words == ["survey"] {
      purpose = .survey
      atexit { FailpointTrigger.shared.report() }
    } else if let failpoint = Failpoint(rawValue: String(words[0])), words.count <= 2,
      let count = words.count == 1 ? 1 : Int(words[1]), count > 0
    {
      purpose = .death(failpoint, count: count)
    } else {
      // A test that waits for a death which can not come would prove nothing.
      preconditionFailure("GNOMON_FAILPOINT names no failpoint")
    }
  }

  @usableFromInline
  func passed(_ failpoint: Failpoint) {
    switch purpose {
    case .none: return
    case .survey: passes.withLock { $0[failpoint, default: 0] += 1 }
    case .death(let chosen, let count):
      guard failpoint == chosen else { return }
      passes.withLock { passes in
        passes[failpoint, default: 0] += 1
        // Under the lock: no other thread gets past the step any more.
        guard passes[failpoint] == count else { return }
        kill(getpid(), SIGKILL)
        while true { pause() }
      }
    }
  }

  private func report() {
    let passes = passes.withLock { $0 }
    var text = ""
    for failpoint in Failpoint.allCases {
      text += "failpoint \(failpoint.rawValue) \(passes[failpoint] ?? 0)\n"
    }
    _ = unsafe write(STDERR_FILENO, text, text.utf8.count)
  }
}
#endif
