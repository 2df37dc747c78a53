import Primitives
import TestSupport
import Testing

@testable import HTTPService

/// Requests and answers, without sockets.
@Suite struct APITests {
  private let control = FakeControlPlane()

  private func send(
    _ method: String, _ path: String, _ body: String = "", type: String? = "application/json"
  ) async -> (status: UInt32, text: String) {
    let request = HTTPRequest(method: method, path: path, contentType: type, body: Array(body.utf8))
    let response = await APIHandler(control: control).answer(request)
    return (response.status, String(decoding: response.body, as: UTF8.self))
  }

  private func failure(_ text: String) throws -> ErrorInfo {
    try #require(JSONText.decode(ErrorBody.self, from: Array(text.utf8))).error
  }

  @Test func createsAndDeletesVolumes() async throws {
    let body = #"{"name":"größe 1","sizeBytes":1073741824,"extentBytes":65536}"#
    let response = await APIHandler(control: control).answer(
      HTTPRequest(
        method: "POST", path: "/v1/volumes", contentType: "application/json; charset=utf-8",
        body: Array(body.utf8)))
    #expect(response.status == 201)
    #expect(response.headers["Location"] == "/v1/volumes/gr%C3%B6%C3%9Fe%201")
    let volume = try #require(JSONText.decode(VolumeInfo.self, from: response.body))
    #expect(volume.extentBytes == 65536)
    #expect(await send("POST", "/v1/volumes", body).status == 409)
    #expect(await send("GET", "/v1/volumes/gr%C3%B6%C3%9Fe%201").status == 200)
    let deleted = await send("DELETE", "/v1/volumes/gr%C3%B6%C3%9Fe%201")
    #expect(deleted.status == 204)
    #expect(deleted.text == "")
    #expect(await send("GET", "/v1/volumes/gr%C3%B6%C3%9Fe%201").status == 404)
  }

  @Test(arguments: [
    (["horizon": "soon"], "wrong horizon 'soon'"), (["horizon": "0"], "wrong horizon '0'"),
    (["horizon": "8d"], "horizon '8d' is too long"), (["metric": "iop"], "wrong metric 'iop'"),
    (["window": "1m"], "these parameters are not allowed"),
  ])
  func wrongForecastsAreTold(query: [String: String], message: String) async throws {
    let request = HTTPRequest(method: "GET", path: "/v1/stores/fast/forecast", query: query)
    let response = await APIHandler(control: control).answer(request)
    #expect(response.status == 400)
    let error = try failure(String(decoding: response.body, as: UTF8.self))
    #expect(error.message.hasPrefix(message) && error.remedy != nil, "\(error)")
  }

  @Test func loadsAreOfVolumesAndStores() async {
    for path in ["volumes/disk0/load", "stores/fast/load", "stores/fast/forecast", "volumes/disk0/heatmap"] {
      #expect(await send("GET", "/v1/" + path).status == 200, "\(path)")
      #expect(await send("POST", "/v1/" + path).status == 405, "\(path)")
    }
    for path in ["volumes/disk9/load", "stores/disk0/forecast", "stores/fast/heatmap", "jobs/1/load"] {
      #expect(await send("GET", "/v1/" + path).status == 404, "\(path)")
    }
  }

  @Test func resizesVolumes() async {
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":42949672960}"#).status == 200)
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":4096}"#).status == 409)
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":4096,"force":true}"#).status == 200)
    #expect(await send("PATCH", "/v1/volumes/none", #"{"sizeBytes":4096}"#).status == 404)
  }

