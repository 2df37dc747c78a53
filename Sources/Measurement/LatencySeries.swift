/// What a store is asked to do.
public enum StoreOperation: UInt8, Sendable, CaseIterable, Codable {
  /// Bytes are read.
  case read
  /// Bytes are written, or zeroed by writing.
  case write
  /// What was written is made durable.
  case synchronize
}

/// How large a transfer is. Latencies are compared within a class only: a large transfer takes longer.
public enum SizeClass: UInt8, Sendable, CaseIterable, Codable {
  /// At most 4 KiB.
  case small
  /// At most 64 KiB.
  case medium
  /// More.
  case large

  /// The class of a transfer.
  @inlinable
  public init(bytes: UInt64) {
    self = bytes <= 4 << 10 ? .small : bytes <= 64 << 10 ? .medium : .large
  }
}

/// The operations of a store whose latencies can be compared: one kind, one class of sizes.
@frozen
public struct LatencySeries: RawRepresentable, Hashable, Sendable {
  /// 0…2 reads, 3…5 writes, each by size; 6 synchronizations, which have no size.
  public let rawValue: Int

  /// Series that there are.
  public static let count = 7

  /// The series with this number; nil if there is none.
  public init?(rawValue: Int) {
    guard (0..<Self.count).contains(rawValue) else { return nil }
    self.rawValue = rawValue
  }

  /// The series of an operation.
  @inlinable
  public init(_ operation: StoreOperation, _ size: SizeClass = .small) {
    rawValue = operation == .synchronize ? 6 : Int(operation.rawValue) * 3 + Int(size.rawValue)
  }

  /// All of them, in order.
  public static var all: [LatencySeries] { (0..<count).compactMap(LatencySeries.init(rawValue:)) }

  /// The kind of operation.
  public var operation: StoreOperation { StoreOperation(rawValue: UInt8(rawValue / 3)) ?? .synchronize }

  /// The class of sizes; nil of synchronizations.
  public var size: SizeClass? { operation == .synchronize ? nil : SizeClass(rawValue: UInt8(rawValue % 3)) }
}
