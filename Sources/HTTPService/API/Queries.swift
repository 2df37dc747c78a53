import Primitives

/// The parameters that come after the `?` of a path.
extension APIHandler {
  /// - Throws: `invalid` if one is not known to this route, is there twice, or has no value.
  static func checkQuery(_ request: HTTPRequest, _ route: Route) throws(GnomonError) {
    let unknown = request.query.keys.filter { !route.queries.contains($0) }.sorted()
    guard unknown.isEmpty, !request.hasOtherQuery else {
      throw GnomonError(
        .invalid, "these parameters are not allowed in \(request.path)",
        remedy: route.queries.isEmpty
          ? "send none" : "allowed, once each: " + route.queries.joined(separator: ", "))
    }
  }

  static func seconds(
    _ name: String, of request: HTTPRequest, default value: UInt64, most: UInt64
  ) throws(GnomonError) -> UInt64 {
    guard let text = request.query[name] else { return value }
    guard let span = TimeSpan(parsing: text), span.seconds > 0 else {
      throw GnomonError(.invalid, "wrong \(name) '\(text)'", remedy: TimeSpan.hint)
    }
    guard span.seconds <= most else {
      throw GnomonError(
        .invalid, "\(name) '\(text)' is too long", remedy: "the most is \(TimeSpan(seconds: most))")
    }
    return span.seconds
  }

  static func forecastRequest(_ request: HTTPRequest) throws(GnomonError) -> ForecastRequest {
    var forecast = ForecastRequest()
    forecast.horizonSeconds = try seconds(
      "horizon", of: request, default: forecast.horizonSeconds, most: ForecastRequest.horizonSecondsMax)
    if let text = request.query["metric"] {
      guard let metric = ForecastMetric(rawValue: text) else {
        throw GnomonError(
          .invalid, "wrong metric '\(text)'",
          remedy: NearestName.remedy(for: text, among: ForecastMetric.allCases.map(\.rawValue)))
      }
      forecast.metric = metric
    }
    return forecast
  }

  /// As far back as a load can be asked for: five weeks.
  static let windowSecondsMax: UInt64 = 35 * 86_400
}
