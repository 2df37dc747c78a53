/// Figures as people read them: two or three digits and a unit.
enum Words {
  /// `85 µs`, `3.1 ms`, `212 ms`, `2.4 s`.
  static func latency(nanoseconds: Double) -> String {
    switch nanoseconds {
    case ..<1e3: "\(figure(nanoseconds)) ns"
    case ..<1e6: "\(figure(nanoseconds / 1e3)) µs"
    case ..<1e9: "\(figure(nanoseconds / 1e6)) ms"
    default: "\(figure(nanoseconds / 1e9)) s"
    }
  }

  /// `40 s`, `5 min`, `3 h`, `2 d`.
  static func duration(seconds: Double) -> String {
    switch seconds {
    case ..<120: "\(figure(seconds)) s"
    case ..<7200: "\(whole(seconds / 60)) min"
    case ..<172_800: "\(whole(seconds / 3600)) h"
    default: "\(whole(seconds / 86_400)) d"
    }
  }

  /// `40 MB/s`, in powers of 1000, as devices are sold.
  static func rate(bytesPerSecond: Double) -> String {
    switch bytesPerSecond {
    case ..<1e6: "\(figure(bytesPerSecond / 1e3)) kB/s"
    case ..<1e9: "\(figure(bytesPerSecond / 1e6)) MB/s"
    default: "\(figure(bytesPerSecond / 1e9)) GB/s"
    }
  }

  /// `93 %`.
  static func percent(_ fraction: Double) -> String {
    "\(whole(fraction * 100)) %"
  }

  /// One decimal below 10, none from there on.
  static func figure(_ value: Double) -> String {
    guard value < 9.95, value > 0 else { return whole(value) }
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }

  /// A whole number; beyond 10¹⁵ nobody reads the digits.
  static func whole(_ value: Double) -> String {
    "\(Int(min(max(value, -1e15), 1e15).rounded()))"
  }

  /// `1 operation`, `2 operations`.
  static func count(_ number: UInt64, _ thing: String) -> String {
    number == 1 ? "1 \(thing)" : "\(number) \(thing)s"
  }
}
