import Platform
public import Primitives

/// The last scrub, so that people find its result when the daemon has been started again.
extension Catalog {
  /// What the last scrub came to; nil if there was none, or if what is stored of it makes no sense: nothing
  /// depends on it.
  public func lastScrub() throws(GnomonError) -> ScrubRecord? {
    try attempting("the last scrub can not be read") { database in
      let statement = try database.prepared("SELECT * FROM scrub")
      defer { statement.reset() }
      guard try statement.step() else { return nil }
      guard let end = ScrubRecord.End(rawValue: statement.text(2)),
        let findings = try Self.readFindings(database)
      else {
        Self.log.warning("what is stored of the last scrub makes no sense")
        return nil
      }
      var record = ScrubRecord(scope: statement.text(1), startedSeconds: statement.int(3))
      record.end = end
      record.endedSeconds = statement.int(4)
      record.wholeEndedSeconds = statement.int(5)
      record.figures = ScrubFigures(
        bytes: UInt64(clamping: statement.int(6)), extents: Int(statement.int(7)),
        copies: Int(statement.int(8)), bad: Int(statement.int(9)), unread: Int(statement.int(10)),
        healed: Int(statement.int(11)), unhealed: Int(statement.int(12)))
      record.findings = findings
      return record
    }
  }

  /// Replaces what is known of the last scrub.
  public func setLastScrub(_ record: ScrubRecord) throws(GnomonError) {
    try changing("the result of the scrub can not be stored") { database in
      try database.execute("DELETE FROM scrub; DELETE FROM scrub_findings;")
      let figures = record.figures
      try database.prepared(
        "INSERT INTO scrub VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
      )
      .bind(1, record.scope).bind(2, record.end.rawValue).bind(3, record.startedSeconds)
      .bind(4, record.endedSeconds).bind(5, record.wholeEndedSeconds)
      .bind(6, Int64(clamping: figures.bytes)).bind(7, Int64(figures.extents))
      .bind(8, Int64(figures.copies)).bind(9, Int64(figures.bad)).bind(10, Int64(figures.unread))
      .bind(11, Int64(figures.healed)).bind(12, Int64(figures.unhealed)).run()
      for (number, finding) in record.findings.enumerated() {
        try database.prepared("INSERT INTO scrub_findings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
          .bind(1, Int64(number)).bind(2, finding.volume).bind(3, Int64(clamping: finding.extent))
          .bind(4, finding.store).bind(5, Int64(clamping: finding.place)).bind(6, finding.problem.rawValue)
          .bind(7, finding.outcome.rawValue).bind(8, finding.reason).run()
      }
    }
  }

  /// - Returns: nil if one makes no sense.
  private static func readFindings(_ database: Database) throws -> [ScrubFinding]? {
    let statement = try database.prepared("SELECT * FROM scrub_findings ORDER BY number")
    defer { statement.reset() }
    var findings: [ScrubFinding] = []
    while try statement.step() {
      guard let problem = ScrubFinding.Problem(rawValue: statement.text(5)),
        let outcome = ScrubFinding.Outcome(rawValue: statement.text(6))
      else { return nil }
      findings.append(
        ScrubFinding(
          volume: statement.text(1), extent: UInt64(clamping: statement.int(2)), store: statement.text(3),
          place: UInt64(clamping: statement.int(4)), problem: problem, outcome: outcome,
          reason: statement.text(7)))
    }
    return findings
  }
}
