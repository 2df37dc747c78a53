extension HeatForecaster {
  /// Reads the signals of a touch that is not counted yet.
  mutating func observe(
    _ access: ExtentAccess, at place: Int, previous: ExtentRecord?, next: ExtentRecord?
  ) {
    beginSpellIfDue(at: place)
    let record = records[place]
    let isKnown = !record.isNew
    let gap = requestGap(record)
    var seen = AccessSignals()
    seen.timeGap = isKnown ? timeGap(record, at: access.microseconds) : AccessSignals.newTimeGap
    seen.requestGap =
      isKnown ? Scale.bits(gap * 64 / residency, below: 14) : AccessSignals.newRequestGap
    let touches = UInt64(record.spellTouches)
    seen.spell = touches < 8 ? Int(touches) : min(7 + Scale.bits(touches / 8, below: 8), 15)
    seen.spellCoarse = touches < 4 ? Int(touches) : min(2 + Scale.bits(touches / 2, below: 5), 7)
    seen.earlier = earlier(record)
    seen.position = min(Int(Float(access.start) * 8 / extentBytes), 7)
    seen.sequence = sequence(of: access, record, previous: previous)
    let run = run(of: access, seen.sequence, record, previous: previous)
    records[place].run = run.units
    records[place].pace = run.pace
    seen.run = Scale.bits(UInt64(run.units / 16), below: 7)
    seen.fills = fills(access.requestBytes)
    seen.isWrite = access.isWrite
    seen.neighbours = neighbours(previous, next)
    seen.before = previous.map(recency) ?? 7
    // Both fade at multiples of the residency, so that they rank extents beyond what the tier holds.
    let recent = isKnown ? record.recentHeat * Scale.decay(gap / (residency * 4)) : 0
    let steady = isKnown ? record.steadyHeat * Scale.decay(gap / (residency * 64)) : 0
    records[place].recentHeat = recent
    records[place].steadyHeat = steady
    seen.recent = Scale.bits(recent * 4, below: 15)
    seen.steady = Scale.bits(steady * 2, below: 15)
    let left = extentBytes - Float(access.end)
    seen.remaining = Scale.bits(left / Float(max(access.requestBytes, 512)), below: 11)
    signals = seen
    let perByte = Float(run.pace) / Float(ExtentRecord.runUnit)
    runPace = run.units == 0 ? nil : (left * perByte, extentBytes * perByte)
  }

  /// Counts the touch in the extent's record.
  mutating func count(_ access: ExtentAccess, at place: Int) {
    var record = records[place]
    record.recentHeat += 1
    record.steadyHeat += 1
    record.touches &+= ExtentRecord.touchUnit / access.extentCount
    if record.spellTouches < .max { record.spellTouches += 1 }
    record.setLast(access.microseconds)
    record.lastRequest = request
    record.end = access.end
    records[place] = record
  }

  /// A new spell begins after a gap in which the fast tier would have given the extent up.
  private mutating func beginSpellIfDue(at place: Int) {
    let record = records[place]
    guard !record.isNew, requestGap(record) > residency else { return }
    let ended = Float(record.spellTouches)
    records[place].earlierSpells = record.spells == 0 ? ended : (record.earlierSpells + ended) / 2
    if record.spells < .max { records[place].spells += 1 }
    records[place].spellTouches = 0
  }

  private func requestGap(_ record: ExtentRecord) -> Float {
    Float(request &- record.lastRequest)
  }

  func timeGap(_ record: ExtentRecord, at microseconds: UInt64) -> Int {
    Scale.bits(record.passed(at: microseconds), below: AccessSignals.newTimeGap - 1)
  }

  func earlier(_ record: ExtentRecord) -> Int {
    record.spells == 0 ? 0 : min(1 + Scale.bits(record.earlierSpells, below: 6), 7)
  }

  func recency(_ record: ExtentRecord) -> Int {
    Scale.bits(requestGap(record) * 16 / residency, below: 6)
  }

  private func sequence(
    of access: ExtentAccess, _ record: ExtentRecord, previous: ExtentRecord?
  ) -> AccessSignals.Sequence {
    let isKnown = !record.isNew
    if isKnown, access.start > 0, record.end == access.start { return .within }
    if access.start == 0, let previous, Float(previous.end) == extentBytes { return .across }
    let distance = max(record.end, access.start) - min(record.end, access.start)
    return isKnown && distance < Self.nearBytes ? .near : .none
  }

  private static var nearBytes: UInt32 { 1 << 16 }

  /// How long the run is with this touch, and how fast.
  private func run(
    of access: ExtentAccess, _ sequence: AccessSignals.Sequence, _ record: ExtentRecord,
    previous: ExtentRecord?
  ) -> (units: UInt16, pace: UInt16) {
    let before: ExtentRecord
    switch sequence {
    case .none: return (0, 0)
    case .near: return (record.run, record.pace)
    case .within: before = record
    case .across: before = previous ?? record
    }
    let units = (access.end - access.start + ExtentRecord.runUnit - 1) / ExtentRecord.runUnit
    let now = Float(before.passed(at: access.microseconds)) / Float(units)
    let pace = before.run == 0 ? now : (Float(before.pace) * 3 + now) / 4
    return (UInt16(clamping: UInt32(before.run) + units), UInt16(min(pace, Float(UInt16.max))))
  }

  private func fills(_ requestBytes: UInt32) -> Int {
    let scaled = extentBytes / Float(max(requestBytes, 512)) * Float(1 << AccessSignals.fillsOne)
    return min(max(Scale.bits(scaled, below: AccessSignals.fillsSteps) - 1, 0), AccessSignals.fillsSteps - 1)
  }

  private func neighbours(_ previous: ExtentRecord?, _ next: ExtentRecord?) -> Int {
    func worth(_ record: ExtentRecord) -> Float { max(Float(record.spellTouches), record.earlierSpells) }
    switch (previous.map(worth), next.map(worth)) {
    case (nil, nil): return 7
    case (let one?, nil), (nil, let one?): return Scale.bits(one, below: 6)
    case (let one?, let other?): return Scale.bits((one + other) / 2, below: 6)
    }
  }
}
