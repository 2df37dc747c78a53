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
    run.show(hint) { "Hint \(hint.number) holds until \(Moment.text(hint.endSeconds)).\n" }
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
          Moment.text(hint.startSeconds), Moment.text(hint.endSeconds),
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
    guard let start = Moment.parse(text, now: Int64(Glibc.time(nil))) else {
      throw UsageError(
        message: "'\(text)' is no time", remedy: "write it like 08:55, or 2030-01-31T08:55", command: run.spec
      )
    }
    return start
  }
}
