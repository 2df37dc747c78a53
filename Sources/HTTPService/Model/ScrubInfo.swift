public import Primitives

/// The answer to `GET /v1/scrub`.
public struct ScrubInfo: Codable, Sendable, Equatable {
  /// The scrub under way; nil: there is none.
  public var running: ScrubProgress?
  /// The last that has ended; nil: there was none.
  public var last: ScrubResult?
  /// Bytes of the extents that are sealed: what a scrub looks at.
  public var sealedBytes: UInt64
  /// Bytes of all extents that are mapped.
  public var mappedBytes: UInt64

  /// Takes all as they are.
  public init(
    running: ScrubProgress? = nil, last: ScrubResult? = nil, sealedBytes: UInt64, mappedBytes: UInt64
  ) {
    self.running = running
    self.last = last
    self.sealedBytes = sealedBytes
    self.mappedBytes = mappedBytes
  }
}

/// A scrub under way.
public struct ScrubProgress: Codable, Sendable, Equatable {
  /// What it looks at, in words.
  public var what: String
  /// What it has come to so far.
  public var counts: ScrubCounts
  /// Bytes per second that were read in the last ten seconds.
  public var bytesPerSecond: UInt64
  /// Bytes of the copies that are still to be read.
  public var leftBytes: UInt64
  /// How long that will take at this rate.
  public var leftSeconds: UInt64?
  /// For how long it has been at work.
  public var seconds: UInt64

  /// Takes all as they are.
  public init(
    what: String, counts: ScrubCounts, bytesPerSecond: UInt64, leftBytes: UInt64, leftSeconds: UInt64?,
    seconds: UInt64
  ) {
    self.what = what
    self.counts = counts
    self.bytesPerSecond = bytesPerSecond
    self.leftBytes = leftBytes
    self.leftSeconds = leftSeconds
    self.seconds = seconds
  }
}

/// What a scrub has come to.
public struct ScrubCounts: Codable, Sendable, Equatable {
  /// Bytes that were read.
  public var readBytes: UInt64
  /// Sealed extents that were looked at.
  public var extents: Int
  /// Copies that were read to their end.
  public var copies: Int
  /// Copies that do not hold what was sealed.
  public var bad: Int
  /// Copies that could not be read.
  public var unread: Int
  /// Of these two, those that have been written again from a good copy, and hold what was sealed.
  public var healed: Int
  /// And those that have not.
  public var unhealed: Int

  /// The figures as the daemon counts them.
  public init(_ figures: ScrubFigures) {
    readBytes = figures.bytes
    extents = figures.extents
    copies = figures.copies
    bad = figures.bad
    unread = figures.unread
    healed = figures.healed
    unhealed = figures.unhealed
  }
}

/// A scrub that has ended.
public struct ScrubResult: Codable, Sendable, Equatable {
  /// What it looked at, in words.
  public var what: String
  /// How it ended: `complete`, `stopped` by somebody, or `interrupted` by the end of the daemon.
  public var end: String
  /// When it began, in seconds since 1970.
  public var startedSeconds: Int64
  /// When it ended.
  public var endedSeconds: Int64
  /// What it came to.
  public var counts: ScrubCounts
  /// Copies that it found bad: at most 256, those that were not healed above all.
  public var findings: [ScrubFindingInfo]

  /// The scrub as the catalog remembers it.
  public init(_ record: ScrubRecord) {
    what = record.scope
    end = record.end.rawValue
    startedSeconds = record.startedSeconds
    endedSeconds = record.endedSeconds
    counts = ScrubCounts(record.figures)
    findings = record.findings.map(ScrubFindingInfo.init)
  }
}

/// A copy that a scrub found bad.
public struct ScrubFindingInfo: Codable, Sendable, Equatable {
  /// The volume.
  public var volume: String
  /// The extent.
  public var extent: UInt64
  /// The store of the copy.
  public var store: String
  /// Its first byte in the store's file, device or export.
  public var place: UInt64
  /// `differs` from what was sealed, or is `unreadable`.
  public var problem: String
  /// `healed` or `unhealed`.
  public var outcome: String
  /// Why it can not be read, or was not healed.
  public var reason: String?

  /// The finding as the catalog remembers it.
  public init(_ finding: ScrubFinding) {
    volume = finding.volume
    extent = finding.extent
    store = finding.store
    place = finding.place
    problem = finding.problem.rawValue
    outcome = finding.outcome.rawValue
    reason = finding.reason.isEmpty ? nil : finding.reason
  }
}

/// The body of `POST /v1/scrub`: what is to be looked at; without either, everything.
public struct ScrubRequest: Codable, Sendable, Equatable {
  /// Extents of this volume.
  public var volume: String?
  /// Copies in this store.
  public var store: String?

  /// Takes both as they are.
  public init(volume: String? = nil, store: String? = nil) {
    self.volume = volume
    self.store = store
  }
}
