public import Primitives
import Synchronization

/// The control API on its sockets.
public final class HTTPServer: Sendable {
  private let listeners: Mutex<[HTTPListener]>
  /// Where the API can be reached, with the port that was taken where 0 was asked for.
  public let endpoints: [HTTPEndpoint]

  /// Binds every endpoint and begins to answer. Fails as a whole if one of them can not be had.
  public init(listening endpoints: [HTTPEndpoint], control: any ControlPlane) throws(GnomonError) {
    var listeners: [HTTPListener] = []
    do {
      for endpoint in endpoints {
        listeners.append(try HTTPListener(endpoint, control: control))
      }
    } catch {
      for listener in listeners { listener.stop() }
      throw error
    }
    self.endpoints = listeners.map(\.endpoint)
    self.listeners = Mutex(listeners)
  }

  /// Refuses new requests, waits a few seconds for those being answered, closes all connections and removes
  /// the unix sockets. Later calls do nothing.
  public func stop() {
    let listeners = self.listeners.withLock { value in
      defer { value = [] }
      return value
    }
    for listener in listeners { listener.stop() }
  }

  deinit {
    stop()
  }
}
