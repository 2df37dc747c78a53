/// What a device says of its own health (S.M.A.R.T.), as far as it says something about failing. What it does
/// not report is nil.
public struct MediaSummary: Sendable, Equatable {
  /// The device's own verdict: false if it expects to fail.
  public var hasPassed: Bool?
  /// Sectors that were replaced by spare ones (ATA attribute 5).
  public var reallocatedSectors: UInt64?
  /// Sectors that could not be read and wait to be written (ATA 197).
  public var pendingSectors: UInt64?
  /// Errors that could not be corrected: the larger of ATA 187 and 198, or NVMe's media errors.
  public var uncorrectableErrors: UInt64?
  /// The share of its rated life that a solid-state device has used up, in percent; it may pass 100.
  public var wearPercent: Double?
  /// Spare blocks that are left, in percent, and what the device holds to be too few (NVMe).
  public var sparePercent: Double?
  /// See `sparePercent`.
  public var spareThresholdPercent: Double?
  /// NVMe's critical warnings.
  public var warnings: NVMeWarnings = []
  /// An attribute by which the device calls itself failing now (ATA).
  public var failingAttribute: String?
  /// Degrees Celsius.
  public var temperature: Double?

  /// Nothing is known.
  public init() {}
}

/// The critical warnings of an NVMe device (NVM Express Base Specification, SMART / Health Information, byte
/// 0).
public struct NVMeWarnings: OptionSet, Sendable, Hashable {
  /// The byte.
  public let rawValue: UInt8

  /// The warnings of this byte.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Spare blocks are below the threshold.
  public static let spare = NVMeWarnings(rawValue: 1)
  /// The temperature is outside its limits.
  public static let temperature = NVMeWarnings(rawValue: 2)
  /// Reliability is degraded by media or internal errors.
  public static let reliability = NVMeWarnings(rawValue: 4)
  /// The media can only be read.
  public static let readOnly = NVMeWarnings(rawValue: 8)
  /// Volatile memory can not be saved any more.
  public static let backup = NVMeWarnings(rawValue: 16)
}
