import Glibc
import HTTPService
import Platform
import Primitives

/// How loads were, how they will be, and where they fall.
extension Command {
  static let loadCommands = [stats, forecast, heatMap]

  private static let ofStore = OptionSpec(
    name: "store", summary: "NAME is a store, although a volume is called so, too")
  private static let window = OptionSpec(
    name: "window", value: "TIME", summary: "how far back: up to 35d; 1m without it")
  private static let horizon = OptionSpec(
    name: "horizon", value: "TIME", summary: "how far ahead: up to 7d; 30m without it")
  private static let metric = OptionSpec(
    name: "metric", value: "METRIC", summary: "iops (without it), throughput or latency")
  private static let span = OptionSpec(
    name: "span", value: "TIME", summary: "how far back: up to 48h; 1h without it")
  private static let picture = OptionSpec(
    name: "svg", value: "FILE", summary: "write an SVG picture to a file instead")

  /// `gnomon stats`
  private static let stats = Command(
    spec: CommandSpec(
      path: ["stats"], summary: "Show the load of a volume or store",
      positionals: [PositionalSpec(name: "NAME")], options: [window, ofStore, .pool, .json],
      details: [
        "A volume's load is what its clients ask for; a store's is what it does, whoever wants it: clients, "
          + "moves, scrubs. Latencies are of reads and writes, of a volume from the whole request to its "
          + "answer. Of several seconds, minutes or hours together, the P99 is that of the worst of them.",
        "Seconds are kept for 5 minutes, minutes for a day, hours for five weeks; minutes and hours stay "
          + "when the daemon is started again.",
      ],
      examples: [
        .init(text: "The last minute", line: "gnomon stats disk0 --pool /srv/pool"),
        .init(text: "The last day, by the minute", line: "gnomon stats disk0 --window 1d --pool /srv/pool"),
        .init(
          text: "For programs",
          line: "gnomon stats fast --pool /srv/pool --json | jq '.samples[] | [.time, .iops]'"),
      ])
  ) { run in
    let seconds = try span(window, run) ?? 60
    let load = try withSubject(run) { try $0.load(of: $1, windowSeconds: seconds) }
    run.show(load) { text(of: load) }
    return .ok
  }

  /// `gnomon forecast`
  private static let forecast = Command(
    spec: CommandSpec(
      path: ["forecast"], summary: "Forecast the load of a volume or store",
      positionals: [PositionalSpec(name: "NAME")], options: [horizon, metric, ofStore, .pool, .json],
      details: [
        "Up to a minute ahead by the second, up to four hours by the minute, else by the hour. The model is "
          + "the one that would have forecast the last quarter of the history best: naive, seasonal naive, "
          + "exponential smoothing (simple, Holt, damped, Holt-Winters) or autoregression. MASE is its mean "
          + "absolute scaled error there: below 1 it is better over the whole horizon than the last value is "
          + "for the next step.",
        "Of what comes, 95 of 100 values are expected to lie in the interval.",
      ],
      examples: [
        .init(text: "The next half hour", line: "gnomon forecast disk0 --pool /srv/pool"),
        .init(
          text: "How fast a store will be tomorrow",
          line: "gnomon forecast fast --horizon 1d --metric latency --pool /srv/pool"),
        .init(
          text: "For programs",
          line: "gnomon forecast disk0 --pool /srv/pool --json | jq '.forecasts[] | [.time, .value]'"),
      ])
  ) { run in
    var request = ForecastRequest()
    if let seconds = try span(horizon, run) { request.horizonSeconds = seconds }
    if let text = run.arguments.value(metric) {
      guard let metric = ForecastMetric(rawValue: text) else {
        throw UsageError(
          message: "unknown metric '\(text)'",
          remedy: NearestName.remedy(for: text, among: ForecastMetric.allCases.map(\.rawValue)),
          command: run.spec)
      }
      request.metric = metric
    }
    let forecast = try withSubject(run) { try $0.forecast(of: $1, request) }
    run.show(forecast) { text(of: forecast, horizonSeconds: request.horizonSeconds) }
    return .ok
  }

