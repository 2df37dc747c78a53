/// What one request does to one extent.
public struct ExtentAccess: Sendable, Equatable {
  /// The extent's number in its volume.
  public var extent: UInt32
  /// The first byte touched, counted from the extent's start.
  public var start: UInt32
  /// The byte after the last one touched; greater than `start`.
  public var end: UInt32
  /// Bytes of the whole request.
  public var requestBytes: UInt32
  /// How many extents the request touches: each answers for that part of it.
  public var extentCount: UInt32
  /// Whether it writes.
  public var isWrite: Bool
  /// When, on a clock that does not go back.
  public var microseconds: UInt64

  /// An access; see the properties.
  public init(
    extent: UInt32, start: UInt32, end: UInt32, requestBytes: UInt32, extentCount: UInt32 = 1,
    isWrite: Bool = false, microseconds: UInt64
  ) {
    self.extent = extent
    self.start = start
    self.end = end
    self.requestBytes = requestBytes
    self.extentCount = extentCount
    self.isWrite = isWrite
    self.microseconds = microseconds
  }
}
