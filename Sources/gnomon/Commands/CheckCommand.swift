import Daemon
import HTTPService
import Primitives
import Stores

extension Command {
  /// `gnomon check`
  static let check = Command(
    spec: CommandSpec(
      path: ["check"], summary: "Verify a pool that is not served",
      positionals: [PositionalSpec(name: "DIR", isOptional: true)], options: [.pool, .json],
      details: [
        "Compares the catalog with the stores: labels, slots, checksums. Nothing is changed. Ends with "
          + "status 5 if errors are found."
      ],
      examples: [.init(text: "By its folder", line: "gnomon check /srv/pool")])
  ) { run in
    let directory = try run.poolDirectory(positional: run.arguments.positionals.first)
    let report = try run.context.offline.checkPool(directory: directory)
    run.show(report) { text(of: report) }
    return report.isSound ? .ok : .corrupt
  }

  private static func text(of report: CheckReport) -> String {
    var text = ""
    for problem in report.problems {
      let words = problem.message + (problem.cause.map { ": " + $0 } ?? "")
      text += "\(problem.severity.rawValue): \(Table.printable(words))\n"
      if let remedy = problem.remedy { text += "  \(Table.printable(remedy))\n" }
    }
    if report.problemsOmitted > 0 { text += "and \(count(report.problemsOmitted, "error")) more\n" }
    let size = ByteSize(rawValue: report.mappedBytes)
    text += "\(count(report.stores.count, "store")), \(count(report.volumes.count, "volume")), "
    text += "\(report.mappedExtents) mapped extents (\(size)): "
    text += report.isSound ? "no errors\n" : "\(count(report.errorCount, "error"))\n"
    return text
  }
}