  /// `gnomon heatmap`
  private static let heatMap = Command(
    spec: CommandSpec(
      path: ["heatmap"], summary: "Show where in a volume requests were served, over time",
      positionals: [PositionalSpec(name: "VOLUME")], options: [span, picture, .pool, .json],
      details: [
        "Time goes down, addresses to the right; the more requests, the darker. Requests count where they "
          + "begin. The last hour is kept by the minute, the last two days by the hour."
      ],
      examples: [
        .init(text: "The last hour", line: "gnomon heatmap disk0 --pool /srv/pool"),
        .init(
          text: "Two days as a picture",
          line: "gnomon heatmap disk0 --span 48h --svg disk0.svg --pool /srv/pool"),
      ])
  ) { run in
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume")
    let seconds = try span(span, run) ?? 3600
    let map = try run.withDaemon { try $0.heatMap(volume: name, spanSeconds: seconds) }
    guard let file = run.arguments.value(picture) else {
      run.show(map) { HeatPicture(map).text }
      return .ok
    }
    let path = AbsolutePath.of(file, from: run.context.workingDirectory)
    try write(HeatPicture(map).svg, to: path)
    run.context.output.write("written to \(Table.printable(path))\n")
    return .ok
  }

  // MARK: Arguments

  /// A length of time that an option says; nil if it is left out.
  static func span(_ option: OptionSpec, _ run: Invocation) throws(UsageError) -> UInt64? {
    guard let text = run.arguments.value(option) else { return nil }
    guard let span = TimeSpan(parsing: text), span.seconds > 0 else {
      throw UsageError(message: "wrong --\(option.name) '\(text)'", remedy: TimeSpan.hint, command: run.spec)
    }
    return span.seconds
  }

  /// Asks about the volume of the name, or the store if there is no such volume.
  private static func withSubject<Answer>(
    _ run: Invocation, _ ask: (APIClient, LoadSubject) throws -> Answer
  ) throws -> Answer {
    let name = run.arguments.positionals[0]
    try Validation.checkName(name, of: "volume or store")
    return try run.withDaemon { client in
      if run.arguments.has(ofStore) { return try ask(client, .store(name)) }
      do {
        return try ask(client, .volume(name))
      } catch let error as GnomonError where error.code == .notFound {
        do {
          return try ask(client, .store(name))
        } catch let error as GnomonError where error.code == .notFound {
          throw GnomonError(
            .notFound, "there is no volume or store \(name)",
            remedy: "see `gnomon volume list` and `gnomon store list`")
        }
      }
    }
  }

