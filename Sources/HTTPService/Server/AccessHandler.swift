import CMicroHTTPD
import Glibc

// The functions that libmicrohttpd calls, all on a listener's polling thread. The context of each is the
// `HTTPListener`; the request's own pointer is the `Exchange`, which the listener keeps alive.

/// Called when the headers are here, for each part of the body, when the request is complete, and again
/// when the connection was resumed.
let accessHandler: MHD_AccessHandlerCallback = {
  context, connection, url, method, version, data, size, slot in
  guard let context = unsafe context, let connection = unsafe connection, let slot = unsafe slot,
    let size = unsafe size
  else { return .NO }
  let listener = unsafe Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  guard let known = unsafe slot.pointee else {
    let exchange = unsafe Exchange(connection: connection, request: head(connection, url, method))
    unsafe slot.pointee = Unmanaged.passUnretained(exchange).toOpaque()
    guard listener.begin(exchange) else { return unsafe send(APIHandler.stoppingResponse, connection) }
    if let refusal = unsafe refusal(of: connection, listener.endpoint) {
      return unsafe send(refusal, connection)
    }
    return .YES
  }
  let exchange = unsafe Unmanaged<Exchange>.fromOpaque(known).takeUnretainedValue()
  if unsafe size.pointee > 0, let data = unsafe data {
    let part = unsafe UnsafeRawBufferPointer(start: data, count: size.pointee)
    unsafe size.pointee = 0
    return unsafe exchange.receive(part) ? .YES : .NO
  }
  if let response = exchange.response { return unsafe send(response, connection) }
  if exchange.receivedBytes > HTTPLimits.bodyBytes {
    return unsafe send(APIHandler.tooLargeResponse, connection)
  }
  listener.answer(exchange)
  return .YES
}

/// Called once for every request that the access handler has seen.
let requestCompleted: MHD_RequestCompletedCallback = { context, _, slot, _ in
  guard let context = unsafe context, let known = unsafe slot?.pointee else { return }
  let listener = unsafe Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  listener.end(unsafe Unmanaged<Exchange>.fromOpaque(known).takeUnretainedValue())
}

/// Called when a client has come and before its socket is closed.
let connectionNotified: MHD_NotifyConnectionCallback = { context, connection, _, event in
  guard let context = unsafe context, let connection = unsafe connection else { return }
  let listener = unsafe Unmanaged<HTTPListener>.fromOpaque(context).takeUnretainedValue()
  let identity = UInt(bitPattern: connection)
  switch event {
  case .CONNECTION_NOTIFY_STARTED:
    listener.opened(identity, socket: unsafe gnomon_connection_socket(connection))
  case .CONNECTION_NOTIFY_CLOSED:
    listener.closed(identity)
  @unknown default:
    break
  }
}

/// Leaves escapes in paths alone: decoded in place, `%00` would cut a name short and `%2F` would split it.
let keepEscapes:
  @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafeMutablePointer<CChar>?) -> Int = {
    _, _, text in
    guard let text = unsafe text else { return 0 }
    return unsafe strlen(text)
  }

extension Exchange {
  /// Takes a part of the body; false if the connection shall be closed.
  func receive(_ part: UnsafeRawBufferPointer) -> Bool {
    receivedBytes += part.count
    if receivedBytes <= HTTPLimits.bodyBytes {
      unsafe request.body.append(contentsOf: part)
    } else {
      request.body = []
    }
    return receivedBytes <= HTTPLimits.discardedBytes
  }
}

private func head(
  _ connection: OpaquePointer, _ url: UnsafePointer<CChar>?, _ method: UnsafePointer<CChar>?
) -> HTTPRequest {
  var query: [String: String] = [:]
  for name in Route.queryNames {
    query[name] = unsafe text(MHD_lookup_connection_value(connection, .GET_ARGUMENT_KIND, name))
  }
  let count = unsafe MHD_get_connection_values(connection, .GET_ARGUMENT_KIND, nil, nil)
  return HTTPRequest(
    method: unsafe text(method) ?? "", path: unsafe text(url) ?? "", query: query,
    hasOtherQuery: Int(count) != query.count,
    contentType: unsafe header("Content-Type", of: connection))
}

/// What can be refused before the body is read.
private func refusal(of connection: OpaquePointer, _ endpoint: HTTPEndpoint) -> HTTPResponse? {
  if let length = unsafe header("Content-Length", of: connection),
    Int(length) ?? .max > HTTPLimits.bodyBytes
  {
    return APIHandler.tooLargeResponse
  }
  guard case .tcp(let host, _) = endpoint else { return nil }
  // A web page can make a browser on this machine connect to the loopback under the page's own host name.
  let named = unsafe header("Host", of: connection) ?? ""
  return HostHeader.isTrusted(named, listeningOn: host) ? nil : APIHandler.wrongHostResponse
}

private func header(_ name: String, of connection: OpaquePointer) -> String? {
  unsafe text(MHD_lookup_connection_value(connection, .HEADER_KIND, name))
}

/// nil if there is no text or it is not UTF-8: repaired, it could be the name of something else.
private func text(_ pointer: UnsafePointer<CChar>?) -> String? {
  guard let pointer = unsafe pointer else { return nil }
  return unsafe String(validatingCString: pointer)
}

private func send(_ response: HTTPResponse, _ connection: OpaquePointer) -> MHD_Result {
  let made = unsafe response.body.withUnsafeBytes { bytes in
    unsafe MHD_create_response_from_buffer(
      bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
  }
  guard let made = unsafe made else { return .NO }
  defer { unsafe MHD_destroy_response(made) }
  for (name, value) in response.headers {
    guard unsafe MHD_add_response_header(made, name, value) == .YES else { return .NO }
  }
  return unsafe MHD_queue_response(connection, response.status, made)
}
