import Glibc

/// One run of a process: its number, and when it began, since numbers are used again.
public struct ProcessIdentity: Equatable, Sendable {
  /// The process number.
  public let number: Int32
  /// When it began, in clock ticks since the system did.
  public let startTicks: UInt64

  /// A process that somebody has told of.
  public init(number: Int32, startTicks: UInt64) {
    self.number = number
    self.startTicks = startTicks
  }

  /// This process.
  public static var current: ProcessIdentity {
    ProcessIdentity(number: getpid(), startTicks: Self.status(of: getpid())?.startTicks ?? 0)
  }

  /// Whether it still runs; one that has ended and was not waited for does not.
  public var isRunning: Bool {
    guard let status = Self.status(of: number) else { return false }
    return status.startTicks == startTicks && !"ZX".contains(status.state)
  }

  /// State and start time, from proc_pid_stat(5).
  private static func status(of number: Int32) -> (state: Character, startTicks: UInt64)? {
    guard let file = try? FileDescriptor.open("/proc/\(number)/stat", O_RDONLY),
      let bytes = try? file.readBytes(1024, at: 0)
    else { return nil }
    // The name, in parentheses, may hold anything; fields are counted from behind it.
    let text = String(decoding: bytes, as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].split(separator: " ").dropFirst()
    guard let state = fields.first?.first, fields.count > 19,
      let ticks = UInt64(fields[fields.startIndex + 19])
    else { return nil }
    return (state, ticks)
  }
}
