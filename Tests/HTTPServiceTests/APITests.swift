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

  @Test func resizesVolumes() async {
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":42949672960}"#).status == 200)
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":4096}"#).status == 409)
    #expect(await send("PATCH", "/v1/volumes/disk0", #"{"sizeBytes":4096,"force":true}"#).status == 200)
    #expect(await send("PATCH", "/v1/volumes/none", #"{"sizeBytes":4096}"#).status == 404)
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
