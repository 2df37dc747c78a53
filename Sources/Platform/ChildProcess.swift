import CLinux
import Glibc

/// Another program, run for what it prints.
public enum ChildProcess {
  /// Between two looks at whether it is still wanted.
  private static let lookMilliseconds: UInt64 = 100

  /// Runs a program, found as a shell finds it, without input, in an environment that asks for plain English.
  ///
  /// - Parameters:
  ///   - bytesMax: bytes of its output that are kept; what comes after them is not read.
  ///   - seconds: after which it is killed.
  ///   - isWanted: asked several times a second; it is killed as soon as it is not wanted any more.
  /// - Returns: what it has printed, whatever its exit status.
  /// - Throws: why it can not be started; ETIMEDOUT if it was killed.
  public static func output(
    of program: String, _ arguments: [String], bytesMax: Int, seconds: UInt64,
    isWanted: () -> Bool = { true }
  ) throws(SystemError) -> [UInt8] {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe2(&ends, Int32(O_CLOEXEC)) == 0 else {
      throw SystemError("pipe2", program, errno: errno)
    }
    let process: pid_t
    do throws(SystemError) {
      process = try spawn(program, arguments, output: ends[1])
    } catch {
      for end in ends { close(end) }
      throw error
    }
    close(ends[1])
    defer { close(ends[0]) }
    let deadline = MonotonicClock.nanoseconds() + seconds * 1_000_000_000
    let output = read(ends[0], bytesMax: bytesMax, deadline: deadline, isWanted)
    // It has printed all that is wanted, or has had its time.
    kill(process, SIGKILL)
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
    guard let output else { throw SystemError("run", program, errno: ETIMEDOUT) }
    return output
  }

  private static func spawn(
    _ program: String, _ arguments: [String], output: Int32
  ) throws(SystemError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    // The daemon waits for its signals; its children are to be ended by them.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/sbin:/usr/bin:/sbin:/bin"
    let words = WordList([program] + arguments)
    let environment = WordList(["PATH=" + path, "LC_ALL=C"])
    var process: pid_t = 0
    let code = unsafe posix_spawnp(
      &process, program, &actions, &attributes, words.pointers, environment.pointers)
    guard code == 0 else { throw SystemError("run", program, errno: code) }
    return process
  }

  /// - Returns: nil if it is not at its end by the deadline.
  private static func read(
    _ descriptor: Int32, bytesMax: Int, deadline: UInt64, _ isWanted: () -> Bool
  ) -> [UInt8]? {
    var output: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    while output.count < bytesMax {
      let now = MonotonicClock.nanoseconds()
      guard now < deadline, isWanted() else { return nil }
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = unsafe Glibc.poll(&poll, 1, Int32(min(lookMilliseconds, (deadline - now) / 1_000_000 + 1)))
      if ready < 0 && errno == EINTR || ready == 0 { continue }
      let count = unsafe piece.withUnsafeMutableBytes {
        unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      output += piece[..<min(count, bytesMax - output.count)]
    }
    return output
  }
}

/// Strings as C takes lists of them: pointers, the last one null.
@safe
private final class WordList {
  let pointers: [UnsafeMutablePointer<CChar>?]

  init(_ words: [String]) {
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe []
    for word in words { unsafe pointers.append(strdup(word)) }
    unsafe pointers.append(nil)
    unsafe self.pointers = pointers
  }

  deinit {
    for index in unsafe pointers.indices { unsafe free(pointers[index]) }
  }
}
