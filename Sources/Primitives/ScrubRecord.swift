/// What a scrub has come to so far.
public struct ScrubFigures: Hashable, Sendable {
  /// Bytes that were read.
  public var bytes: UInt64 = 0
  /// Sealed extents that were looked at.
  public var extents = 0
  /// Copies of theirs that were read to their end.
  public var copies = 0
  /// Copies that do not hold what the seal says.
  public var bad = 0
  /// Copies that could not be read.
  public var unread = 0
  /// Bad or unreadable copies that have been made equal to a good one, and were read again.
  public var healed = 0
  /// Those that have not.
  public var unhealed = 0

  /// Takes all as they are.
  public init(
    bytes: UInt64 = 0, extents: Int = 0, copies: Int = 0, bad: Int = 0, unread: Int = 0, healed: Int = 0,
    unhealed: Int = 0
  ) {
    self.bytes = bytes
    self.extents = extents
    self.copies = copies
    self.bad = bad
    self.unread = unread
    self.healed = healed
    self.unhealed = unhealed
  }
}

/// A copy that a scrub found bad.
public struct ScrubFinding: Hashable, Sendable {
  /// What is wrong with a copy.
  public enum Problem: String, Sendable, CaseIterable {
    /// It holds something else than what was sealed.
    case differs
    /// It can not be read.
    case unreadable
  }

  /// What has become of it.
  public enum Outcome: String, Sendable, CaseIterable {
    /// It has been written again from a good copy, and holds what was sealed.
    case healed
    /// It is as it was.
    case unhealed
  }

  /// The volume's name.
  public var volume: String
  /// The extent's number.
  public var extent: UInt64
  /// The store's name.
  public var store: String
  /// First byte of the copy in the store's file, device or export.
  public var place: UInt64
  /// What is wrong.
  public var problem: Problem
  /// What has become of it.
  public var outcome: Outcome
  /// Why it can not be read, or was not healed; empty if there is nothing to say.
  public var reason: String

  /// Takes all as they are.
  public init(
    volume: String, extent: UInt64, store: String, place: UInt64, problem: Problem, outcome: Outcome,
    reason: String = ""
  ) {
    self.volume = volume
    self.extent = extent
    self.store = store
    self.place = place
    self.problem = problem
    self.outcome = outcome
    self.reason = reason
  }
}

/// A scrub as the catalog remembers it.
public struct ScrubRecord: Hashable, Sendable {
  /// How a scrub has ended.
  public enum End: String, Sendable, CaseIterable {
    /// Everything that it was to look at has been looked at.
    case complete
    /// Somebody stopped it.
    case stopped
    /// The daemon was stopped.
    case interrupted
  }

  /// What it looked at, in words.
  public var scope: String
  /// How it has ended.
  public var end = End.complete
  /// When it began, in seconds since 1970.
  public var startedSeconds: Int64
  /// When it ended.
  public var endedSeconds: Int64 = 0
  /// When the last one of the whole pool ended, or was stopped by somebody; 0 if there was none. From then on
  /// it is counted when the next is due.
  public var wholeEndedSeconds: Int64 = 0
  /// What it came to.
  public var figures = ScrubFigures()
  /// Copies that it found bad, in order: the first of them, and those that were not healed above all.
  public var findings: [ScrubFinding] = []

  /// Findings that are remembered at most; `figures` counts all.
  public static let findingsMax = 256

  /// A scrub that begins.
  public init(scope: String, startedSeconds: Int64) {
    self.scope = scope
    self.startedSeconds = startedSeconds
  }

  /// Remembers a finding, as long as there is room; one that was not healed replaces one that was.
  public mutating func add(_ finding: ScrubFinding) {
    if findings.count < Self.findingsMax {
      findings.append(finding)
    } else if finding.outcome == .unhealed,
      let healed = findings.lastIndex(where: { $0.outcome == .healed })
    {
      findings.remove(at: healed)
      findings.append(finding)
    }
  }
}