  private static func write(_ text: String, to path: String) throws(GnomonError) {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
      var failure: SystemError?
      unsafe Array(text.utf8).withUnsafeBytes { bytes in
        do throws(SystemError) { try unsafe file.write(bytes, at: 0) } catch { failure = error }
      }
      if let failure { throw failure }
    } catch {
      throw GnomonError(
        .system, "the picture can not be written", cause: error.description, remedy: "choose another file")
    }
  }

  // MARK: Words

  private static func text(of load: LoadInfo) -> String {
    guard let total = load.total else {
      return load.kind == .volume
        ? "Nothing is known of this time: no client has had the volume open.\n"
        : "Nothing is known of this time.\n"
    }
    var list = PropertyList()
    list.add(load.kind.rawValue, load.name)
    list.add(
      "watched",
      "\(TimeSpan(seconds: UInt64(total.seconds.rounded()))) of \(TimeSpan(seconds: load.windowSeconds))")
    list.add("IOPS", "\(number(total.iops)), flushes \(number(total.flushesPerSecond))/s")
    list.add("reads", "\(bytes(total.readBytesPerSecond))/s")
    list.add("writes", "\(bytes(total.writtenBytesPerSecond))/s")
    list.add("read share", total.readShare.map { "\(number($0 * 100)) %" } ?? "-")
    list.add("mean latency", total.meanNanoseconds.map(time) ?? "-")
    let step = load.samples.count > 1 ? " in the worst \(unit(load.stepSeconds))" : ""
    list.add("P99 latency", total.p99Nanoseconds.map { time($0) + step } ?? "-")
    let sizes = total.sizes
    list.add("sizes", "\(sizes.small) up to 4 KiB, \(sizes.medium) up to 64 KiB, \(sizes.large) larger")
    let history = values(of: load)
    let plot = LinePlot(observed: history, expected: []) { number($0) }
    return list.text + "\nIOPS by the \(unit(load.stepSeconds)):\n" + plot.text
  }

  /// IOPS at equal steps.
  private static func values(of load: LoadInfo) -> [Double?] {
    guard let first = load.samples.first, let last = load.samples.last else { return [] }
    var values = [Double?](repeating: nil, count: Int((last.time - first.time) / load.stepSeconds) + 1)
    for sample in load.samples { values[Int((sample.time - first.time) / load.stepSeconds)] = sample.iops }
    return values
  }

  private static func text(of forecast: ForecastInfo, horizonSeconds: UInt64) -> String {
    let write: (Double) -> String =
      switch forecast.metric {
      case .iops: { number($0) }
      case .throughput: { bytes(whole($0)) + "/s" }
      case .latency: { time(whole($0)) }
      }
    var history: [Double?] = []
    if let first = forecast.history.first, let last = forecast.history.last {
      let step = forecast.stepSeconds
      history = [Double?](repeating: nil, count: Int((last.time - first.time) / step) + 1)
      for point in forecast.history { history[Int((point.time - first.time) / step)] = point.value }
    }
    // What is shown of the past is up to three times as long as the future.
    let shown = Array(history.suffix(max(30, 3 * forecast.forecasts.count)))
    let plot = LinePlot(
      observed: shown, expected: forecast.forecasts.map { ($0.value, $0.low, $0.high) }, label: write)
    let title =
      "\(forecast.metric == .iops ? "IOPS" : forecast.metric.rawValue) of \(forecast.kind.rawValue) "
      + "\(forecast.name), by the \(unit(forecast.stepSeconds))\n"
    guard let model = forecast.model, let next = forecast.forecasts.first, let last = forecast.forecasts.last
    else { return title + (history.isEmpty ? "" : plot.text) + shortage(forecast) }
    var list = PropertyList()
    list.add("model", words(model))
    list.add("MASE", model.error.map { "\(rounded($0))" } ?? "-")
    list.add(
      "others",
      forecast.trials.filter { $0 != model }.map { "\($0.model) \($0.error.map(rounded) ?? "-")" }
        .joined(separator: ", "))
    list.add("next", "\(write(next.value)) (\(write(next.low)) to \(write(next.high)))")
    list.add(
      "in \(TimeSpan(seconds: horizonSeconds))",
      "\(write(last.value)) (\(write(last.low)) to \(write(last.high)))")
    if forecast.unusual { list.add("now", "unusual: the last value is not what was to be expected") }
    let legend = "• observed over \(TimeSpan(seconds: UInt64(shown.count) * forecast.stepSeconds)), "
    return title + plot.text + legend
      + "━ expected over \(TimeSpan(seconds: horizonSeconds)), ░ 95 of 100\n\n"
      + list.text
  }

  private static func words(_ model: ForecastInfo.Trial) -> String {
    model.model + (model.seasonSeconds.map { ", season \(TimeSpan(seconds: $0))" } ?? "")
  }

  /// Why there is no forecast, and what to do.
  private static func shortage(_ forecast: ForecastInfo) -> String {
    let unit = unit(forecast.stepSeconds)
    let missing = max(1, forecast.needed - forecast.observed)
    var text =
      "The history is too short to forecast: it has \(count(forecast.observed, unit)) with a value, "
      + "\(forecast.needed) are needed; ask again in \(count(missing, unit))"
    if forecast.stepSeconds == 60 { text += ", or for --horizon 1m or less, which goes by the second" }
    if forecast.stepSeconds == 3600 { text += ", or for --horizon 4h or less, which goes by the minute" }
    return text + ".\n"
  }

  private static func unit(_ stepSeconds: UInt64) -> String {
    stepSeconds == 1 ? "second" : stepSeconds == 60 ? "minute" : "hour"
  }

  /// Without what comes after the point; the nearest that there is, if a server has told what is no number of
  /// bytes or nanoseconds.
  private static func whole(_ value: Double) -> UInt64 { value > 0 ? UInt64(min(value, 1e18)) : 0 }

  private static func rounded(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }

  /// `12345`, `12.3`, `0.12`
  private static func number(_ value: Double) -> String {
    if value >= 100 { return "\(whole(value.rounded()))" }
    return value >= 10 ? "\((value * 10).rounded() / 10)" : "\((value * 100).rounded() / 100)"
  }

  /// `512 B`, `1.5 MiB`: rates are no whole numbers of units.
  private static func bytes(_ count: UInt64) -> String {
    for (shift, name) in [(40.0, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
      let unit = exp2(shift)
      if Double(count) >= unit { return "\(number(Double(count) / unit)) \(name)" }
    }
    return "\(count) B"
  }
}
