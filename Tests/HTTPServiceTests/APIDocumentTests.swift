import Primitives
import TestSupport
import Testing

@testable import HTTPService

/// docs/api.md: its examples are real answers, so a change of the interface shows in its diff.
@Suite struct APIDocumentTests {
  @Test func isUpToDate() async throws {
    let text = try await document()
    let difference = try Golden.difference(text, from: "docs/api.md")
    #expect(difference == nil)
  }

  private func document() async throws -> String {
    var text = Self.head
    for call in Self.calls {
      let request = HTTPRequest(
        method: call.method, path: call.path.prefix { $0 != "?" }.description,
        query: Self.query(of: call.path),
        contentType: call.body == nil ? nil : "application/json",
        body: Array((call.body ?? "").utf8))
      let control = FakeControlPlane()
      if call.path == "/v1/scrub", call.method != "POST" {
        _ = try await control.beginScrub(ScrubRequest(volume: "disk0"))
      }
      if call.path.hasPrefix("/v1/hints"), call.method != "POST" {
        _ = try await control.addHint(HintRequest(volume: "disk0", offset: 1 << 30, length: 64 << 20))
      }
      let response = await APIHandler(control: control).answer(request)
      #expect(response.status == call.status, "\(call.method) \(call.path)")
      text += "\n### `\(call.method) \(call.pattern)`\n\n\(call.summary)\n"
      if let body = call.body {
        text += "\nRequest body:\n\n```json\n\(try Self.pretty(Array(body.utf8)))\n```\n"
      }
      text += "\nAnswer \(response.status)"
      if !response.body.isEmpty { text += ":\n\n```json\n\(try Self.pretty(response.body))\n```" }
      text += "\n"
    }
    text += "\n## Failures\n\n| HTTP status | code |\n| --- | --- |\n"
    for code in GnomonError.Code.allCases {
      text += "| \(APIHandler.status(of: code)) | `\(code.rawValue)` |\n"
    }
    return text + Self.tail
  }

  private struct Call {
    let method: String
    let path: String
    let pattern: String
    let summary: String
    var body: String?
    let status: UInt32
  }

