import Glibc
import Synchronization

/// Structured log lines on stderr: `time level component message key=value …`.
///
/// One line is one write(2), so lines of several threads do not mix. Never used per request.
public struct Log: Sendable {
  /// How much a line matters.
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    /// As it is written in lines and in the configuration.
    public var name: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      }
    }

    /// The level of that name; nil if there is none.
    public init?(named name: String) {
      guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = level
    }

    /// Orders from the least to the most important.
    public static func < (left: Level, right: Level) -> Bool {
      left.rawValue < right.rawValue
    }
  }

  private static let threshold = Atomic<Int>(Level.info.rawValue)

  /// The least level that is written, for the whole process.
  public static var level: Level {
    get { Level(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
    set { threshold.store(newValue.rawValue, ordering: .relaxed) }
  }

  private let component: String

  /// A log whose lines name `component` as their origin.
  public init(_ component: String) {
    self.component = component
  }

  /// What only somebody who looks for a fault wants to know.
  public func debug(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, any Sendable> = [:])
  {
    write(.debug, message(), fields)
  }

  /// What an operator wants to read afterwards: start, stop, who came and went.
  public func info(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, any Sendable> = [:])
  {
    write(.info, message(), fields)
  }

  /// What went wrong without harm, or will if nobody acts.
  public func warning(
    _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, any Sendable> = [:]
  ) {
    write(.warning, message(), fields)
  }

  /// What was lost or refused through a fault of ours or of the system.
  public func error(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, any Sendable> = [:])
  {
    write(.error, message(), fields)
  }

  private func write(
    _ level: Level, _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, any Sendable>
  ) {
    guard level >= Self.level else { return }
    var line = "\(Self.timestamp()) \(level.name) \(component): \(message())"
    for (key, value) in fields { line += " \(key)=\(Self.quoted("\(value)"))" }
    line += "\n"
    line.withUTF8 { _ = unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static func quoted(_ value: String) -> String {
    let plain = value.utf8.allSatisfy {
      $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
    }
    if plain && !value.isEmpty { return value }
    var text = "\""
    for character in value.unicodeScalars {
      switch character {
      case "\"", "\\": text += "\\" + String(character)
      case "\n": text += "\\n"
      case _ where character.value < 0x20: text += "?"
      default: text.unicodeScalars.append(character)
      }
    }
    return text + "\""
  }

  private static func timestamp() -> String {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    var parts = unsafe tm()
    unsafe gmtime_r(&now.tv_sec, &parts)
    func padded(_ number: Int32, _ width: Int = 2) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = unsafe [padded(parts.tm_year + 1900, 4), padded(parts.tm_mon + 1), padded(parts.tm_mday)]
    let time = unsafe [padded(parts.tm_hour), padded(parts.tm_min), padded(parts.tm_sec)]
    let milliseconds = padded(Int32(now.tv_nsec / 1_000_000), 3)
    return date.joined(separator: "-") + "T" + time.joined(separator: ":") + ".\(milliseconds)Z"
  }
}
