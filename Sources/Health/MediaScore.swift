import Glibc

/// Scores what a device says of itself. Findings are combined like failure modes: 100 · (1 − Π (1 − score /
/// 100)).
///
/// That pending, reallocated and uncorrectable sectors foretell failures, the first few above all, is what
/// Pinheiro, Weber and Barroso found (*Failure Trends in a Large Disk Drive Population*, FAST '07); hence the
/// logarithms.
struct MediaScore: Sendable, Equatable {
  /// 0…100.
  let score: Double
  /// What weighs most, in plain words; nil if there is nothing to say.
  let reason: String?

  init(_ media: MediaSummary?) {
    let findings = media.map(Self.findings) ?? []
    score = FailureScore.combined(findings.map(\.score))
    reason = findings.filter { $0.score >= 1 }.max { $0.score < $1.score }?.words
  }

  private struct Finding {
    var score: Double
    var words: String
  }

  private static func findings(_ media: MediaSummary) -> [Finding] {
    var findings: [Finding] = []
    if media.hasPassed == false { findings.append(Finding(score: 95, words: "the device expects to fail")) }
    if let name = media.failingAttribute {
      findings.append(Finding(score: 90, words: "the device calls \(name) failing"))
    }
    for (warning, finding) in warnings where media.warnings.contains(warning) { findings.append(finding) }
    findings += counts(media)
    if let wear = media.wearPercent, wear.isFinite, wear > 80 {
      let words = "\(Words.whole(wear)) % of the rated life is used up"
      findings.append(Finding(score: min(60, 20 + (wear - 80)), words: words))
    }
    if let spare = media.sparePercent, let threshold = media.spareThresholdPercent, spare < threshold {
      findings.append(Finding(score: 80, words: "\(Words.whole(spare)) % of spare blocks are left"))
    }
    return findings
  }

  private static let warnings: [(NVMeWarnings, Finding)] = [
    (.spare, Finding(score: 80, words: "spare blocks run out")),
    (.temperature, Finding(score: 30, words: "the temperature is outside its limits")),
    (.reliability, Finding(score: 90, words: "the device calls its reliability degraded")),
    (.readOnly, Finding(score: 95, words: "the device can only be read")),
    (.backup, Finding(score: 60, words: "the device can not save its volatile memory")),
  ]

  private static func counts(_ media: MediaSummary) -> [Finding] {
    let kinds: [(count: UInt64?, perDecade: Double, thing: String)] = [
      (media.reallocatedSectors, 18, "reallocated sector"),
      (media.pendingSectors, 27, "pending sector"),
      (media.uncorrectableErrors, 27, "uncorrectable error"),
    ]
    return kinds.compactMap { kind in
      guard let count = kind.count, count > 0 else { return nil }
      let score = min(85, kind.perDecade * (0.5 + log10(Double(count))))
      return Finding(score: score, words: Words.count(count, kind.thing))
    }
  }
}
