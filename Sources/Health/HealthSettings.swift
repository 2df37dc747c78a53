/// When the health policy acts. The defaults are those of the configuration.
public struct HealthSettings: Sendable, Equatable {
  /// A store with this score gets no new data.
  public var noNewPlacementsScore = 40.0
  /// A store with this score is evacuated.
  public var evacuateScore = 70.0
  /// A store with this score is not used any more: shadows take over.
  public var satOutScore = 90.0
  /// So far must a score be below its threshold before the store comes back.
  public var marginScore = 10.0
  /// A score must be at its threshold for so long, on balance, before placements stop or evacuation begins.
  public var actAfterSeconds = 90.0
  /// Likewise before a store is sat out. A stall or a dead connection is not waited for.
  public var sitOutAfterSeconds = 10.0
  /// A score must be below threshold and margin for so long, without interruption, before the store comes
  /// back. Doubled for each time that it came and went within hours, up to 64 times.
  public var comeBackAfterSeconds = 300.0
  /// Likewise for a store that was not waited for: it hung, or its connection was down, and that is over.
  public var returnAfterSeconds = 10.0
  /// Stores that turn slow within so long of one another have a cause in common.
  public var commonCauseSeconds = 300.0

  /// The defaults.
  public init() {}
}
