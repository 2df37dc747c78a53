import Glibc

/// Points in time as people write and read them: local.
enum Moment {
  /// `2030-01-31 08:55:00`
  static func text(_ seconds: Int64) -> String {
    let parts = unsafe local(time_t(seconds))
    func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    return "\(year)-\(digits(month))-\(digits(day)) \(digits(hour)):\(digits(minute)):\(digits(second))"
  }

  /// Reads `YYYY-MM-DDTHH:MM`, or `HH:MM`: the next time that it is so late. In seconds since 1970, like
  /// `now`; nil if there is no such time.
  static func parse(_ text: String, now: Int64) -> Int64? {
    let halves = text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "T" || $0 == " " })
    guard halves.count <= 2, let last = halves.last, let clock = numbers(last, 2, separator: ":"),
      clock[0] < 24, clock[1] < 60
    else { return nil }
    var parts = unsafe local(time_t(now))
    unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec, parts.tm_isdst) = (clock[0], clock[1], 0, -1)
    if halves.count == 2 {
      guard let day = numbers(halves[0], 3, separator: "-"), (1970...9999).contains(day[0]) else {
        return nil
      }
      unsafe (parts.tm_year, parts.tm_mon, parts.tm_mday) = (day[0] - 1900, day[1] - 1, day[2])
      let start = unsafe mktime(&parts)
      // It takes February 31st for one of March.
      guard unsafe parts.tm_mon == day[1] - 1 && parts.tm_mday == day[2] else { return nil }
      return Int64(start)
    }
    let today = unsafe mktime(&parts)
    if today >= time_t(now) { return Int64(today) }
    unsafe parts.tm_mday += 1
    unsafe parts.tm_isdst = -1
    return unsafe Int64(mktime(&parts))
  }

  private static func local(_ moment: time_t) -> tm {
    var moment = moment
    var parts = unsafe tm()
    unsafe localtime_r(&moment, &parts)
    return unsafe parts
  }

  /// So many numbers of digits alone; nil if it is anything else.
  private static func numbers(_ text: Substring, _ count: Int, separator: Character) -> [Int32]? {
    let parts = text.split(separator: separator, omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
      part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int32(part) : nil
    }
    return parts.count == count && numbers.count == count ? numbers : nil
  }
}
