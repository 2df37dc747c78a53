/// How far a store can be counted on, as its health has it.
public enum StoreFitness: Sendable, Equatable {
  /// For everything.
  case well
  /// It is not well: it gets new copies only if no other store can.
  case poor
  /// Its copies are being moved away.
  case leaving
  /// It is not used for now, and is expected back with what it has.
  case away
  /// It is not used, and has been away for so long that its copies are not counted on any more.
  case lost

  /// Why a store gets no new copies; nil if it does.
  var objection: String? {
    switch self {
    case .well, .poor: nil
    case .leaving: "is failing, and being evacuated"
    case .away: "is not in use now"
    case .lost: "has been out of use for long"
    }
  }
}
