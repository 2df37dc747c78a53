/// The status of a range in the context `base:allocation` (proto.md "base:allocation metadata context").
///
/// The empty set is always a safe answer: allocated, content unknown.
@frozen
public struct AllocationStatus: OptionSet, Hashable, Sendable {
  /// The bits as they travel.
  public let rawValue: UInt32

  /// A set of bits, known or not.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Not allocated: a write may fail for want of room.
  @inlinable public static var hole: AllocationStatus { AllocationStatus(rawValue: 1 << 0) }
  /// Reads as zeros.
  @inlinable public static var zero: AllocationStatus { AllocationStatus(rawValue: 1 << 1) }

  /// The context's name.
  public static let contextName = "base:allocation"
}
