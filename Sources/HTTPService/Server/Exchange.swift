import CMicroHTTPD
import Synchronization

/// One request on its way through the server.
///
/// The polling thread collects the body, then suspends the connection and starts a task. The task gives its
/// answer to `finish`, which resumes the connection; the polling thread then sends the answer.
@safe
final class Exchange: @unchecked Sendable {
  private enum Phase {
    case receiving
    /// The connection is suspended: whoever leaves this phase must resume it, once.
    case suspended
    case answered(HTTPResponse)
  }

  /// Valid as long as the exchange is registered with its listener.
  private let connection: OpaquePointer
  /// Tells the connection apart from the others that are open.
  var connectionID: UInt { unsafe UInt(bitPattern: connection) }
  /// Touched by the polling thread alone, until the task gets its copy.
  var request: HTTPRequest
  /// Bytes of the body so far, those included that were thrown away.
  var receivedBytes = 0
  private let phase = Mutex(Phase.receiving)

  init(connection: OpaquePointer, request: HTTPRequest) {
    unsafe self.connection = connection
    self.request = request
  }

  /// The answer, if there is one.
  var response: HTTPResponse? {
    phase.withLock { if case .answered(let response) = $0 { response } else { nil } }
  }

  /// Hands the connection over to a task. Called by the polling thread in the access handler only.
  func suspend() {
    phase.withLock { $0 = .suspended }
    unsafe MHD_suspend_connection(connection)
  }

  /// Gives the answer; the first one counts. Any thread.
  func finish(_ response: HTTPResponse) {
    let resumes = phase.withLock { phase in
      guard case .suspended = phase else { return false }
      phase = .answered(response)
      return true
    }
    // Outside the lock: nothing else can end a suspended connection, and only one caller gets here.
    if resumes { unsafe MHD_resume_connection(connection) }
  }
}
