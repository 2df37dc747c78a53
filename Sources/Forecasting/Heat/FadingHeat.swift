/// How much an extent was accessed, for plans of minutes to days: counts that fade with time, in 14 bytes.
public struct FadingHeat: BitwiseCopyable, Sendable, Equatable {
  /// Accesses, by the short half-life.
  public private(set) var brief: Float
  /// Accesses, by the long one.
  public private(set) var long: Float
  /// When the last access was, in seconds on the caller's clock; 0: there was none.
  public private(set) var lastSeconds: UInt32
  /// Minutes in which there were any, by the long half-life, in 64ths; there are never more than 520.
  private var minutes64ths: UInt16

  /// Half-lives, in seconds.
  static let briefHalfLife: Float = 300
  static let longHalfLife: Float = 6 * 3600

  /// Counts as they were kept; the defaults are those of an extent that nobody has accessed.
  public init(brief: Float = 0, long: Float = 0, minutes: Float = 0, lastSeconds: UInt32 = 0) {
    self.brief = brief
    self.long = long
    self.lastSeconds = lastSeconds
    minutes64ths = Self.in64ths(minutes)
  }

  /// Minutes in which there were accesses, as of the last one.
  public var minutes: Float { Float(minutes64ths) / 64 }

  private static func in64ths(_ minutes: Float) -> UInt16 { UInt16(min(minutes * 64 + 0.5, 65_535)) }

  /// Counts an access. A clock that goes back counts as one that stands still.
  ///
  /// - Returns: whether it is the first one of its minute.
  @discardableResult
  public mutating func touch(at seconds: UInt32) -> Bool {
    var isNewMinute = false
    if seconds > lastSeconds {
      let idle = idleSeconds(at: seconds)
      brief *= Scale.decay(idle / Self.briefHalfLife)
      long *= Scale.decay(idle / Self.longHalfLife)
      // Faded once a minute, by whole minutes: in smaller steps 64ths would not notice.
      let minutesIdle = seconds / 60 - lastSeconds / 60
      isNewMinute = minutesIdle > 0
      if isNewMinute {
        minutes64ths = Self.in64ths(minutes * Scale.decay(Float(minutesIdle) * 60 / Self.longHalfLife) + 1)
      }
      lastSeconds = seconds
    }
    brief += 1
    long += 1
    return isNewMinute
  }

  /// Seconds since the last access.
  public func idleSeconds(at seconds: UInt32) -> Float { Float(seconds - min(seconds, lastSeconds)) }

  /// How many accesses are to be expected within a horizon.
  ///
  /// A count that halves every h seconds and gets r accesses a second settles at r·h/ln 2. The two of them
  /// give two rates; short horizons go by the brief one, long ones by the other.
  ///
  /// - Parameters:
  ///   - horizon: in seconds.
  ///   - seconds: now.
  public func expectedAccesses(within horizon: Float, at seconds: UInt32) -> Float {
    let idle = idleSeconds(at: seconds)
    func rate(_ heat: Float, _ halfLife: Float) -> Float {
      heat * Scale.decay(idle / halfLife) * 0.693_147_2 / halfLife
    }
    let share = horizon / (horizon + Self.briefHalfLife)
    return (rate(brief, Self.briefHalfLife) * (1 - share) + rate(long, Self.longHalfLife) * share) * horizon
  }

  /// The minutes with accesses that have not faded yet: what a scan, a copy or a cold burst does is over in
  /// one or two, however many accesses it makes.
  public func activeMinutes(at seconds: UInt32) -> Float {
    minutes * Scale.decay(idleSeconds(at: seconds) / Self.longHalfLife)
  }
}
