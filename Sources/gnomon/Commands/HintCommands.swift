import Glibc
import HTTPService
import Primitives

extension Command {
  private static let range = OptionSpec(
    name: "range", value: "OFFSET+LENGTH", summary: "the bytes that will be read, like 0+64M",
    isRequired: true)
  private static let start = OptionSpec(
    name: "at", value: "TIME", summary: "when it begins: HH:MM, or YYYY-MM-DDTHH:MM; now, if it is left out")
  private static let duration = OptionSpec(
    name: "for", value: "DURATION", summary: "for how long it holds, like 90s, 10m or 2h; 10m by default")

  static let hintCommands = [hintList, hintDelete, hint]

  /// `gnomon hint`
  private static let hint = Command(
    spec: CommandSpec(
      path: ["hint"], summary: "Say that a part of a volume will be read, so that it has shadows by then",
      positionals: [PositionalSpec(name: "VOLUME")], options: [range, start, duration, .pool, .json],
      details: [
        "What lies on a slower tier is copied to the fast one when the hint begins, and is kept there as "
          + "long as it holds. It is forgotten when it expires, and when the daemon ends. Times are local; "
          + "HH:MM is the next time that it is so late.",
        "The copies come out of what shadows may take of the fast tier: see 'gnomon prediction'.",
      ],
      examples: [
        .init(
          text: "Every reader comes at nine",
          line: "gnomon hint --pool /srv/pool disk1 --range 2G+512M --at 08:55 --for 2h")
      ])
  ) { run in
    let volume = run.arguments.positionals[0]
    try Validation.checkName(volume, of: "volume")
    let bytes = try parsedRange(run)
    var request = HintRequest(volume: volume, offset: bytes.offset, length: bytes.length)
    if let text = run.arguments.value(start) { request.startSeconds = try parsedStart(text, run) }
    if let seconds = try span(duration, run) { request.seconds = Int64(seconds) }
    let hint = try run.withDaemon { try $0.addHint(request) }
    run.show(hint) { "Hint \(hint.number) holds until \(moment(hint.endSeconds)).\n" }
    return .ok
  }

  /// `gnomon hint list`
  private static let hintList = Command(
    spec: CommandSpec(
      path: ["hint", "list"], summary: "List the hints that have not expired", options: [.pool, .json],
      examples: [.init(text: "For people", line: "gnomon hint list --pool /srv/pool")])
  ) { run in
    let list = try run.withDaemon { try $0.hints() }
    run.show(list) {
      var table = Table([
        .init(title: "HINT", alignment: .right), .init(title: "VOLUME"),
        .init(title: "OFFSET", alignment: .right), .init(title: "LENGTH", alignment: .right),
        .init(title: "FROM"), .init(title: "UNTIL"),
      ])
      for hint in list.hints {
        table.add([
          "\(hint.number)", hint.volume, "\(hint.offset)", "\(ByteSize(rawValue: hint.length))",
          moment(hint.startSeconds), moment(hint.endSeconds),
        ])
      }
      return table.text
    }
    return .ok
  }

  /// `gnomon hint delete`
  private static let hintDelete = Command(
    spec: CommandSpec(
      path: ["hint", "delete"], summary: "Take a hint back",
      positionals: [PositionalSpec(name: "NUMBER")], options: [.pool],
      details: ["Shadows that it has led to stay as long as they are worth more than others."],
      examples: [.init(text: "The first one", line: "gnomon hint delete --pool /srv/pool 1")])
  ) { run in
    guard let number = Int(run.arguments.positionals[0]) else {
      throw UsageError(
        message: "'\(run.arguments.positionals[0])' is no number of a hint", remedy: "see 'gnomon hint list'",
        command: run.spec)
    }
    try run.withDaemon { try $0.deleteHint(number) }
    run.context.output.write("Deleted the hint \(number).\n")
    return .ok
  }

  // MARK: What is written

  private static func parsedRange(_ run: Invocation) throws -> (offset: UInt64, length: UInt64) {
    let text = run.arguments.value(range) ?? ""
    let parts = text.split(separator: "+", omittingEmptySubsequences: false)
    guard parts.count == 2, let offset = ByteSize(parsing: String(parts[0])),
      let length = ByteSize(parsing: String(parts[1]))
    else {
      throw UsageError(
        message: "'\(text)' is no range", remedy: "write the offset and the length, like 2G+512M",
        command: run.spec)
    }
    return (offset.rawValue, length.rawValue)
  }

  /// In seconds since 1970.
  private static func parsedStart(_ text: String, _ run: Invocation) throws -> Int64 {
    let halves = text.split(whereSeparator: { $0 == "T" || $0 == " " }).map(String.init)
    let clock = halves.last.map { $0.split(separator: ":").compactMap { Int32($0) } } ?? []
    let day = halves.first.map { $0.split(separator: "-").compactMap { Int32($0) } } ?? []
    guard clock.count == 2, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]),
      halves.count == 1 || halves.count == 2 && day.count == 3
    else {
      throw UsageError(
        message: "'\(text)' is no time", remedy: "write it like 08:55, or 2030-01-31T08:55", command: run.spec
      )
    }
    var now = Glibc.time(nil)
    var parts = unsafe tm()
    unsafe localtime_r(&now, &parts)
    if halves.count == 2 {
      unsafe (parts.tm_year, parts.tm_mon, parts.tm_mday) = (day[0] - 1900, day[1] - 1, day[2])
    }
    unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec, parts.tm_isdst) = (clock[0], clock[1], 0, -1)
    var start = unsafe mktime(&parts)
    if halves.count == 1, start < now {
      unsafe parts.tm_mday += 1
      unsafe parts.tm_isdst = -1
      unsafe start = mktime(&parts)
    }
    return Int64(start)
  }

  /// A moment in local time.
  static func moment(_ seconds: Int64) -> String {
    var moment = time_t(seconds)
    var parts = unsafe tm()
    unsafe localtime_r(&moment, &parts)
    func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    return "\(year)-\(digits(month))-\(digits(day)) \(digits(hour)):\(digits(minute)):\(digits(second))"
  }
}
