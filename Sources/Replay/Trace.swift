/// A recorded sequence of requests to one block device.
public struct Trace: Sendable, Equatable {
  /// One request.
  public struct Request: Sendable, Equatable {
    /// When it came, counted from anywhere.
    public var microseconds: UInt64
    /// Where it begins.
    public var offset: UInt64
    /// How long it is; at least 1.
    public var length: UInt32
    /// Whether it writes.
    public var isWrite: Bool

    /// A request; see the properties.
    public init(microseconds: UInt64, offset: UInt64, length: UInt32, isWrite: Bool = false) {
      self.microseconds = microseconds
      self.offset = offset
      self.length = length
      self.isWrite = isWrite
    }
  }

  /// What it is called in reports.
  public var name: String
  /// By time.
  public var requests: [Request]
  /// Lines of its file that could not be read and were left out.
  public internal(set) var skippedLines = 0

  /// A trace; its requests are ordered by time.
  public init(name: String, requests: [Request]) {
    self.name = name
    self.requests = requests
  }
}
