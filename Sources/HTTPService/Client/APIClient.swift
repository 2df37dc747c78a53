public import Primitives

/// The control API of a running daemon, as functions.
public struct APIClient: Sendable {
  private let client: HTTPClient

  /// Talks to the daemon whose control API listens at the unix socket `path`.
  public init(socket path: String) {
    client = HTTPClient(path: path)
  }

  /// See `ControlPlane.pool`.
  public func pool() throws(GnomonError) -> PoolInfo {
    try call("GET", "/v1/pool")
  }

  /// See `ControlPlane.status`.
  public func status() throws(GnomonError) -> Status {
    try call("GET", "/v1/status")
  }

  /// All stores.
  public func stores() throws(GnomonError) -> [StoreInfo] {
    let list: StoreList = try call("GET", "/v1/stores")
    return list.stores
  }

  /// One store.
  public func store(name: String) throws(GnomonError) -> StoreInfo {
    try call("GET", "/v1/stores/" + PercentCoding.encode(name))
  }

  /// See `ControlPlane.addStore`.
  public func addStore(_ request: StoreRequest) throws(GnomonError) -> StoreInfo {
    try call("POST", "/v1/stores", body: JSONText.encode(request))
  }

  /// See `ControlPlane.removeStore`.
  public func removeStore(name: String) throws(GnomonError) {
    _ = try perform("DELETE", "/v1/stores/" + PercentCoding.encode(name))
  }

  /// See `ControlPlane.changeStore`.
  public func changeStore(name: String, _ change: StoreChange) throws(GnomonError) -> StoreInfo {
    try call("PATCH", "/v1/stores/" + PercentCoding.encode(name), body: JSONText.encode(change))
  }

  /// See `ControlPlane.health`.
  public func health() throws(GnomonError) -> [StoreHealthInfo] {
    let list: StoreHealthList = try call("GET", "/v1/health")
    return list.stores
  }

  /// The health of one store.
  public func health(store name: String) throws(GnomonError) -> StoreHealthInfo {
    try call("GET", "/v1/stores/" + PercentCoding.encode(name) + "/health")
  }

  /// All volumes.
  public func volumes() throws(GnomonError) -> [VolumeInfo] {
    let list: VolumeList = try call("GET", "/v1/volumes")
    return list.volumes
  }

  /// One volume.
  public func volume(name: String) throws(GnomonError) -> VolumeInfo {
    try call("GET", "/v1/volumes/" + PercentCoding.encode(name))
  }

  /// See `ControlPlane.createVolume`.
  public func createVolume(_ request: VolumeRequest) throws(GnomonError) -> VolumeInfo {
    try call("POST", "/v1/volumes", body: JSONText.encode(request))
  }

  /// See `ControlPlane.resizeVolume`.
  public func resizeVolume(name: String, _ change: VolumeChange) throws(GnomonError) -> VolumeInfo {
    try call("PATCH", "/v1/volumes/" + PercentCoding.encode(name), body: JSONText.encode(change))
  }

  /// See `ControlPlane.setVolume`.
  public func setVolume(name: String, _ change: VolumeSettings) throws(GnomonError) -> VolumeInfo {
    try call("PATCH", "/v1/volumes/" + PercentCoding.encode(name), body: JSONText.encode(change))
  }

  /// See `ControlPlane.extents`.
  public func extents(volume name: String, _ extents: String) throws(GnomonError) -> ExtentList {
    try call("GET", "/v1/volumes/" + PercentCoding.encode(name) + "/extents/" + PercentCoding.encode(extents))
  }

  /// See `ControlPlane.load`.
  public func load(of subject: LoadSubject, windowSeconds: UInt64) throws(GnomonError) -> LoadInfo {
    try call("GET", Self.path(of: subject) + "/load?window=\(windowSeconds)")
  }

  /// See `ControlPlane.forecast`.
  public func forecast(
    of subject: LoadSubject, _ request: ForecastRequest
  ) throws(GnomonError) -> ForecastInfo {
    try call(
      "GET",
      Self.path(of: subject)
        + "/forecast?horizon=\(request.horizonSeconds)&metric=\(request.metric.rawValue)")
  }

