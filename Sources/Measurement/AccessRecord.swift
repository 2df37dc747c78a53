public import Primitives

/// What one request of a client was after: what prediction learns from. Packed into 24 bytes.
public struct AccessRecord: Equatable, Sendable {
  /// What was asked for.
  public enum Kind: UInt8, Sendable {
    /// Bytes were read.
    case read
    /// Bytes were written.
    case write
    /// The client says that it will read them soon.
    case cache
  }

  /// The volume.
  public var volume: VolumeID
  /// What was asked for.
  public var kind: Kind
  /// The first byte, from the start of the volume.
  public var offset: UInt64
  /// Bytes; what is longer counts as `lengthMax`.
  public var length: UInt32
  /// When it arrived, in microseconds on the monotonic clock.
  public var microseconds: UInt64

  /// 1 GiB less a byte.
  public static let lengthMax: UInt32 = 1 << 30 - 1

  /// A record; see the properties.
  public init(_ kind: Kind, of volume: VolumeID, offset: UInt64, length: UInt64, microseconds: UInt64) {
    self.volume = volume
    self.kind = kind
    self.offset = offset
    self.length = UInt32(min(length, UInt64(Self.lengthMax)))
    self.microseconds = microseconds
  }

  /// Volume, kind and length: 32, 2 and 30 bits.
  var packed: UInt64 { UInt64(volume.rawValue) << 32 | UInt64(kind.rawValue) << 30 | UInt64(length) }

  init(packed: UInt64, offset: UInt64, microseconds: UInt64) {
    volume = VolumeID(rawValue: UInt32(truncatingIfNeeded: packed >> 32))
    kind = Kind(rawValue: UInt8(packed >> 30 & 3)) ?? .read
    length = UInt32(truncatingIfNeeded: packed) & Self.lengthMax
    self.offset = offset
    self.microseconds = microseconds
  }
}
