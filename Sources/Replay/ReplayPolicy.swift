/// Decides what is on the fast tier. Copies are there at once for the policy; that they take time is the
/// replay's business.
protocol ReplayPolicy {
  /// Whether an extent, by its number, is on the tier or on its way.
  func holds(_ number: Int) -> Bool

  /// Time goes on until a request comes. Appends the numbers of extents that are copied meanwhile, and are
  /// there when it comes.
  mutating func advance(to microseconds: UInt64, copies: inout [Int])

  /// A request begins.
  mutating func beginRequest()

  /// Takes in the trace's touch number `index`, and appends the numbers of extents that are copied to the
  /// tier now; -1 stands for one that the trace never touches.
  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int])
}

extension ReplayPolicy {
  mutating func advance(to microseconds: UInt64, copies: inout [Int]) {}
  mutating func beginRequest() {}
}
