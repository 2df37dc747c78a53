import HTTPService
import Primitives

extension Command {
  /// `gnomon health`
  static let health = Command(
    spec: CommandSpec(
      path: ["health"], summary: "Show how well the stores of a served pool are",
      positionals: [PositionalSpec(name: "STORE", isOptional: true)], options: [.pool, .json],
      details: [
        "SCORE goes from 0 (healthy) to 100 (critical); WHY says what it is made of. STATE is what the "
          + "daemon does about it: nothing ('serving'), no new data there if it can be helped "
          + "('no-new-placements'), moving everything elsewhere ('evacuating'), not using the store while "
          + "shadows do its work ('sat-out'), filling in what it has missed ('returning').",
        "With STORE, all that is known of one: latencies of the last minute by operation and size (up to "
          + "4 KiB, up to 64 KiB, larger), throughput, failures since the daemon started, space, connection, "
          + "and what the device beneath says of itself.",
      ],
      examples: [
        .init(text: "All stores", line: "gnomon health --pool /srv/pool"),
        .init(text: "One store, in detail", line: "gnomon health --pool /srv/pool fast"),
        .init(
          text: "Stores that a program should worry about",
          line: "gnomon health --pool /srv/pool --json | jq '.stores[] | select(.score >= 40) | .name'"),
      ])
  ) { run in
    guard let name = run.arguments.positionals.first else {
      let stores = try run.withDaemon { try $0.health() }
      run.show(StoreHealthList(stores: stores)) { table(of: stores) }
      return .ok
    }
    try Validation.checkName(name, of: "store")
    let store = try run.withDaemon { try $0.health(store: name) }
    run.show(store) { details(of: store) }
    return .ok
  }

  private static func table(of stores: [StoreHealthInfo]) -> String {
    var table = Table([
      .init(title: "STORE"), .init(title: "SCORE", alignment: .right), .init(title: "STATE"),
      .init(title: "SINCE", alignment: .right), .init(title: "WHY"), .init(title: "EXPECTED"),
    ])
    for store in stores {
      let reasons = store.modes.map(\.reason) + (store.holdingBack.map { ["held back: " + $0] } ?? [])
      table.add([
        store.name, "\(store.score)", store.state.rawValue, duration(store.stateSeconds),
        reasons.joined(separator: "; "), store.warnings.map(words).joined(separator: "; "),
      ])
    }
    let isIdle = stores.contains { !$0.acts }
    return table.text + (isIdle ? "\nStores are only watched: 'health.act' is false.\n" : "")
  }

  private static func words(_ warning: HealthWarningInfo) -> String {
    let what =
      switch warning.kind {
      case .full: "full"
      case .slow: "too slow"
      case .failing: "failing too often"
      }
    return "\(what) in \(duration(warning.seconds))"
  }

  private static func details(of store: StoreHealthInfo) -> String {
    var list = PropertyList()
    list.add("store", store.name)
    list.add("score", "\(store.score)")
    list.add("state", "\(store.state.rawValue) for \(duration(store.stateSeconds))")
    if !store.acts { list.add("acts", "no: stores are only watched") }
    if let cause = store.holdingBack { list.add("held back", cause) }
    for mode in store.modes { list.add(mode.mode, "\(mode.score): \(mode.reason)") }
    for warning in store.warnings { list.add("expected", words(warning)) }
    list.add("baseline", store.hasBaseline ? "known" : "not known yet")
    list.add(
      "throughput",
      "\(ByteSize(rawValue: store.latest.readBytesPerSecond))/s read, "
        + "\(ByteSize(rawValue: store.latest.writtenBytesPerSecond))/s written, "
        + "\(store.latest.operationsPerSecond) operations/s")
    list.add("queue depth", "\(store.latest.queueDepth), in flight now \(store.inFlight)")
    list.add(
      "failed",
      "\(store.failed.reads) reads, \(store.failed.writes) writes, "
        + "\(store.failed.synchronizations) synchronizations")
    list.add("missed deadlines", "\(store.missedDeadlines)")
    list.add(
      "space",
      "\(ByteSize(rawValue: store.usedBytes)) of \(ByteSize(rawValue: store.capacityBytes)) used")
    if let connection = store.connection {
      list.add(
        "connection",
        "\(connection.state.rawValue) for \(duration(connection.seconds)), broken \(connection.breaks) times")
    }
    if let media = store.media { list.add("device", words(media)) }
    return list.text + "\n" + latencies(store.latest)
  }

  private static func words(_ media: MediaInfo) -> String {
    var parts: [String] = []
    if let device = media.device { parts.append(device) }
    if let complaint = media.complaint { parts.append("not available: " + complaint) }
    if let passed = media.hasPassed { parts.append(passed ? "says it is healthy" : "expects to fail") }
    func add(_ count: UInt64?, _ what: String) {
      if let count { parts.append("\(count) \(what)") }
    }
    add(media.reallocatedSectors, "reallocated sectors")
    add(media.pendingSectors, "pending sectors")
    add(media.uncorrectableErrors, "uncorrectable errors")
    if let wear = media.wearPercent { parts.append("\(Int(wear)) % worn") }
    if let spare = media.sparePercent { parts.append("\(Int(spare)) % spare left") }
    if let temperature = media.temperature { parts.append("\(Int(temperature)) °C") }
    parts.append("asked \(duration(media.askedSecondsAgo)) ago")
    return parts.joined(separator: ", ")
  }

  private static func latencies(_ load: StoreLoadInfo) -> String {
    guard !load.latencies.isEmpty else { return "Nothing was done in the last minute.\n" }
    var table = Table(
      [.init(title: "OPERATION"), .init(title: "SIZE")]
        + ["COUNT", "MEAN", "P50", "P99"].map { .init(title: $0, alignment: .right) })
    for latency in load.latencies {
      table.add([
        latency.operation, latency.size ?? "", "\(latency.count)", time(latency.meanNanoseconds),
        time(latency.p50Nanoseconds), time(latency.p99Nanoseconds),
      ])
    }
    return table.text
  }

  /// `850 ns`, `12 µs`, `3.4 ms`, `2.1 s`
  static func time(_ nanoseconds: UInt64) -> String {
    for (unit, name) in [(UInt64(1_000_000_000), "s"), (1_000_000, "ms"), (1000, "µs")]
    where nanoseconds >= unit {
      let tenths = (nanoseconds * 10 + unit / 2) / unit
      return tenths >= 100 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
    }
    return "\(nanoseconds) ns"
  }
}
