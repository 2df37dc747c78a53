/// What is seen at a touch, in coarse steps, before the touch itself is counted.
///
/// Times and counts are taken on a logarithmic scale: twice as long is one step more. Gaps in requests are
/// measured against the time for which the fast tier keeps what is not touched, so that they mean the same
/// whatever the volume's rate and the tier's size.
struct AccessSignals {
  /// Since the extent's last touch, in microseconds; `newGap` for the first.
  var timeGap = 0
  /// The same in requests.
  var requestGap = 0
  /// Touches of the spell so far, finely and coarsely.
  var spell = 0
  var spellCoarse = 0
  /// What earlier spells were worth; 0: there was none.
  var earlier = 0
  /// Eighth of the extent in which the touch starts.
  var position = 0
  var sequence = Sequence.none
  /// Bytes of the sequential run up to here.
  var run = 0
  /// How many requests of this size fill an extent.
  var fills = 0
  var isWrite = false
  /// What the extents before and behind were worth lately.
  var neighbours = 0
  /// When the extent before was touched.
  var before = 0
  /// Touches that fade fast and slowly.
  var recent = 0
  var steady = 0
  /// How many requests of this size are left up to the extent's end.
  var remaining = 0

  enum Sequence: Int {
    case none
    /// Goes on where the last touch of the extent ended.
    case within
    /// Goes on at the extent's start where a run reached the end of the one before.
    case across
    /// Close to where the last touch ended.
    case near
  }

  static let timeGaps = 44
  static let newTimeGap = 42
  static let newRequestGap = 15
  static let fillsSteps = 13
  /// The step of `fills` at which a request is as large as an extent.
  static let fillsOne = 3
  static let remainingSteps = 12

  /// Cells for what the extent itself is worth.
  static let ownSizes: InlineArray<9, Int> = [
    timeGaps * 4, 64, 256, fillsSteps * 8, 64, 256, remainingSteps * 32, 128, 256,
  ]
  /// Cells for what the extent that follows is worth.
  static let aheadSizes: InlineArray<6, Int> = [256, fillsSteps * 8, timeGaps, 64, 128, 64]
  /// The tables that know the size of requests, with `fills` as the upper part of their index.
  static let ownFillsTable = 3
  static let aheadFillsTable = 1

  /// The cells of the touched extent.
  func ownCells() -> PayoffModel<9>.Cells {
    let sequence = sequence.rawValue
    var cells = PayoffModel<9>.Cells(repeating: 0)
    cells[0] = UInt16(timeGap * 4 + (isWrite ? 2 : 0) + (sequence == 0 ? 0 : 1))
    cells[1] = UInt16(earlier * 8 + spellCoarse)
    cells[2] = UInt16((position * 4 + sequence) * 8 + run)
    cells[3] = UInt16((fills * 2 + (isWrite ? 1 : 0)) * 4 + sequence)
    cells[4] = UInt16(neighbours * 8 + earlier)
    cells[5] = UInt16(recent * 16 + requestGap)
    cells[6] = UInt16((remaining * 4 + sequence) * 8 + run)
    cells[7] = UInt16(spell * 8 + before)
    cells[8] = UInt16(steady * 16 + recent)
    return cells
  }

  /// The cells of an extent that may be next, which has the signals `next` as if it was touched now.
  func aheadCells(next: CandidateSignals) -> PayoffModel<6>.Cells {
    let sequence = sequence.rawValue
    var cells = PayoffModel<6>.Cells(repeating: 0)
    cells[0] = UInt16((position * 4 + sequence) * 8 + run)
    cells[1] = UInt16((fills * 2 + (isWrite ? 1 : 0)) * 4 + sequence)
    cells[2] = UInt16(next.timeGap)
    cells[3] = UInt16(next.earlier * 8 + earlier)
    cells[4] = UInt16((before * 8 + next.recency) * 2 + (timeGap == Self.newTimeGap ? 1 : 0))
    cells[5] = UInt16(next.certainty * 8 + run)
    return cells
  }
}

/// What is known of an extent that may be touched next.
struct CandidateSignals {
  /// Since its last touch, in microseconds.
  var timeGap = AccessSignals.newTimeGap
  /// What its earlier spells were worth; 0: there was none.
  var earlier = 0
  /// The requests since its last touch.
  var recency = 7
  var reason: HeatForecaster.Candidate.Reason

  /// The reason in eight steps: four of a run, by distance, and four of a stride, by confirmations.
  var certainty: Int {
    switch reason {
    case .run(let distance): min(distance, 4) - 1
    case .stride(let confirmations): 4 + min(Scale.bits(UInt64(confirmations / 2), below: 4) - 1, 3)
    }
  }
}
