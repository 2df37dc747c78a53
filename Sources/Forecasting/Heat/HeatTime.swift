/// A moment as heat goes by it: in seconds for what fades, by the clocks on the wall for what comes back at
/// the same time of day.
public struct HeatTime: Sendable, Equatable {
  /// Since 1970, the same everywhere.
  public var seconds: UInt32
  /// By how much clocks on the wall are ahead of UTC then.
  public var zoneSeconds: Int32

  /// A moment; by default where clocks show UTC.
  public init(_ seconds: UInt32, zoneSeconds: Int32 = 0) {
    self.seconds = seconds
    self.zoneSeconds = zoneSeconds
  }

  /// Hours on the wall since 1970 began there; those of a day begin with a multiple of 24.
  var hour: Int { wallSeconds / Self.hourSeconds }
  /// Seconds since this hour began.
  var secondOfHour: Int { wallSeconds % Self.hourSeconds }

  static let hourSeconds = 3600
  static let hoursPerDay = 24

  private var wallSeconds: Int { max(0, Int(seconds) + Int(zoneSeconds)) }
}
