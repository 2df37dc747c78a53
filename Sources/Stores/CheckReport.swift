import Primitives

/// What an offline check of a pool found.
public struct CheckReport: Sendable, Codable, Equatable {
  /// How bad a finding is.
  public enum Severity: String, Sendable, Codable {
    /// Data may be lost, or the pool may not start.
    case error
    /// Nothing is lost yet, but a spare is gone.
    case warning
  }

  /// One finding.
  public struct Problem: Sendable, Codable, Equatable {
    /// How bad it is.
    public var severity: Severity
    /// What is wrong, one sentence without a full stop.
    public var message: String
    /// What exactly was found.
    public var cause: String?
    /// What the reader can do about it.
    public var remedy: String?

    /// Takes everything as it is.
    public init(severity: Severity, message: String, cause: String? = nil, remedy: String? = nil) {
      self.severity = severity
      self.message = message
      self.cause = cause
      self.remedy = remedy
    }
  }

  /// A store and what lies in it.
  public struct Store: Sendable, Codable, Equatable {
    /// The store's number in its pool.
    public var id: UInt8
    /// The store's name.
    public var name: String
    /// Bytes for slots.
    public var capacityBytes: UInt64
    /// Bytes of slots that extents are mapped to.
    public var usedBytes: UInt64
    /// Extents that are mapped to it.
    public var extents: UInt64

    /// Takes every figure as it is.
    public init(id: UInt8, name: String, capacityBytes: UInt64, usedBytes: UInt64, extents: UInt64) {
      self.id = id
      self.name = name
      self.capacityBytes = capacityBytes
      self.usedBytes = usedBytes
      self.extents = extents
    }
  }

  /// A volume and how much of it is mapped.
  public struct Volume: Sendable, Codable, Equatable {
    /// The volume's number in its pool.
    public var id: UInt32
    /// The volume's name.
    public var name: String
    /// Bytes of its address space.
    public var sizeBytes: UInt64
    /// Bytes of an extent.
    public var extentBytes: UInt64
    /// Extents that have a place in a store.
    public var mappedExtents: UInt64

    /// Takes every figure as it is.
    public init(id: UInt32, name: String, sizeBytes: UInt64, extentBytes: UInt64, mappedExtents: UInt64) {
      self.id = id
      self.name = name
      self.sizeBytes = sizeBytes
      self.extentBytes = extentBytes
      self.mappedExtents = mappedExtents
    }
  }

  /// Problems that are listed at most; the others are counted only.
  public static let problemsMax = 1000

  /// The pool's folder.
  public var directory: String
  /// What is wrong, at most `problemsMax`.
  public var problems: [Problem] = []
  /// Problems that found no place in the list.
  public var problemsOmitted = 0
  /// All stores, by id.
  public var stores: [Store] = []
  /// All volumes, by id.
  public var volumes: [Volume] = []
  /// Map changes that are in the journal only.
  public var journalRecords = 0

  /// A report without findings.
  public init(directory: String) {
    self.directory = directory
  }

  /// Whether there is no error; warnings are allowed.
  public var isSound: Bool { errorCount == 0 }

  /// Errors, those included that found no place in the list: warnings are few, and come before.
  public var errorCount: Int { problems.count { $0.severity == .error } + problemsOmitted }

  /// Extents of all volumes that have a place in a store.
  public var mappedExtents: UInt64 { volumes.reduce(0) { $0 + $1.mappedExtents } }

  /// What those extents take.
  public var mappedBytes: UInt64 { volumes.reduce(0) { $0 + $1.mappedExtents * $1.extentBytes } }

  mutating func add(_ error: GnomonError, _ severity: Severity = .error) {
    add(severity, error.message, cause: error.cause, remedy: error.remedy)
  }

  mutating func add(
    _ severity: Severity = .error, _ message: String, cause: String? = nil, remedy: String? = nil
  ) {
    let problem = Problem(severity: severity, message: message, cause: cause, remedy: remedy)
    guard !isFull else {
      problemsOmitted += 1
      return
    }
    // A damaged row of the journal is reported with every volume.
    if !problems.contains(problem) { problems.append(problem) }
  }

  /// Whether further problems are only counted.
  var isFull: Bool { problems.count >= Self.problemsMax }
}
