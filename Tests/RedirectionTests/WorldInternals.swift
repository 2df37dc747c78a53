import Simulation

@testable import Redirection

extension World {
  /// Operations that wait for slots on their way back, or for room for a map change.
  var waitingForSpace: Int { redirectors.reduce(0) { $0 + $1.waitingForSpace.count } }
}
