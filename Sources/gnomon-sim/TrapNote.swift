import Glibc
import Synchronization

/// Says on a trap which seed was running: the real code stops the process when it sees itself in the wrong.
enum TrapNote {
  private struct Entry {
    var thread: pthread_t = 0
    var seed: UInt64 = 0
  }

  private static let entriesMax = 256
  nonisolated(unsafe) private static let entries = UnsafeMutablePointer<Entry>.allocate(
    capacity: entriesMax)
  private static let used = Atomic<Int>(0)

  /// Has traps of this process explained.
  static func install() {
    unsafe entries.initialize(repeating: Entry(), count: entriesMax)
    for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
      signal(number) { number in
        TrapNote.write()
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }

  /// A place for the calling thread; `set` fills it.
  static func register() -> Int {
    let place = used.add(1, ordering: .relaxed).oldValue
    precondition(place < entriesMax)
    unsafe entries[place].thread = pthread_self()
    return place
  }

  static func set(_ place: Int, seed: UInt64) {
    unsafe entries[place].seed = seed
  }

  /// Only what a signal handler may do.
  private static func write() {
    let own = pthread_self()
    for place in 0..<used.load(ordering: .relaxed) where unsafe entries[place].thread == own {
      var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
      unsafe withUnsafeMutableBytes(of: &digits) { bytes in
        var rest = unsafe entries[place].seed
        var start = bytes.count
        repeat {
          start -= 1
          unsafe bytes[start] = UInt8(ascii: "0") + UInt8(rest % 10)
          rest /= 10
        } while rest > 0
        unsafe put("seed ", 5)
        unsafe put(bytes.baseAddress! + start, bytes.count - start)
        unsafe put(": the process has trapped\n", 26)
      }
    }
  }

  private static func put(_ bytes: UnsafeRawPointer, _ count: Int) {
    unsafe _ = Glibc.write(1, bytes, count)
  }
}
