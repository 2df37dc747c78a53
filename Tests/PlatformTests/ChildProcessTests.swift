import Glibc
import Platform
import Testing

@Suite struct ChildProcessTests {
  private func run(_ script: String, bytesMax: Int = 1 << 20, seconds: UInt64 = 20) throws(SystemError)
    -> String
  {
    String(
      decoding: try ChildProcess.output(of: "sh", ["-c", script], bytesMax: bytesMax, seconds: seconds),
      as: UTF8.self)
  }

  @Test func itsOutputIsReadWhateverItsStatus() throws {
    #expect(try run("echo one; echo two >&2; echo three; exit 4") == "one\nthree\n")
    #expect(try run("cat; printf '%s' \"$LC_ALL\"") == "C")
    #expect(try run("head -c 200000 /dev/zero | tr '\\0' x") == String(repeating: "x", count: 200_000))
  }

  @Test func onlySoMuchIsRead() throws {
    #expect(try run("yes", bytesMax: 1001).utf8.count == 1001)
  }

  @Test func whatTakesTooLongIsKilled() {
    let begun = MonotonicClock.nanoseconds()
    #expect(throws: SystemError("run", "sh", errno: ETIMEDOUT)) { try run("exec sleep 60", seconds: 1) }
    #expect(MonotonicClock.nanoseconds() - begun < 10_000_000_000)
  }

  @Test func whatIsNotWantedAnyMoreIsKilled() {
    let begun = MonotonicClock.nanoseconds()
    #expect(throws: SystemError("run", "sleep", errno: ETIMEDOUT)) {
      try ChildProcess.output(of: "sleep", ["60"], bytesMax: 10, seconds: 60) {
        MonotonicClock.nanoseconds() - begun < 500_000_000
      }
    }
    #expect(MonotonicClock.nanoseconds() - begun < 10_000_000_000)
  }

  @Test func aProgramThatIsNotThereIsTold() {
    #expect(throws: SystemError("run", "no-such-program", errno: ENOENT)) {
      try ChildProcess.output(of: "no-such-program", [], bytesMax: 10, seconds: 1)
    }
  }
}
