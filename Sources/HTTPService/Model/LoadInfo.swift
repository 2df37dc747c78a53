/// Whose load is asked for.
public enum LoadSubject: Sendable, Equatable {
  /// Of the volume of that name.
  case volume(String)
  /// Of the store of that name.
  case store(String)

  /// Its name.
  public var name: String {
    switch self {
    case .volume(let name), .store(let name): name
    }
  }

  /// What it is, in a word.
  public var kind: LoadKind {
    if case .volume = self { .volume } else { .store }
  }
}

/// What a load is the load of.
public enum LoadKind: String, Codable, Sendable {
  /// Of a volume: what its clients ask for.
  case volume
  /// Of a store: what it does, whoever wants it.
  case store
}

/// A load in an interval.
public struct LoadFigures: Codable, Sendable, Equatable {
  /// When it began: seconds since 1970.
  public var time: UInt64
  /// Seconds of it that were watched.
  public var seconds: Double
  /// Reads and writes a second.
  public var iops: Double
  /// The share of reads among them; nil if there were none.
  public var readShare: Double?
  /// Bytes read a second.
  public var readBytesPerSecond: UInt64
  /// Bytes written a second.
  public var writtenBytesPerSecond: UInt64
  /// Flushes a second; of a store, synchronizations.
  public var flushesPerSecond: Double
  /// The mean latency of reads and writes; nil if there were none.
  public var meanNanoseconds: UInt64?
  /// What 99 of 100 did not exceed; of several steps together, the largest of theirs.
  public var p99Nanoseconds: UInt64?
  /// How large reads and writes were.
  public var sizes: SizeMix

  /// Takes all as they are.
  public init(
    time: UInt64, seconds: Double, iops: Double, readShare: Double?, readBytesPerSecond: UInt64,
    writtenBytesPerSecond: UInt64, flushesPerSecond: Double, meanNanoseconds: UInt64?,
    p99Nanoseconds: UInt64?,
    sizes: SizeMix
  ) {
    self.time = time
    self.seconds = seconds
    self.iops = iops
    self.readShare = readShare
    self.readBytesPerSecond = readBytesPerSecond
    self.writtenBytesPerSecond = writtenBytesPerSecond
    self.flushesPerSecond = flushesPerSecond
    self.meanNanoseconds = meanNanoseconds
    self.p99Nanoseconds = p99Nanoseconds
    self.sizes = sizes
  }
}

/// Reads and writes by size.
public struct SizeMix: Codable, Sendable, Equatable {
  /// Of at most 4 KiB.
  public var small: UInt64
  /// Of at most 64 KiB.
  public var medium: UInt64
  /// Of more.
  public var large: UInt64

  /// Takes all as they are.
  public init(small: UInt64, medium: UInt64, large: UInt64) {
    self.small = small
    self.medium = medium
    self.large = large
  }
}

/// The load of a volume or store in a window that ends now: the answer to `GET /v1/volumes/{name}/load`.
public struct LoadInfo: Codable, Sendable, Equatable {
  /// The volume or store.
  public var name: String
  /// Which of both it is.
  public var kind: LoadKind
  /// The window that was asked for.
  public var windowSeconds: UInt64
  /// The length of a sample: 1, 60 or 3600 seconds.
  public var stepSeconds: UInt64
  /// All of the window together; nil if nothing is known of it.
  public var total: LoadFigures?
  /// Oldest first; what nothing is known of is left out.
  public var samples: [LoadFigures]

  /// Takes all as they are.
  public init(
    _ subject: LoadSubject, windowSeconds: UInt64, stepSeconds: UInt64, total: LoadFigures?,
    samples: [LoadFigures]
  ) {
    name = subject.name
    kind = subject.kind
    self.windowSeconds = windowSeconds
    self.stepSeconds = stepSeconds
    self.total = total
    self.samples = samples
  }
}