  /// See `ControlPlane.heatMap`.
  public func heatMap(volume name: String, spanSeconds: UInt64) throws(GnomonError) -> HeatMapInfo {
    try call("GET", Self.path(of: .volume(name)) + "/heatmap?span=\(spanSeconds)")
  }

  private static func path(of subject: LoadSubject) -> String {
    "/v1/\(subject.kind.rawValue)s/" + PercentCoding.encode(subject.name)
  }

  /// See `ControlPlane.jobs`.
  public func jobs() throws(GnomonError) -> JobList {
    try call("GET", "/v1/jobs")
  }

  /// One job.
  public func job(_ number: Int) throws(GnomonError) -> JobInfo {
    try call("GET", "/v1/jobs/\(number)")
  }

  /// See `ControlPlane.beginJob`.
  public func beginJob(_ request: MoveRequest) throws(GnomonError) -> JobInfo {
    try call("POST", "/v1/jobs", body: JSONText.encode(request))
  }

  /// See `ControlPlane.cancelJob`.
  public func cancelJob(_ number: Int) throws(GnomonError) -> JobInfo {
    try call("DELETE", "/v1/jobs/\(number)")
  }

  /// See `ControlPlane.scrub`.
  public func scrub() throws(GnomonError) -> ScrubInfo {
    try call("GET", "/v1/scrub")
  }

  /// See `ControlPlane.beginScrub`.
  public func beginScrub(_ request: ScrubRequest) throws(GnomonError) -> ScrubInfo {
    try call("POST", "/v1/scrub", body: JSONText.encode(request))
  }

  /// See `ControlPlane.stopScrub`.
  public func stopScrub() throws(GnomonError) -> ScrubInfo {
    try call("DELETE", "/v1/scrub")
  }

  /// See `ControlPlane.prediction`.
  public func prediction() throws(GnomonError) -> PredictionInfo {
    try call("GET", "/v1/prediction")
  }

  /// See `ControlPlane.tierPlan`.
  public func tierPlan() throws(GnomonError) -> TierPlanInfo {
    try call("GET", "/v1/plan")
  }

  /// See `ControlPlane.beginTierRound`.
  public func beginTierRound() throws(GnomonError) -> TierPlanInfo {
    try call("POST", "/v1/plan", body: Array("{}".utf8))
  }

  /// See `ControlPlane.why`.
  public func why(volume name: String, offset: UInt64) throws(GnomonError) -> WhyInfo {
    try call("GET", "/v1/volumes/" + PercentCoding.encode(name) + "/why/\(offset)")
  }

  /// See `ControlPlane.hints`.
  public func hints() throws(GnomonError) -> HintList {
    try call("GET", "/v1/hints")
  }

  /// See `ControlPlane.addHint`.
  public func addHint(_ request: HintRequest) throws(GnomonError) -> HintInfo {
    try call("POST", "/v1/hints", body: JSONText.encode(request))
  }

  /// See `ControlPlane.deleteHint`.
  public func deleteHint(_ number: Int) throws(GnomonError) {
    _ = try perform("DELETE", "/v1/hints/\(number)")
  }

  /// See `ControlPlane.deleteVolume`.
  public func deleteVolume(name: String) throws(GnomonError) {
    _ = try perform("DELETE", "/v1/volumes/" + PercentCoding.encode(name))
  }

  private func call<Answer: Decodable>(
    _ method: String, _ target: String, body: [UInt8]? = nil
  ) throws(GnomonError) -> Answer {
    let body = try perform(method, target, body: body)
    guard let answer = JSONText.decode(Answer.self, from: body) else {
      throw GnomonError(
        .system, "the answer of the daemon can not be understood", cause: "\(method) \(target)",
        remedy: "the daemon may be of another version: compare 'gnomon version' and 'gnomon status'")
    }
    return answer
  }

  private func perform(_ method: String, _ target: String, body: [UInt8]? = nil) throws(GnomonError)
    -> [UInt8]
  {
    let (status, answer) = try client.send(method, target, body: body)
    if (200..<300).contains(status) { return answer }
    if let failure = JSONText.decode(ErrorBody.self, from: answer) { throw failure.error.gnomonError }
    throw GnomonError(.system, "the daemon refused the request", cause: "HTTP status \(status)")
  }
}
