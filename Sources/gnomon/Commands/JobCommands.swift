import HTTPService
import Primitives

extension Command {
  static let jobCommands = [jobsCancel, jobs]

  /// `gnomon jobs`
  private static let jobs = Command(
    spec: CommandSpec(
      path: ["jobs"], summary: "List what is being moved between stores, and what was",
      options: [.pool, .json],
      details: [
        "A job is 'held' while something stands in its way, for example a store without room: the last "
          + "column says what. It goes on by itself. What is done all the time to give volumes the copies "
          + "that they want is not among the jobs; a line below the table says what stands in its way."
      ],
      examples: [.init(text: "For people", line: "gnomon jobs --pool /srv/pool")])
  ) { run in
    let list = try run.withDaemon { try $0.jobs() }
    run.show(list) { text(of: list) }
    return .ok
  }

  private static func text(of list: JobList) -> String {
    var table = Table(
      [.init(title: "JOB", alignment: .right), .init(title: "WHAT"), .init(title: "STATE")]
        + ["DONE", "FAILED", "MOVED", "RATE", "LEFT", "TIME"].map { .init(title: $0, alignment: .right) }
        + [.init(title: "COMPLAINT")])
    for job in list.jobs {
      table.add([
        "\(job.number)", job.what, job.state.rawValue, "\(job.done)", "\(job.failed)",
        "\(ByteSize(rawValue: job.movedBytes))", "\(ByteSize(rawValue: job.bytesPerSecond))/s",
        job.leftBytes.map { "\(ByteSize(rawValue: $0))" } ?? "", job.leftSeconds.map(duration) ?? "",
        job.complaint ?? "",
      ])
    }
    var text = table.text
    if let complaint = list.protection.complaint { text += "\nprotection: \(Table.printable(complaint))\n" }
    return text
  }

  /// `gnomon jobs cancel`
  private static let jobsCancel = Command(
    spec: CommandSpec(
      path: ["jobs", "cancel"], summary: "End a job; what it has moved stays moved",
      positionals: [PositionalSpec(name: "JOB")], options: [.pool, .json],
      details: ["A drain is ended with 'gnomon store drain NAME --cancel'."],
      examples: [.init(text: "The third", line: "gnomon jobs cancel --pool /srv/pool 3")])
  ) { run in
    guard let number = Int(run.arguments.positionals[0]), number > 0 else {
      throw GnomonError(
        .invalid, "wrong number of a job: '\(run.arguments.positionals[0])'", remedy: "see 'gnomon jobs'")
    }
    let job = try run.withDaemon { try $0.cancelJob(number) }
    run.show(job) { "Job \(job.number) \(job.state == .done ? "has ended" : "ends"): \(job.what).\n" }
    return .ok
  }
}
