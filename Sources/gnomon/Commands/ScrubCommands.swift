import Glibc
import HTTPService
import Primitives

extension Command {
  private static let store = OptionSpec(
    name: "store", value: "STORE", summary: "look at the copies in this store only")

  static let scrubCommands = [scrubStart, scrubStop, scrubStatus, scrub]

  private static let scrubDetails = [
    "Extents that nobody has written to for a while are sealed with a checksum of what they hold. A scrub "
      + "reads all copies of sealed extents and compares them with the seals. A bad copy is written again "
      + "from a good one; if there is no good one, nothing is changed, and the extent is listed."
  ]

  /// `gnomon scrub`
  private static let scrub = Command(
    spec: CommandSpec(
      path: ["scrub"], summary: "Show how the scrub is doing, and what the last one came to",
      options: [.pool, .json], details: scrubDetails,
      examples: [.init(text: "For people", line: "gnomon scrub --pool /srv/pool")])
  ) { run in try show(run) }

  /// `gnomon scrub status`
  private static let scrubStatus = Command(
    spec: CommandSpec(
      path: ["scrub", "status"], summary: "The same as 'gnomon scrub'", options: [.pool, .json],
      details: scrubDetails,
      examples: [.init(text: "For programs", line: "gnomon scrub status --pool /srv/pool --json")])
  ) { run in try show(run) }

  private static func show(_ run: Invocation) throws -> ExitStatus {
    let info = try run.withDaemon { try $0.scrub() }
    run.show(info) { text(of: info) }
    return .ok
  }

  /// `gnomon scrub start`
  private static let scrubStart = Command(
    spec: CommandSpec(
      path: ["scrub", "start"], summary: "Compare data at rest with its checksums, and heal what is bad",
      positionals: [PositionalSpec(name: "VOLUME", isOptional: true)],
      options: [store, .wait, .pool, .json],
      details: scrubDetails + [
        "Without a volume and without a store, all is looked at. It is done in the background; with --wait, "
          + "the command ends when it does, with status 1 if copies are left that were not healed."
      ],
      examples: [
        .init(text: "Everything", line: "gnomon scrub start --pool /srv/pool"),
        .init(
          text: "What one disk has, waiting for it",
          line: "gnomon scrub start --pool /srv/pool --store hdd --wait"
        ),
      ])
  ) { run in
    let volume = run.arguments.positionals.first
    let store = run.arguments.value(store)
    if let volume { try Validation.checkName(volume, of: "volume") }
    if let store { try Validation.checkName(store, of: "store") }
    return try run.withDaemon { client in
      let info = try client.beginScrub(ScrubRequest(volume: volume, store: store))
      if run.arguments.has(.wait) {
        var watch = ScrubWatch(run, client)
        return try watch.wait()
      }
      run.show(info) { "Begun: see 'gnomon scrub'.\n" }
      return .ok
    }
  }

  /// `gnomon scrub stop`
  private static let scrubStop = Command(
    spec: CommandSpec(
      path: ["scrub", "stop"], summary: "End the scrub that is under way", options: [.pool, .json],
      details: ["What it has healed stays healed. The next one begins anew."],
      examples: [.init(text: "End it", line: "gnomon scrub stop --pool /srv/pool")])
  ) { run in
    let info = try run.withDaemon { try $0.stopScrub() }
    run.show(info) { "It ends.\n" }
    return .ok
  }

  /// How things are, for people.
  static func text(of info: ScrubInfo) -> String {
    var text =
      "sealed: \(ByteSize(rawValue: info.sealedBytes)) of \(ByteSize(rawValue: info.mappedBytes)) in use\n"
    if let run = info.running { text += "running: \(line(run))\n" }
    guard let last = info.last else { return text + "last: none yet\n" }
    text += "last: \(last.what), \(last.end) \(Moment.text(last.endedSeconds)), "
    text += "after \(duration(UInt64(max(0, last.endedSeconds - last.startedSeconds)))): "
    text += "\(words(last.counts))\n"
    guard !last.findings.isEmpty else { return text }
    var table = Table([
      .init(title: "VOLUME"), .init(title: "EXTENT", alignment: .right), .init(title: "STORE"),
      .init(title: "PLACE", alignment: .right), .init(title: "PROBLEM"), .init(title: "OUTCOME"),
      .init(title: "REASON"),
    ])
    for finding in last.findings {
      table.add([
        finding.volume, "\(finding.extent)", finding.store, "\(finding.place)", finding.problem,
        finding.outcome, finding.reason ?? "",
      ])
    }
    return text + table.text
  }

  /// A scrub under way, in one line.
  static func line(_ run: ScrubProgress) -> String {
    var parts = [
      run.what, words(run.counts), "\(ByteSize(rawValue: run.bytesPerSecond))/s",
      "\(ByteSize(rawValue: run.leftBytes)) left",
    ]
    if let seconds = run.leftSeconds { parts.append(duration(seconds)) }
    return parts.joined(separator: ", ")
  }

  /// What a scrub has come to, in words.
  static func words(_ counts: ScrubCounts) -> String {
    "\(ByteSize(rawValue: counts.readBytes)) read, \(counts.copies) copies, \(counts.bad) bad, "
      + "\(counts.unread) unreadable, \(counts.healed) healed, \(counts.unhealed) not"
  }
}

/// Waits for the scrub under way, and shows meanwhile how far it is.
struct ScrubWatch {
  private let run: Invocation
  private let client: APIClient
  private var progress: ProgressLine
  private static let pollMicroseconds: UInt32 = 500_000

  init(_ run: Invocation, _ client: APIClient) {
    self.run = run
    self.client = client
    progress = ProgressLine(run.context)
  }

  /// - Returns: `failure` if it was stopped, or copies are left that were not healed.
  mutating func wait() throws -> ExitStatus {
    var info = try client.scrub()
    while let running = info.running {
      progress.show(Command.line(running))
      usleep(Self.pollMicroseconds)
      info = try client.scrub()
    }
    progress.clear()
    run.show(info) { Command.text(of: info) }
    guard let last = info.last else { return .failure }
    return last.end == ScrubRecord.End.complete.rawValue && last.counts.unhealed == 0 ? .ok : .failure
  }
}
