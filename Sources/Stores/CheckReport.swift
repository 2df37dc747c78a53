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
  }

  /// Problems that are listed at most; the others are counted only.
  public static let problemsMax = 1000

  /// The pool's folder.
  public var directory: String
  /// What is wrong, at most `problemsMax`.
  public internal(set) var problems: [Problem] = []
  /// Problems that found no place in the list.
  public internal(set) var problemsOmitted = 0
  /// All stores, by id.
  public internal(set) var stores: [Store] = []
  /// All volumes, by id.
  public internal(set) var volumes: [Volume] = []
  /// Map changes that are in the journal only.
  public internal(set) var journalRecords = 0

  init(directory: String) {
    self.directory = directory
  }

  /// Whether there is no error; warnings are allowed.
  public var isSound: Bool { !problems.contains { $0.severity == .error } && problemsOmitted == 0 }

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
