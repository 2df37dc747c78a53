import Primitives

extension APIHandler {
  static func success(_ value: some Encodable) -> HTTPResponse {
    HTTPResponse(status: 200, headers: ["Content-Type": "application/json"], body: JSONText.encode(value))
  }

  static func created(_ value: some Encodable, at location: String) -> HTTPResponse {
    var response = success(value)
    response.status = 201
    response.headers["Location"] = location
    return response
  }

  /// The answer that reports an error, with the HTTP status of its code or a more fitting one.
  static func failure(_ error: GnomonError, status: UInt32? = nil) -> HTTPResponse {
    var response = success(ErrorBody(error))
    response.status = status ?? self.status(of: error.code)
    return response
  }

  static func status(of code: GnomonError.Code) -> UInt32 {
    switch code {
    case .invalid: 400
    case .notFound: 404
    case .conflict: 409
    case .corrupt, .system: 500
    case .unavailable: 503
    case .full: 507
    }
  }

  static func unknownPathResponse(_ path: String) -> HTTPResponse {
    failure(
      GnomonError(
        .notFound, "there is nothing at this path",
        remedy: "see /v1/pool, /v1/status, /v1/health, /v1/stores, /v1/stores/NAME, /v1/stores/NAME/health, "
          + "/v1/stores/NAME/load, /v1/stores/NAME/forecast, /v1/volumes, /v1/volumes/NAME, "
          + "/v1/volumes/NAME/extents, /v1/volumes/NAME/extents/EXTENTS, /v1/volumes/NAME/load, "
          + "/v1/volumes/NAME/forecast, /v1/volumes/NAME/heatmap, /v1/volumes/NAME/why/OFFSET, /v1/jobs, "
          + "/v1/jobs/NUMBER, /v1/scrub, /v1/prediction, /v1/plan, /v1/hints, /v1/hints/NUMBER"))
  }

  static func wrongMethodResponse(_ method: String, allowed: [String]) -> HTTPResponse {
    let list = allowed.joined(separator: ", ")
    var response = failure(
      GnomonError(.invalid, "this method is not allowed here", remedy: "allowed: " + list), status: 405)
    response.headers["Allow"] = list
    return response
  }

  static let tooLargeResponse = failure(
    GnomonError(
      .invalid, "the body is too large", remedy: "send at most \(HTTPLimits.bodyBytes) bytes"), status: 413)

  static let stoppingResponse = failure(GnomonError(.unavailable, "the daemon is stopping"))

  static let wrongHostResponse = failure(
    GnomonError(
      .invalid, "the request is for another host",
      remedy: "name the server by its address or as localhost"), status: 421)
}