  private static let calls = [
    Call(method: "GET", path: "/v1/pool", pattern: "/v1/pool", summary: "The pool as a whole.", status: 200),
    Call(
      method: "GET", path: "/v1/status", pattern: "/v1/status",
      summary: "What the daemon is doing. Counters count from its start.", status: 200),
    Call(
      method: "GET", path: "/v1/stores", pattern: "/v1/stores", summary: "All stores, by name.", status: 200),
    Call(
      method: "GET", path: "/v1/stores/fast", pattern: "/v1/stores/{name}",
      summary:
        "One store. `state` is `online`, `failed` or `offline`. A store in an export of another server "
        + "has a `connection` with `state` (`connected`, `reconnecting` or `refused`), the `seconds` since it "
        + "is so, the number of `breaks`, and the `lastError`.", status: 200),
    Call(
      method: "GET", path: "/v1/stores/fast/health", pattern: "/v1/stores/{name}/health",
      summary:
        "How well a store is ([health.md](health.md)). `score` goes from 0 (healthy) to 100 (critical), and "
        + "`modes` are what it is made of, worst first, with `reason` in words. `state` is what is done "
        + "because of it: `serving`, `no-new-placements`, `evacuating`, `sat-out` or `returning`; "
        + "`holdingBack` is there if less is done than the score calls for, and `acts` is false if stores are "
        + "only watched. `warnings` say in how many `seconds` the store will be `full`, `slow` or `failing`. "
        + "`latest` is the last half to whole minute; `failed` and `missedDeadlines` count from the daemon's "
        + "start. A store on a disk has `media`; what the disk does not report is missing there.",
      status: 200),
    Call(
      method: "GET", path: "/v1/health", pattern: "/v1/health",
      summary: "The same of all stores, by name.", status: 200),
    Call(
      method: "POST", path: "/v1/stores", pattern: "/v1/stores",
      summary: "Adds a store. `name`, `path` and `sizeBytes` are required; the others have the "
        + "defaults `kind` `file`, `tier` 0, `cost` 0, `cache` `direct`, empty `region`, `zone`, `node`, and "
        + "`force` false. `path` is absolute for `kind` `file`, an NBD URI for `nbd`, where without "
        + "`sizeBytes` the whole export is used, and `memory:` for `memory`. What is not empty is refused "
        + "without `force`.",
      body: #"{"name":"slow","path":"/dev/sdb","sizeBytes":4398046511104,"tier":2,"cost":0.01}"#,
      status: 201),
    Call(
      method: "PATCH", path: "/v1/stores/fast", pattern: "/v1/stores/{name}",
      summary:
        "Begins to move everything off a store, or ends that. `drainJob` is the job that does so, as long "
        + "as there is something to do; `complaint` what stands in its way.",
      body: #"{"draining":true}"#, status: 200),
    Call(
      method: "DELETE", path: "/v1/stores/fast", pattern: "/v1/stores/{name}",
      summary: "Removes a store that holds no extents.", status: 204),
    Call(
      method: "GET", path: "/v1/volumes", pattern: "/v1/volumes", summary: "All volumes, by name.",
      status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0", pattern: "/v1/volumes/{name}", summary: "One volume.",
      status: 200),
    Call(
      method: "POST", path: "/v1/volumes", pattern: "/v1/volumes",
      summary: "Creates a volume. `name` and `sizeBytes` (a multiple of 4096) are required; without "
        + "`extentBytes` the daemon's default is taken; `readOnly` is false by default. The fields of "
        + "`PATCH` below are taken, too.",
      body: #"{"name":"disk1","sizeBytes":10737418240,"extentBytes":65536}"#, status: 201),
    Call(
      method: "PATCH", path: "/v1/volumes/disk0", pattern: "/v1/volumes/{name}",
      summary:
        "Changes the size. Without `force`, shrinking is refused if extents beyond the new end are mapped.",
      body: #"{"sizeBytes":42949672960,"force":false}"#, status: 200),
    Call(
      method: "PATCH", path: "/v1/volumes/disk0", pattern: "/v1/volumes/{name}",
      summary:
        "Or changes how the volume is kept: `copies` (1 to 4, the live one included), `across` "
        + "(`store`, `node`, `zone`, `region`), `protection` (`sync`, `async`, `none`), `errors` (`hold`, "
        + "`fail`), `pin` (the tier on which live copies belong; null: none in particular), `never` (tiers "
        + "that get no copies). What is not said stays. `lackingExtents` have fewer good copies than wanted.",
      body: #"{"copies":2,"across":"store","protection":"sync","pin":0,"never":[2]}"#, status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0/extents/0-99", pattern: "/v1/volumes/{name}/extents/{extents}",
      summary: "Where extents lie, and why: runs of those that are alike. `extents` is `all`, or numbers and "
        + "ranges like `7,9-12`; without it, all. An answer has at most 4096 runs; if there is a `next`, ask "
        + "again from there on. Runs without `live` have no copy. A shadow is `synced`, `stale` or "
        + "`filling`.",
      status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0/load?window=3s", pattern: "/v1/volumes/{name}/load?window=1m",
      summary:
        "What a volume's clients have asked for lately ([load.md](load.md)); `window` is a time like `90s`, "
        + "`30m`, `2h` or `1d`, up to 35 days. `samples` are the seconds, minutes or hours (`stepSeconds`) of "
        + "it that were watched, `total` is all of them together; its `p99Nanoseconds` is that of the worst "
        + "sample. `time` is in seconds since 1970, `sizes` are counts.", status: 200),
    Call(
      method: "GET", path: "/v1/stores/fast/load", pattern: "/v1/stores/{name}/load?window=1m",
      summary: "The same of a store: what it has done, whoever wanted it. Here nothing is known yet.",
      status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0/forecast?horizon=2m&metric=iops",
      pattern: "/v1/volumes/{name}/forecast?horizon=30m&metric=iops",
      summary:
        "What is expected of a volume's load: of `iops`, `throughput` (bytes a second) or `latency` "
        + "(nanoseconds), up to 7 days ahead. 95 of 100 values are expected between `low` and `high`. `error` "
        + "is the mean absolute scaled error of a model in the back-test; `trials` are all that were tried. "
        + "`unusual` is true if the last value is not what was to be expected. With less than `needed` steps "
        + "of history there is no `model` and nothing in `forecasts`.", status: 200),
    Call(
      method: "GET", path: "/v1/stores/fast/forecast?metric=latency",
      pattern: "/v1/stores/{name}/forecast?horizon=30m&metric=iops",
      summary: "The same of a store. Here the history is too short.", status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0/heatmap?span=2m", pattern: "/v1/volumes/{name}/heatmap?span=1h",
      summary:
        "Where in a volume requests began, over time: `counts` of each `bucketBytes` of the address space, "
        + "without zeros at the end. `span` is at most 48 hours; up to one hour it is answered by the minute.",
      status: 200),
    Call(
      method: "DELETE", path: "/v1/volumes/disk9", pattern: "/v1/volumes/{name}",
      summary:
        "Deletes a volume that no client has attached, with all its data: 204 without a body. Here is the "
        + "answer for a volume that does not exist.", status: 404),
    Call(
      method: "GET", path: "/v1/jobs", pattern: "/v1/jobs",
      summary:
        "What is being moved, and the last 64 jobs that have ended, oldest first. `state` is `running`, "
        + "`held` (at work, but `complaint` stands in its way), `done` or `cancelled`. `protection` keeps "
        + "the "
        + "copies that volumes want; it never ends.", status: 200),
    Call(
      method: "GET", path: "/v1/jobs/2", pattern: "/v1/jobs/{number}", summary: "One job.", status: 200),
    Call(
      method: "POST", path: "/v1/jobs", pattern: "/v1/jobs",
      summary:
        "Begins a job. `kind` is `migrate` (the live copies go to the store), `replicate` (the store gets "
        + "shadows) or `drop` (the store gives up its shadows); without `extents`, all. Refused with 409 if "
        + "none of the extents can be moved so.",
      body: #"{"kind":"migrate","volume":"disk0","extents":"7,9-12","store":"slow"}"#, status: 201),
    Call(
      method: "DELETE", path: "/v1/jobs/1", pattern: "/v1/jobs/{number}",
      summary: "Has a job end; what it has moved stays moved.", status: 200),
    Call(
      method: "POST", path: "/v1/scrub", pattern: "/v1/scrub",
      summary:
        "Begins a scrub: of the extents of a `volume`, of the copies in a `store`, of both, or without "
        + "either of everything. Refused with 409 while one is under way.",
      body: #"{"volume":"disk0"}"#, status: 201),
    Call(
      method: "GET", path: "/v1/scrub", pattern: "/v1/scrub",
      summary:
        "How the scrub under way is doing (`running`), and what the last one came to (`last`), also if that "
        + "was before the daemon was started. `end` is `complete`, `stopped` or `interrupted`; a finding's "
        + "`problem` is `differs` or `unreadable`, its `outcome` `healed` or `unhealed`.", status: 200),
    Call(
      method: "DELETE", path: "/v1/scrub", pattern: "/v1/scrub",
      summary: "Has the scrub under way end. Refused with 409 if there is none.", status: 200),
    Call(
      method: "GET", path: "/v1/prediction", pattern: "/v1/prediction",
      summary:
        "What prediction has done since the daemon started: which copies reads came from, what became of the "
        + "shadows that it made, what it takes, and its latest decisions. Without `fastTier`, all stores are "
        + "of one tier, and nothing is to be done.", status: 200),
    Call(
      method: "GET", path: "/v1/plan", pattern: "/v1/plan",
      summary:
        "What the tier policy would move now, and why: the first 100 `moves` in the order in which they are made, "
        + "how many go `up` and `down`, and what can not be moved (`refused`, `complaint`).", status: 200),
    Call(
      method: "POST", path: "/v1/plan", pattern: "/v1/plan",
      summary:
        "Begins to move that, as a `job`, without waiting for the next round; while one is under way, the answer "
        + "names its job. Refused with 409 if extents stay where they are (`tiering.enabled`).",
      body: "{}", status: 200),
    Call(
      method: "GET", path: "/v1/volumes/disk0/why/7340032", pattern: "/v1/volumes/{name}/why/{offset}",
      summary:
        "Why the extent of a byte lies where it does: its copies, the reason of its last move, how much it is "
        + "accessed (`heat`, if anything is known), and the latest "
        + "decisions of prediction on it, as far as they are remembered.", status: 200),
    Call(
      method: "POST", path: "/v1/hints", pattern: "/v1/hints",
      summary:
        "Says that a range of a volume will be read: it has shadows on the fast tier from `startSeconds` (now, "
        + "if it is left out) for `seconds` (600). Refused with 400 if it is in the past, or goes beyond the "
        + "volume's end, and with 507 if it is for more than shadows may take.",
      body:
        #"{"volume":"disk0","offset":1073741824,"length":67108864,"startSeconds":1790003600,"seconds":7200}"#,
      status: 201),
    Call(
      method: "GET", path: "/v1/hints", pattern: "/v1/hints", summary: "The hints that have not expired.",
      status: 200),
    Call(
      method: "GET", path: "/v1/hints/1", pattern: "/v1/hints/{number}",
      summary: "One hint; 404 once it has expired.", status: 200),
    Call(
      method: "DELETE", path: "/v1/hints/1", pattern: "/v1/hints/{number}",
      summary: "Takes a hint back: 204 without a body.", status: 204),
  ]

  private static func query(of path: String) -> [String: String] {
    let pairs = path.split(separator: "?").dropFirst().joined().split(separator: "&").map {
      $0.split(separator: "=")
    }
    return Dictionary(uniqueKeysWithValues: pairs.map { (String($0[0]), String($0[1])) })
  }

  /// The JSON as it is read best, its keys sorted.
  private static func pretty(_ bytes: [UInt8]) throws -> String {
    String(
      decoding: JSONText.encode(Encoded(value: try JSONValue(parsing: bytes)), pretty: true).dropLast(),
      as: UTF8.self)
  }

  private struct Encoded: Encodable {
    let value: JSONValue

    func encode(to encoder: any Encoder) throws {
      var single = encoder.singleValueContainer()
      switch value {
      case .null: try single.encodeNil()
      case .boolean(let flag): try single.encode(flag)
      case .integer(let number): try single.encode(number)
      case .number(let number): try single.encode(number)
      case .string(let text): try single.encode(text)
      case .array(let items): try single.encode(items.map { Encoded(value: $0) })
      case .object(let fields): try single.encode(fields.mapValues { Encoded(value: $0) })
      }
    }
  }

  private static let head = """
    # Control API

    The daemon answers HTTP/1.1 on the unix socket `DIR/api.sock`, which only its own user can open, and by
    TCP where the configuration says so. Bodies are JSON. The commands of `gnomon` use nothing else:

        curl --unix-socket DIR/api.sock http://localhost/v1/volumes

    Sizes are bytes, times seconds. Requests with a body need `Content-Type: application/json`; a body has at
    most 64 KiB, and an unknown field is refused. Names in paths are percent-encoded. HEAD works wherever GET
    does; a query is refused where none is shown. By TCP, `Host` must be an address, `localhost`, or the host
    that is listened on. A listener serves 64 connections at a time; for a further one that gives way which
    has gone longest without a complete request. A connection that is silent for 15 seconds is closed.

    ## Calls

    """

  private static let tail = """
    | 404 | `not-found`: nothing is at this path |
    | 405 | `invalid`: the method is not allowed here; the header `Allow` names those that are |
    | 413 | `invalid`: the body is too large |
    | 421 | `invalid`: by TCP, the request is for another host |

    `cause` and `remedy` are there where they are known.

    """
}
