import Primitives

/// A shadow that prediction has made, or wants made.
struct OwnShadow {
  enum State {
    /// Its copy waits or is under way.
    case underWay
    /// Likewise, but it is not wanted any more.
    case unwanted
    /// It can be read.
    case synced
    /// It is being given up.
    case leaving
  }

  var state: State
  let store: StoreID
  /// When the request came that led to it, in microseconds.
  var sinceMicroseconds: UInt64
  /// Reads since it is synced.
  var reads: UInt32 = 0
  /// The decision that made it; nil if it was found when the daemon started.
  var decision: Int?
}
