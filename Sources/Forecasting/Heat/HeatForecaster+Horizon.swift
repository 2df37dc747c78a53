extension HeatForecaster {
  /// How many accesses of an extent are to be expected within a horizon, by its fading counts: for plans of
  /// minutes and longer. 0 for an extent that is not remembered.
  ///
  /// A count that halves every h microseconds and gets r touches a microsecond settles at r·h/ln 2. Two of
  /// them, with half-lives of minutes and hours, give two rates; short horizons go by the brief one, long
  /// ones by the other.
  ///
  /// - Parameters:
  ///   - horizon: in microseconds.
  ///   - microseconds: now.
  public func expectedAccesses(of extent: UInt32, within horizon: UInt64, at microseconds: UInt64) -> Float {
    guard let record = records.record(of: extent) else { return 0 }
    let idle = Float(record.passed(at: microseconds))
    func rate(_ heat: Float, _ halfLife: Float) -> Float {
      heat * Scale.decay(idle / halfLife) * 0.693_147_2 / halfLife
    }
    let length = Float(horizon)
    let brief = rate(record.briefHeat, Self.briefHalfLife)
    let long = rate(record.longHeat, Self.longHalfLife)
    let share = length / (length + Self.briefHalfLife)
    return (brief * (1 - share) + long * share) * length
  }
}
