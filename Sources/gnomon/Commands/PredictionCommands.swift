import HTTPService
import Primitives

extension Command {
  static let predictionCommands = [prediction, why]

  /// `gnomon prediction`
  private static let prediction = Command(
    spec: CommandSpec(
      path: ["prediction"], summary: "Show what prediction does: shadows on the fast tier ahead of reads",
      options: [.pool, .json],
      details: [
        "Extents whose reads are foreseen get shadows on the fast tier, the lowest that there is. All "
          + "figures count from the daemon's start. 'never read' are shadows that were given up without "
          + "having been read: forecasts that were wrong."
      ],
      examples: [
        .init(text: "For people", line: "gnomon prediction --pool /srv/pool"),
        .init(
          text: "The share of reads that shadows answered",
          line: "gnomon prediction --pool /srv/pool --json | jq .reads.share"),
      ])
  ) { run in
    let info = try run.withDaemon { try $0.prediction() }
    run.show(info) { text(of: info) }
    return .ok
  }

  /// `gnomon why`
  private static let why = Command(
    spec: CommandSpec(
      path: ["why"], summary: "Show why an extent lies where it does",
      positionals: [PositionalSpec(name: "VOLUME"), PositionalSpec(name: "OFFSET")],
      options: [.pool, .json],
      details: [
        "OFFSET is any byte of the extent, like 0, 4096 or 20M. Shows its copies, how much it is accessed, "
          + "and what prediction has decided on it, as far as that is remembered."
      ],
      examples: [.init(text: "The first extent", line: "gnomon why --pool /srv/pool disk1 0")])
  ) { run in
    let volume = run.arguments.positionals[0]
    try Validation.checkName(volume, of: "volume")
    guard let offset = ByteSize(parsing: run.arguments.positionals[1]) else {
      throw UsageError(
        message: "'\(run.arguments.positionals[1])' is no offset", remedy: ByteSize.hint, command: run.spec)
    }
    let info = try run.withDaemon { try $0.why(volume: volume, offset: offset.rawValue) }
    run.show(info) { text(of: info) }
    return .ok
  }

  private static func text(of info: PredictionInfo) -> String {
    guard info.enabled else { return "Nothing is predicted: 'prediction.enabled' is false.\n" }
    guard let tier = info.fastTier else {
      return "Nothing is to be done: all stores are of one tier.\n"
    }
    let made = info.made
    var list = PropertyList()
    list.add("fast tier", "\(tier)")
    list.add(
      "shadows",
      "\(info.shadows), \(ByteSize(rawValue: info.usedBytes)) of \(ByteSize(rawValue: info.allowedBytes))")
    list.add(
      "reads",
      "\(info.reads.all), \(percent(info.reads.share)) from shadows on a faster tier")
    list.add(
      "made",
      "\(made.made) (\(ByteSize(rawValue: made.copiedBytes))), "
        + "\(Figures.tenths(made.perThousandRequests)) per 1000 requests")
    list.add("read", "\(made.used)")
    list.add("given up", "\(made.dropped), never read \(made.neverUsed)")
    list.add("not made", "\(made.withdrawn) withdrawn, \(made.refused) refused, \(made.failed) failed")
    if let times = info.readyMicroseconds {
      list.add("ready within", "\(times.p50) µs (p50), \(times.p99) µs (p99)")
    }
    if let complaint = info.complaint { list.add("in the way", complaint) }
    list.add(
      "takes",
      "\(ByteSize(rawValue: info.costs.memoryBytes)) of memory, "
        + "\(Figures.tenths(info.costs.processorSeconds)) s of processor time")
    if info.costs.droppedRecords > 0 { list.add("accesses missed", "\(info.costs.droppedRecords)") }
    if info.costs.volumesWithout > 0 {
      list.add("volumes left out", "\(info.costs.volumesWithout): see 'prediction.memoryBytes'")
    }
    return list.text + (info.decisions.isEmpty ? "" : "\n" + table(of: info.decisions))
  }

  private static func text(of info: WhyInfo) -> String {
    var list = PropertyList()
    list.add("volume", info.volume)
    list.add("extent", "\(info.extent.first)")
    list.add("live copy", info.extent.live.map { "\($0), tier \(info.extent.tier ?? 0)" } ?? "none")
    for shadow in info.extent.shadows { list.add("shadow", "\(shadow.store), \(shadow.state.rawValue)") }
    if let why = info.extent.why { list.add("last move", why) }
    if let heat = info.heat {
      let minutes = heat.horizonSeconds / 60
      list.add(
        "volatility",
        "\(Figures.hundredths(heat.score)), "
          + "\(Figures.tenths(heat.expectedAccesses)) accesses expected in \(minutes) min"
      )
      list.add("last access", "\(duration(UInt64(heat.idleSeconds))) ago")
      if let rhythm = heat.rhythm { list.add("daily rhythm", rhythm) }
    }
    return list.text
      + (info.decisions.isEmpty ? "\nNo decision on it is remembered.\n" : "\n" + table(of: info.decisions))
  }

  private static func table(of decisions: [DecisionInfo]) -> String {
    var table = Table([
      .init(title: "WHEN"), .init(title: "VOLUME"), .init(title: "EXTENT", alignment: .right),
      .init(title: "WHAT"), .init(title: "STORE"), .init(title: "WHY"),
      .init(title: "GAIN", alignment: .right), .init(title: "OUTCOME"),
      .init(title: "TOOK", alignment: .right),
      .init(title: "READS", alignment: .right),
    ])
    for decision in decisions {
      table.add([
        Moment.text(decision.seconds), decision.volume, "\(decision.extent)", decision.action,
        decision.store ?? "", decision.reason, decision.expectedRequests.map(Figures.tenths) ?? "",
        decision.outcome, decision.microseconds.map { "\($0) µs" } ?? "",
        decision.reads.map { "\($0)" } ?? "",
      ])
    }
    return table.text
  }

  private static func percent(_ share: Double) -> String { Figures.tenths(share * 100) + " %" }
}
