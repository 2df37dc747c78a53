import HTTPService
import Primitives

/// What a client of the control API can say: a line with path and host, and behind it the body.
///
/// Properties: a path names the same thing when its name is escaped anew; a body that is accepted is within
/// every bound and survives being written and read; an error is not much longer than what caused it.
enum APITarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    let line = input.prefix { $0 != UInt8(ascii: "\n") }
    let words = line.split(separator: UInt8(ascii: " "), maxSplits: 1)
    try checkPath(String(decoding: words.first ?? [], as: UTF8.self))
    _ = HostHeader.isTrusted(String(decoding: words.last ?? [], as: UTF8.self), listeningOn: "localhost")
    let body = Array(input.dropFirst(line.count + 1))
    if let store = try read(body, StoreRequest.init(json:)) { try checkStore(store) }
    if let volume = try read(body, VolumeRequest.init(json:)) { try checkVolume(volume) }
    if case .size(let change) = try read(body, VolumePatch.init(json:)) { try checkSize(change.sizeBytes) }
    _ = try read(body, StoreChange.init(json:))
    _ = try read(body, MoveRequest.init(json:))
    _ = try read(body, ScrubRequest.init(json:))
    _ = try read(body, HintRequest.init(json:))
    if let set = try? ExtentSet(parsing: String(decoding: body, as: UTF8.self)) { try checkExtents(set) }
  }

  private static func checkPath(_ path: String) throws(PropertyFailure) {
    guard let route = Route(path: path) else { return }
    try require(route.methods.contains("GET"), "something that can not be looked at")
    let canonical =
      switch route {
      case .pool: "/v1/pool"
      case .status: "/v1/status"
      case .health: "/v1/health"
      case .stores: "/v1/stores"
      case .volumes: "/v1/volumes"
      case .store(let name): "/v1/stores/" + PercentCoding.encode(name)
      case .storeHealth(let name): "/v1/stores/" + PercentCoding.encode(name) + "/health"
      case .volume(let name): "/v1/volumes/" + PercentCoding.encode(name)
      case .extents(let volume, let extents):
        "/v1/volumes/" + PercentCoding.encode(volume) + "/extents/" + PercentCoding.encode(extents)
      case .load(let subject): root(of: subject) + "/load"
      case .forecast(let subject): root(of: subject) + "/forecast"
      case .heatMap(let volume): root(of: .volume(volume)) + "/heatmap"
      case .jobs: "/v1/jobs"
      case .job(let number): "/v1/jobs/\(number)"
      case .scrub: "/v1/scrub"
      case .prediction: "/v1/prediction"
      case .plan: "/v1/plan"
      case .why(let volume, let offset): "/v1/volumes/" + PercentCoding.encode(volume) + "/why/\(offset)"
      case .hints: "/v1/hints"
      case .hint(let number): "/v1/hints/\(number)"
      }
    try require(Route(path: canonical) == route, "\(path) is not the same as \(canonical)")
  }

  private static func root(of subject: LoadSubject) -> String {
    "/v1/\(subject.kind.rawValue)s/" + PercentCoding.encode(subject.name)
  }

  /// Extents that are named are in order, and none twice.
  private static func checkExtents(_ set: ExtentSet) throws(PropertyFailure) {
    guard let ranges = set.ranges else { return }
    for (range, next) in zip(ranges, ranges.dropFirst()) {
      try require(range.upperBound < next.lowerBound, "\(range) before \(next)")
    }
  }

  /// The request of a body; nil if it is refused. One that is accepted must survive being written.
  private static func read<Request: Encodable & Equatable>(
    _ body: [UInt8], _ parse: (JSONValue) throws(GnomonError) -> Request
  ) throws(PropertyFailure) -> Request? {
    let request: Request
    do throws(GnomonError) {
      request = try parse(JSONValue(parsing: body))
    } catch {
      let size = error.message.utf8.count + (error.cause?.utf8.count ?? 0) + (error.remedy?.utf8.count ?? 0)
      try require(size <= 3 * body.count + 1024, "an error of \(size) bytes for \(body.count)")
      return nil
    }
    var again: Request?
    do throws(GnomonError) {
      again = try parse(JSONValue(parsing: JSONText.encode(request)))
    } catch { throw PropertyFailure("a request that was accepted is refused: \(error)") }
    try require(again == request, "a request changes when it is written and read")
    return request
  }

  private static func checkStore(_ store: StoreRequest) throws(PropertyFailure) {
    try checkName(store.name)
    try checkSize(store.sizeBytes)
    try require(store.kind == .file && store.path.utf8.first == UInt8(ascii: "/"), "a wrong place")
    try require((0...255).contains(store.tier) && store.cost >= 0 && store.cost.isFinite, "a wrong number")
  }

  private static func checkVolume(_ volume: VolumeRequest) throws(PropertyFailure) {
    try checkName(volume.name)
    try checkSize(volume.sizeBytes)
    guard let extent = volume.extentBytes else { return }
    try require((1 << 16...1 << 26).contains(extent) && extent.nonzeroBitCount == 1, "a wrong extent size")
  }

  private static func checkName(_ name: String) throws(PropertyFailure) {
    try require((1...255).contains(name.utf8.count), "a name of \(name.utf8.count) bytes")
    try require(!name.utf8.contains { $0 < 0x20 || $0 == UInt8(ascii: "/") }, "a name with a forbidden byte")
  }

  private static func checkSize(_ size: UInt64) throws(PropertyFailure) {
    try require(size > 0 && size <= UInt64(Int64.max) && size % 4096 == 0, "a size of \(size)")
  }
}
