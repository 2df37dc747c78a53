import Daemon
import HTTPService
import Primitives

extension Command {
  /// `gnomon check`
  static let check = Command(
    spec: CommandSpec(
      path: ["check"], summary: "Verify a pool that is not served",
      positionals: [PositionalSpec(name: "DIR", isOptional: true)], options: [.pool, .json],
      details: [
        "Compares the catalog with the stores: labels, slots, checksums. Nothing is changed. Ends with status 5 "
          + "if errors are found.",
      ],
      examples: [.init(text: "By its folder", line: "gnomon check /srv/pool")])
  ) { run in
    let directory = try run.poolDirectory(positional: run.arguments.positionals.first)
    let report = try run.context.offline.checkPool(directory: directory)
    run.show(report) { text(of: report) }
    return report.errors.isEmpty ? .ok : .corrupt
  }

  private static func text(of report: CheckReport) -> String {
    var text = ""
    for (word, findings) in [("error", report.errors), ("warning", report.warnings)] {
      for finding in findings {
        text += "\(word): \(Table.printable(finding.text))\n"
        if let remedy = finding.remedy { text += "  \(Table.printable(remedy))\n" }
      }
    }
    let size = ByteSize(rawValue: report.mappedBytes)
    text += "\(count(report.storeCount, "store")), \(count(report.volumeCount, "volume")), "
    text += "\(report.mappedExtents) mapped extents (\(size)): "
    text += report.errors.isEmpty ? "no errors\n" : "\(count(report.errors.count, "error"))\n"
    return text
  }
}
