/// A job: many moves of extents' copies between stores.
public struct JobInfo: Codable, Sendable, Equatable {
  /// Counts from 1 since the daemon started.
  public var number: Int
  /// What it does, in words.
  public var what: String
  /// How it is.
  public var state: JobState
  /// Moves that ended as they were meant.
  public var done: Int
  /// Moves that were not needed any more when their turn came.
  public var skipped: Int
  /// Moves that could not be made; those of a drain, and of protection, are tried again.
  public var failed: Int
  /// Bytes that were copied.
  public var movedBytes: UInt64
  /// Bytes per second that were copied in the last ten seconds.
  public var bytesPerSecond: UInt64
  /// Bytes of the extents that are still to be moved, where that is known.
  public var leftBytes: UInt64?
  /// How long that will take at this rate.
  public var leftSeconds: UInt64?
  /// For how long it has been working, or did.
  public var seconds: UInt64
  /// What stands in the way now, or why the last move failed.
  public var complaint: String?

  /// Figures that are not known yet are 0.
  public init(
    number: Int, what: String, state: JobState, done: Int = 0, skipped: Int = 0, failed: Int = 0,
    movedBytes: UInt64 = 0, bytesPerSecond: UInt64 = 0, leftBytes: UInt64? = nil, leftSeconds: UInt64? = nil,
    seconds: UInt64 = 0, complaint: String? = nil
  ) {
    self.number = number
    self.what = what
    self.state = state
    self.done = done
    self.skipped = skipped
    self.failed = failed
    self.movedBytes = movedBytes
    self.bytesPerSecond = bytesPerSecond
    self.leftBytes = leftBytes
    self.leftSeconds = leftSeconds
    self.seconds = seconds
    self.complaint = complaint
  }
}

/// How a job is.
public enum JobState: String, Codable, Sendable, CaseIterable {
  /// At work.
  case running
  /// At work, but something stands in its way; it goes on when that is gone.
  case held
  /// At its end.
  case done
  /// At its end, because somebody wanted it.
  case cancelled

  /// Whether it is at its end.
  public var isOver: Bool { self == .done || self == .cancelled }
}

/// The answer to `GET /v1/jobs`.
public struct JobList: Codable, Sendable, Equatable {
  /// Oldest first; of those at their end the last 64.
  public var jobs: [JobInfo]
  /// What is done all the time to give volumes the copies that they want. Its number is 0.
  public var protection: JobInfo

  /// Takes both as they are.
  public init(jobs: [JobInfo], protection: JobInfo) {
    self.jobs = jobs
    self.protection = protection
  }
}

/// The body of `POST /v1/jobs`: what is to become of some extents of a volume.
public struct MoveRequest: Codable, Sendable, Equatable {
  /// What is done to each extent.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// Its live copy goes to the store.
    case migrate
    /// The store gets a shadow of it.
    case replicate
    /// The store gives up its shadow of it.
    case drop
  }

  /// What is done.
  public var kind: Kind
  /// Whose extents.
  public var volume: String
  /// Which: see `ExtentSet`.
  public var extents: String
  /// The name of the store.
  public var store: String

  /// Takes all as they are.
  public init(_ kind: Kind, volume: String, extents: String, store: String) {
    self.kind = kind
    self.volume = volume
    self.extents = extents
    self.store = store
  }
}

/// The body of `PATCH /v1/stores/{name}`.
public struct StoreChange: Codable, Sendable, Equatable {
  /// Whether everything is to be moved off the store, and nothing placed there.
  public var draining: Bool

  /// Takes it as it is.
  public init(draining: Bool) {
    self.draining = draining
  }
}
