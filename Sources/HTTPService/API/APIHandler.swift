import Platform
import Primitives

/// Turns requests into calls of the control plane, and their results into answers.
struct APIHandler: Sendable {
  let control: any ControlPlane
  private static let log = Log("api")

  /// Answers any request; failures become answers too.
  func answer(_ request: HTTPRequest) async -> HTTPResponse {
    var response: HTTPResponse
    do {
      response = try await perform(request)
    } catch {
      response = Self.failure(error)
    }
    if request.method != "GET", request.method != "HEAD" {
      Self.log.info("request", ["method": request.method, "path": request.path, "status": response.status])
    }
    response.headers["Cache-Control"] = "no-store"
    return response
  }

  private func perform(_ request: HTTPRequest) async throws(GnomonError) -> HTTPResponse {
    guard let route = Route(path: request.path) else { return Self.unknownPathResponse(request.path) }
    guard route.methods.contains(request.method) else {
      return Self.wrongMethodResponse(request.method, allowed: route.methods)
    }
    try Self.checkQuery(request, route)
    switch (request.method, route) {
    case ("POST", .stores):
      let store = try await control.addStore(StoreRequest(json: try body(of: request)))
      return Self.created(store, at: "/v1/stores/" + PercentCoding.encode(store.name))
    case ("POST", .volumes):
      let volume = try await control.createVolume(VolumeRequest(json: try body(of: request)))
      return Self.created(volume, at: "/v1/volumes/" + PercentCoding.encode(volume.name))
    case ("PATCH", .volume(let name)):
      let change = try VolumePatch(json: try body(of: request))
      switch change {
      case .size(let change):
        return Self.success(
          try await control.resizeVolume(name: name, sizeBytes: change.sizeBytes, force: change.force))
      case .settings(let change):
        return Self.success(try await control.setVolume(name: name, change))
      }
    case ("PATCH", .store(let name)):
      let change = try StoreChange(json: try body(of: request))
      return Self.success(try await control.changeStore(name: name, change))
    case ("POST", .jobs):
      let job = try await control.beginJob(MoveRequest(json: try body(of: request)))
      return Self.created(job, at: "/v1/jobs/\(job.number)")
    case ("DELETE", .job(let number)):
      return Self.success(try await control.cancelJob(number))
    case ("POST", .scrub):
      let scrub = try await control.beginScrub(ScrubRequest(json: try body(of: request)))
      return Self.created(scrub, at: "/v1/scrub")
    case ("DELETE", .scrub):
      return Self.success(try await control.stopScrub())
    case ("POST", .plan):
      // What is to be done follows from the settings; the body is there to be declared as JSON.
      _ = try JSONFields(try body(of: request), allowed: [])
      return Self.success(try await control.beginTierRound())
    case ("POST", .hints):
      let hint = try await control.addHint(HintRequest(json: try body(of: request)))
      return Self.created(hint, at: "/v1/hints/\(hint.number)")
    case ("DELETE", .hint(let number)):
      try await control.deleteHint(number)
      return HTTPResponse(status: 204)
    case ("DELETE", .store(let name)):
      try await control.removeStore(name: name)
      return HTTPResponse(status: 204)
    case ("DELETE", .volume(let name)):
      try await control.deleteVolume(name: name)
      return HTTPResponse(status: 204)
    default:
      return try await show(route, request)
    }
  }

  private func show(_ route: Route, _ request: HTTPRequest) async throws(GnomonError) -> HTTPResponse {
    switch route {
    case .pool:
      return Self.success(try await control.pool())
    case .status:
      return Self.success(try await control.status())
    case .stores:
      return Self.success(StoreList(stores: try await control.stores()))
    case .volumes:
      return Self.success(VolumeList(volumes: try await control.volumes()))
    case .store(let name):
      guard let store = try await control.stores().first(where: { $0.name == name }) else {
        throw GnomonError(.notFound, "there is no store '\(name)'")
      }
      return Self.success(store)
    case .health:
      return Self.success(StoreHealthList(stores: try await control.health()))
    case .storeHealth(let name):
      guard let health = try await control.health().first(where: { $0.name == name }) else {
        throw GnomonError(.notFound, "there is no store '\(name)'")
      }
      return Self.success(health)
    case .volume(let name):
      guard let volume = try await control.volumes().first(where: { $0.name == name }) else {
        throw GnomonError(.notFound, "there is no volume '\(name)'")
      }
      return Self.success(volume)
    case .extents(let volume, let extents):
      return Self.success(try await control.extents(volume: volume, ExtentSet(parsing: extents)))
    case .load(let subject):
      let window = try Self.seconds("window", of: request, default: 60, most: Self.windowSecondsMax)
      return Self.success(try await control.load(of: subject, windowSeconds: window))
    case .forecast(let subject):
      return Self.success(try await control.forecast(of: subject, Self.forecastRequest(request)))
    case .heatMap(let volume):
      let span = try Self.seconds("span", of: request, default: 3600, most: HeatMapInfo.spanSecondsMax)
      return Self.success(try await control.heatMap(volume: volume, spanSeconds: span))
    case .scrub:
      return Self.success(try await control.scrub())
    case .prediction:
      return Self.success(try await control.prediction())
    case .plan:
      return Self.success(try await control.tierPlan())
    case .why(let volume, let offset):
      return Self.success(try await control.why(volume: volume, offset: offset))
    case .hints:
      return Self.success(try await control.hints())
    case .hint(let number):
      guard let hint = try await control.hints().hints.first(where: { $0.number == number }) else {
        throw GnomonError(.notFound, "there is no hint \(number)")
      }
      return Self.success(hint)
    case .jobs:
      return Self.success(try await control.jobs())
    case .job(let number):
      guard let job = try await control.jobs().jobs.first(where: { $0.number == number }) else {
        throw GnomonError(.notFound, "there is no job \(number)")
      }
      return Self.success(job)
    }
  }

  /// The body as JSON. The type must be declared, because a web page can make a browser send any body, but
  /// not under this type to somebody else's server.
  private func body(of request: HTTPRequest) throws(GnomonError) -> JSONValue {
    let type = request.contentType?.split(separator: ";").first?.lowercased() ?? ""
    guard type.split(separator: " ").first == "application/json" else {
      throw GnomonError(
        .invalid, "the body is not declared as JSON", remedy: "send the header Content-Type: application/json"
      )
    }
    return try JSONValue(parsing: request.body)
  }
}
