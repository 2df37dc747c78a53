/// Numbers for people.
enum Figures {
  /// With one decimal: `12.3`.
  static func tenths(_ value: Double) -> String {
    // Beyond that, a tenth is no news, and there may be no such integer.
    guard value.magnitude < 1e15 else { return "\(value)" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  /// With two decimals, of a share from 0 to 1: `0.07`.
  static func hundredths(_ share: Double) -> String {
    let rounded = Int((share * 100).rounded())
    return "\(rounded / 100).\(rounded % 100 < 10 ? "0" : "")\(rounded % 100)"
  }
}