  @Test func sizeAndCopiesAreChangedOneAtATime() async throws {
    let changed = await send("PATCH", "/v1/volumes/disk0", #"{"copies":2,"protection":"async"}"#)
    let volume = try #require(JSONText.decode(VolumeInfo.self, from: Array(changed.text.utf8)))
    #expect(volume.copies == 2 && volume.protection == .async && volume.across == .store)
    for body in [
      "{}", #"{"force":true}"#, #"{"sizeBytes":42949672960,"copies":2}"#, #"{"copies":5}"#, #"{"copies":0}"#,
      #"{"across":"planet"}"#, #"{"protection":"all"}"#, #"{"copies":"2"}"#,
    ] {
      #expect(await send("PATCH", "/v1/volumes/disk0", body).status == 400, "\(body)")
    }
    #expect(await send("PATCH", "/v1/volumes/none", #"{"copies":2}"#).status == 404)
  }

  @Test func tierRulesAreChangedWithTheRest() async throws {
    func change(_ body: String) async throws -> VolumeInfo {
      let response = await send("PATCH", "/v1/volumes/disk0", body)
      return try #require(
        JSONText.decode(VolumeInfo.self, from: Array(response.text.utf8)), "\(response.text)")
    }
    var volume = try await change(#"{"pin":0,"never":[2,1]}"#)
    #expect(volume.pin == 0 && volume.never.tiers == [1, 2] && volume.copies == 1)
    volume = try await change(#"{"copies":3,"never":[]}"#)
    #expect(volume.pin == 0 && volume.never.isEmpty && volume.copies == 3)
    volume = try await change(#"{"pin":null,"never":null}"#)
    #expect(volume.pin == nil && volume.never.isEmpty)
    for body in [
      #"{"pin":256}"#, #"{"pin":-1}"#, #"{"pin":"tier0"}"#, #"{"pin":0.5}"#, #"{"never":0}"#,
      #"{"never":[256]}"#,
      #"{"never":["none"]}"#, #"{"pin":1,"never":[0,1]}"#, #"{"sizeBytes":42949672960,"pin":0}"#,
    ] {
      #expect(await send("PATCH", "/v1/volumes/disk0", body).status == 400, "\(body)")
    }
    let body = #"{"name":"v","sizeBytes":4096,"pin":3,"never":[0]}"#
    let made = await send("POST", "/v1/volumes", body)
    #expect(made.status == 201 && made.text.contains(#""pin":3"#) && made.text.contains(#""never":[0]"#))
    #expect(await send("POST", "/v1/volumes", #"{"name":"w","sizeBytes":4096,"pin":"a"}"#).status == 400)
  }

  @Test func changesAreWrittenAsTheyAreRead() throws {
    for change in [
      TierRulesChange(), TierRulesChange(pin: .anywhere), TierRulesChange(pin: .tier(4), never: TierSet()),
      TierRulesChange(never: TierSet([0, 255])),
    ] {
      let text = JSONText.encode(VolumeSettings(redundancy: RedundancyChange(copies: 2), tiers: change))
      let read = try VolumePatch(json: JSONValue(parsing: text))
      #expect(read == .settings(VolumeSettings(redundancy: RedundancyChange(copies: 2), tiers: change)))
    }
  }

  @Test func jobsAreBegunShownAndCancelled() async throws {
    let body = #"{"kind":"replicate","volume":"disk0","extents":"7,9-12","store":"slow"}"#
    let response = await APIHandler(control: control).answer(
      HTTPRequest(method: "POST", path: "/v1/jobs", contentType: "application/json", body: Array(body.utf8)))
    #expect(response.status == 201 && response.headers["Location"] == "/v1/jobs/1")
    #expect(control.request == MoveRequest(.replicate, volume: "disk0", extents: "7,9-12", store: "slow"))
    #expect(await send("POST", "/v1/jobs", #"{"kind":"drop","volume":"disk0","store":"slow"}"#).status == 201)
    #expect(control.request?.extents == "all")
    for body in [
      "{}", #"{"kind":"eat","volume":"v","store":"s"}"#, #"{"kind":"drop","store":"s"}"#,
      #"{"kind":"drop","volume":"v","store":"s","extents":"3-1"}"#,
    ] {
      #expect(await send("POST", "/v1/jobs", body).status == 400, "\(body)")
    }
    #expect(await send("GET", "/v1/jobs").status == 200)
    #expect(await send("GET", "/v1/jobs/2").text.contains("drain fast"))
    #expect(await send("GET", "/v1/jobs/9").status == 404)
    #expect(await send("GET", "/v1/jobs/x").status == 404)
    #expect(await send("DELETE", "/v1/jobs/1").status == 200)
    #expect(await send("DELETE", "/v1/jobs/9").status == 404)
    #expect(await send("PATCH", "/v1/jobs/1", "{}").status == 405)
  }

  @Test func hintsAreTakenShownAndDeleted() async throws {
    let body = #"{"volume":"disk0","offset":4096,"length":8192,"startSeconds":1790000060,"seconds":30}"#
    #expect(await send("POST", "/v1/hints", body).status == 201)
    for path in ["/v1/hints", "/v1/hints/1"] {
      #expect(await send("GET", path).text.contains(#""endSeconds":1790000090"#))
    }
    for body in [
      "{}", #"{"volume":"disk0","offset":0}"#, #"{"volume":"disk0","offset":-1,"length":1}"#,
      #"{"volume":"disk0","offset":0,"length":1,"startSeconds":1}"#,
      #"{"volume":"disk0","offset":0,"length":1,"at":1}"#,
    ] {
      #expect(await send("POST", "/v1/hints", body).status == 400, "\(body)")
    }
    #expect(await send("DELETE", "/v1/hints/1").status == 204)
    #expect(await send("DELETE", "/v1/hints/1").status == 404)
    #expect(await send("DELETE", "/v1/hints/x").status == 404)
    #expect(await send("GET", "/v1/hints/1").status == 404)
    #expect(await send("PATCH", "/v1/hints/1", "{}").status == 405)
  }

  @Test func whatIsPredictedIsShown() async throws {
    #expect(await send("GET", "/v1/prediction").text.contains(#""fromFasterShadows":1500"#))
    #expect(await send("GET", "/v1/volumes/disk0/why/7340032").text.contains(#""action":"shadow""#))
    #expect(await send("GET", "/v1/volumes/disk9/why/0").status == 404)
    for path in ["/v1/volumes/disk0/why", "/v1/volumes/disk0/why/x", "/v1/volumes/disk0/why/-1"] {
      #expect(await send("GET", path).status == 404, "\(path)")
    }
  }

  @Test func scrubsAreBegunShownAndStopped() async throws {
    #expect(await send("DELETE", "/v1/scrub").status == 409)
    #expect(await send("GET", "/v1/scrub").text.contains(#""sealedBytes":4194304"#))
    #expect(await send("POST", "/v1/scrub", #"{"volume":"disk0","store":"slow"}"#).status == 201)
    #expect(control.scrubRequest == ScrubRequest(volume: "disk0", store: "slow"))
    #expect(await send("POST", "/v1/scrub", "{}").status == 409)
    for body in [#"{"volume":7}"#, #"{"extents":"all"}"#, "[]"] {
      #expect(await send("POST", "/v1/scrub", body).status == 400, "\(body)")
    }
    #expect(await send("DELETE", "/v1/scrub").text.contains(#""end":"stopped""#))
    #expect(await send("PATCH", "/v1/scrub", "{}").status == 405)
  }

  @Test func extentsAreNamedInThePath() async throws {
    #expect(await send("GET", "/v1/volumes/disk0/extents").text.contains(#""next":5"#))
    #expect(await send("GET", "/v1/volumes/disk0/extents/7%2C9-12").text.contains(#""first":7"#))
    #expect(await send("GET", "/v1/volumes/disk0/extents/all").status == 200)
    for (path, status) in [
      ("/v1/volumes/disk0/extents/", 400), ("/v1/volumes/disk0/extents/x", 400),
      ("/v1/volumes/disk0/extents/20480", 400), ("/v1/volumes/none/extents", 404),
      ("/v1/volumes/disk0/extent", 404), ("/v1/stores/fast/extents", 404),
      ("/v1/volumes/disk0/extents/1/2", 404), ("/v1/volumes//extents", 404),
    ] as [(String, UInt32)] {
      #expect(await send("GET", path).status == status, "\(path)")
    }
    #expect(await send("DELETE", "/v1/volumes/disk0/extents").status == 405)
  }

  @Test func storesAreDrained() async throws {
    #expect(await send("PATCH", "/v1/stores/fast", #"{"draining":true}"#).text.contains(#""drainJob":2"#))
    #expect(
      await send("PATCH", "/v1/stores/fast", #"{"draining":false}"#).text.contains(#""draining":false"#))
    #expect(await send("PATCH", "/v1/stores/fast", "{}").status == 400)
    #expect(await send("PATCH", "/v1/stores/fast", #"{"draining":1}"#).status == 400)
    #expect(await send("PATCH", "/v1/stores/none", #"{"draining":true}"#).status == 404)
  }

  @Test func addsAndRemovesStores() async throws {
    let body =
      #"{"name":"slow","path":"/dev/sdb","sizeBytes":1099511627776,"tier":2,"cost":0.01,"cache":"page"}"#
    let added = await send("POST", "/v1/stores", body)
    #expect(added.status == 201)
    let store = try #require(JSONText.decode(StoreInfo.self, from: Array(added.text.utf8)))
    #expect(store.tier == 2 && store.cost == 0.01 && store.cache == .page)
    #expect(await send("DELETE", "/v1/stores/slow").status == 204)
    #expect(await send("DELETE", "/v1/stores/slow").status == 404)
  }

  @Test(arguments: [
    (#"{"name":"a","sizeByte":4096}"#, "unknown field $.sizeByte", "did you mean 'sizeBytes'?"),
    (#"{"name":"a","sizeBytes":"4096"}"#, "wrong value of $.sizeBytes", "give a whole number of bytes"),
    (#"{"name":"a","sizeBytes":-1}"#, "wrong value of $.sizeBytes", "give a whole number of bytes"),
    (#"{"name":"a","sizeBytes":4097}"#, "wrong size of volume 'a': 4097 bytes", "the next is 8192"),
    (#"{"name":"a"}"#, "the field $.sizeBytes is missing", ""),
    (#"{"sizeBytes":4096}"#, "the field $.name is missing", ""),
    (#"{"name":7,"sizeBytes":4096}"#, "wrong value of $.name", "give a string"),
    (#"{"name":"a","sizeBytes":4096,"readOnly":1}"#, "wrong value of $.readOnly", "give true or false"),
    (
      #"{"name":"a","sizeBytes":4096,"extentBytes":5}"#, "wrong extent size: 5 B",
      "give a power of two from 64 KiB"
    ),
    (#"{"name":"a","name":"b","sizeBytes":4096}"#, "this is not JSON", ""),
    ("[]", "the body must be an object", ""),
    ("", "this is not JSON", ""),
  ])
  func wrongBodiesAreTold(body: String, message: String, remedy: String) async throws {
    let answer = await send("POST", "/v1/volumes", body)
    #expect(answer.status == 400)
    let error = try failure(answer.text)
    #expect(error.code == .invalid)
    #expect(error.message == message)
    #expect((error.remedy ?? "").hasPrefix(remedy))
    #expect(control.calls == 0)
  }

  @Test(arguments: [nil, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
  func bodiesMustBeDeclaredAsJSON(type: String?) async {
    #expect(await send("POST", "/v1/volumes", #"{"name":"a","sizeBytes":4096}"#, type: type).status == 400)
    #expect(control.calls == 0)
  }

  @Test func failuresHaveTheStatusOfTheirCode() async throws {
    let expected: [GnomonError.Code: UInt32] = [
      .invalid: 400, .notFound: 404, .conflict: 409, .full: 507, .corrupt: 500, .system: 500,
      .unavailable: 503,
    ]
    for code in GnomonError.Code.allCases {
      control.fail(with: GnomonError(code, "m", cause: "c", remedy: "r"))
      let answer = await send("GET", "/v1/pool")
      #expect(answer.status == expected[code])
      #expect(try failure(answer.text).gnomonError == GnomonError(code, "m", cause: "c", remedy: "r"))
    }
  }

  @Test(arguments: [
    "/", "", "/v1", "/v1/", "/v1/pool/", "/v1//pool", "/v1/volumes/", "/v1/volumes/a/b", "/V1/pool",
  ])
  func unknownPathsNameNothing(path: String) async {
    #expect(await send("GET", path).status == 404)
    #expect(control.calls == 0)
  }

  @Test(arguments: [
    ("a%20b", "a b"), ("%C3%A9", "é"), ("100%25", "100%"), ("%zz", nil), ("%", nil), ("%4", nil),
    ("%00", nil),
    ("%ff", nil), ("%+1", nil),
  ])
  func percentEncodingIsDecodedStrictly(text: String, expected: String?) {
    #expect(PercentCoding.decode(text.utf8) == expected)
  }

  @Test func pathsWithNamesThatNobodyHasNameNothing() {
    #expect(Route(path: "/v1/volumes/" + String(repeating: "n", count: 255)) != nil)
    #expect(Route(path: "/v1/volumes/" + String(repeating: "n", count: 256)) == nil)
    // However it is written, a zero byte would end the name elsewhere.
    #expect(Route(path: "/v1/volumes/a\0b") == nil)
  }

  @Test func percentEncodingGoesBothWays() {
    for text in ["a b", "é/%", "-._~", "\u{1}"] {
      #expect(PercentCoding.decode(PercentCoding.encode(text).utf8) == text)
    }
    #expect(PercentCoding.encode("/a b/c", keepingSlashes: true) == "/a%20b/c")
  }
}
