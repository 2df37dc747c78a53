import Daemon
import Foundation
import HTTPService
import Primitives
import Stores
import Synchronization
import TestSupport
import Testing

@testable import gnomon

/// Whole command lines, against a real server where they need one.
@Suite struct ProgramTests: Sendable {
  private let folder = TemporaryFolder()
  private let control = FakeControlPlane()
  private let offline = FakeOffline()

  private struct Run: Sendable {
    var status: Int32
    var output: String
    var errors: String
  }

  private final class Sink: Sendable {
    let text = Mutex("")

    var output: TextOutput { TextOutput { text in self.text.withLock { $0 += text } } }
  }

  private func run(_ words: String..., environment: [String: String] = [:]) -> Run {
    run(words, environment: environment)
  }

  private func run(_ words: [String], environment: [String: String] = [:]) -> Run {
    let output = Sink()
    let errors = Sink()
    let context = CommandContext(
      environment: environment, workingDirectory: "/srv", output: output.output, errors: errors.output,
      offline: offline)
    let status = Program(context: context).run(words)
    return Run(
      status: status.rawValue, output: output.text.withLock { $0 }, errors: errors.text.withLock { $0 })
  }

  private func withServer(_ body: @escaping @Sendable (String) throws -> Void) async throws {
    try await onThread {
      let server = try HTTPServer(
        listening: [.unix(path: Configuration.apiSocket(of: folder.path))], control: control)
      defer { server.stop() }
      try body(folder.path)
    }
  }

  @Test func createsPoolsInTheFixedForm() throws {
    let run = run(
      "pool", "create", "p", "--store", "fast=f.img,size=1G,tier=0", "--store", "slow=/s.img,size=2G,tier=2",
      "--volume", "disk0=512M", "--volume", "disk1=1G,extent=64K")
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.output.contains("Serve it with: gnomon serve --pool /srv/p\n"))
    let call = try #require(offline.created)
    #expect(call.directory == "/srv/p")
    #expect(call.stores.map(\.path) == ["/srv/f.img", "/s.img"])
    #expect(call.volumes.map(\.extentBytes) == [nil, 65536])
  }

  @Test func refusesWrongPoolsBeforeAnythingIsDone() {
    #expect(run("pool", "create", "p").status == 2)
    #expect(run("pool", "create", "--store", "a=b,size=1G").status == 2)
    let twice = run("pool", "create", "p", "--store", "a=b,size=1G", "--volume", "v=1G", "--volume", "v=2G")
    #expect(twice.status == 2)
    #expect(twice.errors == "gnomon: two volumes are named 'v'\n  give each its own name\n")
    #expect(offline.created == nil)
  }

  @Test func servesInTheFixedForm() throws {
    offline.result = 0
    let run = run(
      "serve", "--pool", folder.path, "--listen", "nbd://127.0.0.1:10809", "--listen",
      "nbd+unix:///?socket=/s",
      "--reactors=2", "--read-only", "disk0")
    #expect(run.status == 0)
    let options = try #require(offline.served)
    #expect(options.directory == folder.path)
    #expect(options.configuration.listen == [.tcp(host: "127.0.0.1", port: 10809), .unix(path: "/s")])
    #expect(options.configuration.reactors == 2)
    #expect(options.configuration.readOnly == ["disk0"])
  }

  @Test func wrongServeOptionsAreTold() {
    let run = run("serve", "--pool", folder.path, "--listen", "tcp://x")
    #expect(run.status == 2)
    #expect(
      run.errors.hasPrefix("gnomon: --listen: wrong value of 'listen[0]': \"tcp://x\" is not an NBD URI"))
    #expect(offline.served == nil)
  }

  @Test func checksPools() {
    let summary = "1 store, 2 volumes, 3 mapped extents (3 MiB): "
    #expect(run("check", "/p").output == summary + "no errors\n")
    offline.problems = [.init(severity: .warning, message: "one label is damaged")]
    let odd = run("check", "/p")
    #expect(odd.status == 0)
    #expect(odd.output == "warning: one label is damaged\n" + summary + "no errors\n")
    offline.problems = [
      .init(severity: .error, message: "extent 5 is lost", cause: "slot 7", remedy: "restore from a copy")
    ]
    let bad = run("check", "/p")
    #expect(bad.status == 5)
    #expect(bad.output == "error: extent 5 is lost: slot 7\n  restore from a copy\n" + summary + "1 error\n")
    let json = run("check", "--pool", "/p", "--json")
    #expect(json.status == 5)
    #expect(JSONText.decode(CheckReport.self, from: Array(json.output.utf8))?.problems == offline.problems)
  }

  @Test func saysWhenNoDaemonRuns() {
    let run = run("volume", "list", "--pool", folder.path)
    #expect(run.status == 3)
    #expect(run.output == "")
    #expect(run.errors.hasPrefix("gnomon: no daemon answers at \(folder.path)/api.sock"))
    #expect(run.errors.hasSuffix("\n  start it: gnomon serve --pool \(folder.path)\n"))
  }

  @Test func listsForPeopleAndPrograms() async throws {
    try await withServer { pool in
      #expect(
        run("volume", "list", "--pool", pool).output == """
          NAME     SIZE  MAPPED  EXTENT  ACCESS      COPIES  LACKING  PIN  NEVER  CONNECTIONS
          disk0  20 GiB   5 MiB   1 MiB  read-write       1        0  -    -                1

          """)
      #expect(
        run("store", "list", environment: ["GNOMON_POOL": pool]).output == """
          NAME  ID  TIER  STATE   SCORE  HEALTH                SIZE   USED      FREE  CACHE   PATH
          fast   0     0  online   66.4  no-new-placements  100 GiB  1 MiB  99.9 GiB  direct  /srv/fast.img

          """)
      let json = run("volume", "list", "--pool", pool, "--json").output
      #expect(JSONText.decode(VolumeList.self, from: Array(json.utf8))?.volumes.map(\.name) == ["disk0"])
      #expect(run("pool", "show", pool).output.contains("provisioned:  20 GiB\n"))
      #expect(run("status", pool).output.contains("up 1 d 2 h\n"))
      #expect(run("store", "show", "--pool", pool, "fast").output.contains("tier:    0\n"))
    }
  }

  @Test func showsHowWellStoresAre() async throws {
    try await withServer { pool in
      let why =
        "reads take 9.1 ms at 40 MB/s; usual at this load: at most 3.1 ms; 93 % full, full in about 3 h; "
        + "held back: it has the only synced copy of 3 extents"
      let all = run("health", "--pool", pool).output
      #expect(
        all.split(separator: "\n")[1]
          == "fast    66.4  no-new-placements  1 min 33 s  \(why)  full in 3 h 0 min")
      let one = run("health", "fast", "--pool", pool).output
      for line in [
        "score:             66.4\n", "state:             no-new-placements for 1 min 33 s\n",
        "fail-slow:         61.3: reads take 9.1 ms at 40 MB/s; usual at this load: at most 3.1 ms\n",
        "throughput:        40 MiB/s read, 0 B/s written, 99.8 operations/s\n",
        "failed:            1 reads, 0 writes, 0 synchronizations\n",
        "device:            /dev/sda, says it is healthy, 8 reallocated sectors, 41 °C, asked 4 min 0 s ago\n",
        "read         small   4200  9.1 ms  8.9 ms  31 ms\n",
        "synchronize  -         12  850 ns  800 ns  2.1 s\n",
      ] {
        #expect(one.contains(line), "\(line) in \(one)")
      }
      let json = run("health", "--pool", pool, "--json").output
      #expect(JSONText.decode(StoreHealthList.self, from: Array(json.utf8))?.stores.map(\.score) == [66.4])
      let single = run("health", "fast", "--pool", pool, "--json").output
      #expect(JSONText.decode(StoreHealthInfo.self, from: Array(single.utf8))?.state == .noNewPlacements)
      #expect(run("health", "slow", "--pool", pool).status == 6)
    }
  }

  @Test func showsLoads() async throws {
    try await withServer { pool in
      let volume = run("stats", "disk0", "--window", "3s", "--pool", pool).output
      for line in [
        "watched:       3s of 3s\n", "IOPS:          1500, flushes 0.5/s\n", "reads:         3.0 MiB/s\n",
        "writes:        1.25 MiB/s\n", "read share:    70.0 %\n", "mean latency:  210 µs\n",
        "P99 latency:   1.4 ms in the worst second\n",
        "sizes:         900 up to 4 KiB, 90 up to 64 KiB, 10 larger\n", "2000 │  •\n",
      ] {
        #expect(volume.contains(line), "\(line) in \(volume)")
      }
      // There is no such volume: it is a store.
      #expect(run("stats", "fast", "--pool", pool).output == "Nothing is known of this time.\n")
      #expect(run("stats", "disk0", "--store", "--pool", pool).status == 6)
      let unknown = run("stats", "disk9", "--pool", pool)
      #expect(unknown.status == 6 && unknown.errors.contains("there is no volume or store disk9"))
      let wrong = run("stats", "disk0", "--window", "soon", "--pool", pool)
      #expect(wrong.status == 2 && wrong.errors.contains("wrong --window 'soon'"))
      let json = run("stats", "disk0", "--pool", pool, "--json").output
      #expect(
        JSONText.decode(LoadInfo.self, from: Array(json.utf8))?.samples.map(\.iops) == [1000, 1500, 2000])
    }
  }

  @Test func showsForecasts() async throws {
    try await withServer { pool in
      let volume = run("forecast", "disk0", "--horizon", "5m", "--pool", pool).output
      for line in [
        "IOPS of volume disk0, by the minute\n", "model:   seasonal naive, season 5m\n", "MASE:    0.31\n",
        "others:  naive 1.2\n", "next:    1000 (950 to 1050)\n", "in 5m:   1400 (1350 to 1450)\n",
        "now:     unusual", "• observed over 20m, ━ expected over 5m, ░ 95 of 100\n",
      ] {
        #expect(volume.contains(line), "\(line) in \(volume)")
      }
      #expect(volume.split(separator: "\n").contains { $0.hasSuffix("•    •    •    •    ━") }, "\(volume)")
      let store = run("forecast", "fast", "--metric", "latency", "--pool", pool).output
      #expect(store.contains("latency of store fast, by the minute\n"))
      #expect(
        store.contains(
          "The history is too short to forecast: it has 4 minutes with a value, 13 are needed; ask again in "
            + "9 minutes, or for --horizon 1m or less, which goes by the second.\n"), "\(store)")
      let wrong = run("forecast", "disk0", "--metric", "iosp", "--pool", pool)
      #expect(wrong.status == 2 && wrong.errors.contains("did you mean 'iops'?"))
      let far = run("forecast", "disk0", "--horizon", "8d", "--pool", pool)
      #expect(far.status != 0 && far.errors.contains("the most is 7d"), "\(far)")
      let json = run("forecast", "disk0", "--pool", pool, "--json").output
      #expect(JSONText.decode(ForecastInfo.self, from: Array(json.utf8))?.forecasts.count == 30)
    }
  }

  @Test func showsHeatMaps() async throws {
    try await withServer { pool in
      #expect(
        run("heatmap", "disk0", "--pool", pool).output
          == """
               -1m │: @ │
               now │    │
                    0 1 MiB
          One character: up to 256 KiB, 1m; '.' few requests, '@' up to 40.

          """)
      let file = pool + "/map.svg"
      #expect(run("heatmap", "disk0", "--svg", file, "--pool", pool).output == "written to \(file)\n")
      let svg = try String(contentsOfFile: file, encoding: .utf8)
      #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
      // Two cells have requests.
      #expect(svg.ranges(of: "<title>40</title>").count == 1 && svg.ranges(of: "<title>1</title>").count == 1)
      let nowhere = run("heatmap", "disk0", "--svg", pool + "/none/map.svg", "--pool", pool)
      #expect(nowhere.status != 0 && nowhere.errors.contains("the picture can not be written"))
      #expect(run("heatmap", "disk0", "--span", "3d", "--pool", pool).errors.contains("the most is 2d"))
    }
  }

  @Test func showsHowToAttachAVolume() async throws {
    try await withServer { pool in
      let output = run("volume", "show", "disk0", "--pool", pool).output
      #expect(output.contains("uri:          nbd://127.0.0.1:10809/disk0\n"))
      #expect(output.contains("uri:          nbd+unix:///disk0?socket=/srv/pool/nbd.sock\n"))
    }
  }

  @Test func managesVolumesAndStores() async throws {
    try await withServer { pool in
      let environment = ["GNOMON_POOL": pool]
      #expect(
        run("volume", "create", "a b=1G", environment: environment).output
          == "Created the volume a b: 1 GiB.\n")
      #expect(run("volume", "create", "a b=1G", environment: environment).status == 4)
      #expect(run("volume", "resize", "a b", "2G", environment: environment).status == 0)
      let shrink = run("volume", "resize", "a b", "1G", environment: environment)
      #expect(shrink.status == 4)
      #expect(shrink.errors == "gnomon: the volume would lose data\n  add --force\n")
      #expect(run("volume", "resize", "--force", "a b", "1G", environment: environment).status == 0)
      #expect(run("volume", "resize", "a b", "1001", environment: environment).status == 2)
      #expect(run("volume", "delete", "a b", environment: environment).status == 0)
      #expect(run("volume", "delete", "a b", environment: environment).status == 6)
      #expect(run("volume", "delete", "disk0", environment: environment).status == 4)
      #expect(run("store", "add", "s=x,size=1G,tier=1", environment: environment).status == 0)
      #expect(run("store", "show", "s", environment: environment).output.contains("/srv/x\n"))
      #expect(run("store", "remove", "s", environment: environment).status == 0)
    }
  }

  @Test func movesAndShadowsAreAskedFor() async throws {
    try await withServer { pool in
      let environment = ["GNOMON_POOL": pool]
      let begun = run("move", "disk0", "7,9-12", "--to", "slow", environment: environment)
      #expect(begun.output == "Begun as job 1: see 'gnomon jobs'.\n" && begun.status == 0)
      #expect(control.request == MoveRequest(.migrate, volume: "disk0", extents: "7,9-12", store: "slow"))
      #expect(run("move", "disk0", "all", "--to=slow", "--keep", environment: environment).status == 0)
      #expect(control.request?.kind == .replicate && control.request?.extents == "all")
      let done = run("shadow", "drop", "disk0", "3", "--from", "slow", "--wait", environment: environment)
      #expect(control.request == MoveRequest(.drop, volume: "disk0", extents: "3", store: "slow"))
      #expect(done.status == 0)
      #expect(
        done.output
          == "Done: move extents 7,9-12 of disk0 to slow: 5 moved, 0 failed, 5 MiB copied in 1 s.\n")
      control.setJob(
        JobInfo(
          number: 1, what: "move", state: .done, done: 4, failed: 1, complaint: "extent 9: slow is full"))
      let failed = run("move", "disk0", "all", "--to", "slow", "--wait", environment: environment)
      #expect(failed.status == 1 && failed.errors == "gnomon: job 1: extent 9: slow is full\n")
      control.setJob(JobInfo(number: 1, what: "move", state: .cancelled, done: 4))
      #expect(run("move", "disk0", "all", "--to", "slow", "--wait", environment: environment).status == 1)
      #expect(run("jobs", "cancel", "1", environment: environment).output == "Job 1 ends: move.\n")
      #expect(run("jobs", "cancel", "7", environment: environment).status == 6)
      for words in ["12-7", "x", "", "1,,2"] {
        #expect(run("move", "disk0", words, "--to", "slow", environment: environment).status == 2, "\(words)")
      }
    }
  }

  @Test func jobsAreListed() async throws {
    try await withServer { pool in
      control.setJob(
        JobInfo(
          number: 1, what: "move extents 7 of disk0 to s", state: .done, done: 5, movedBytes: 5 << 20))
      #expect(
        run("jobs", "--pool", pool).output == """
          JOB  WHAT                          STATE    DONE  FAILED  MOVED     RATE   LEFT  TIME  COMPLAINT
            1  move extents 7 of disk0 to s  done        5       0  5 MiB    0 B/s      -     -  -
            2  drain fast                    running     3       0  3 MiB  1 MiB/s  2 MiB   2 s  -

          """)
      let json = run("jobs", "--pool", pool, "--json").output
      #expect(JSONText.decode(JobList.self, from: Array(json.utf8))?.jobs.count == 2)
    }
  }

  @Test func predictionIsShown() async throws {
    try await withServer { pool in
      let text = run("prediction", "--pool", pool).output
      for words in [
        "3, 3 MiB of 50 MiB", "2000, 75.0 % from shadows", "5 (5 MiB), 2.5 per 1000 requests",
        "2, never read 1", "6200 µs (p50), 19000 µs (p99)", "reads of it are expected to pay for the copy",
      ] {
        #expect(text.contains(words), "\(words)")
      }
      let why = run("why", "disk0", "7M", "--pool", pool)
      for line in [
        "live copy:     slow, tier 2", "shadow:        fast, synced",
        "volatility:    0.88, 420.5 accesses expected in 120 min",
        "daily rhythm:  in use at 09:00 on 3 of the last 4 days",
      ] {
        #expect(why.output.contains(line), "\(line)")
      }
      let json = run("why", "disk0", "7M", "--pool", pool, "--json").output
      #expect(JSONText.decode(WhyInfo.self, from: Array(json.utf8))?.offset == 7 << 20)
      #expect(run("why", "disk0", "x", "--pool", pool).status == 2)
      #expect(run("why", "disk9", "0", "--pool", pool).status == 6)
    }
  }

  @Test func theTierPlanIsShownAndBegun() async throws {
    try await withServer { pool in
      let text = run("plan", "--dry-run", "--pool", pool).output
      for words in [
        "1 MiB of 64 MiB free", "1 up, 1 down, 2 MiB", "More follows in the next round.",
        "tier 2  tier 0  fast   volatility 0.97: 420 accesses expected within 120 min",
      ] {
        #expect(text.contains(words), "\(words)")
      }
      let json = run("plan", "--dry-run", "--json", "--pool", pool).output
      let info = JSONText.decode(TierPlanInfo.self, from: Array(json.utf8))
      #expect(info?.moves.map(\.extent) == [3, 9] && info?.job == nil)
      #expect(run("plan", "--pool", pool).output == "Begun as job 1: see 'gnomon jobs'.\n")
    }
  }

  @Test func hintsAreGivenListedAndTakenBack() async throws {
    try await withServer { pool in
      let json = run("hint", "disk0", "--range", "1G+64M", "--for", "2h", "--pool", pool, "--json").output
      let hint = try #require(JSONText.decode(HintInfo.self, from: Array(json.utf8)))
      #expect(hint.offset == 1 << 30 && hint.length == 64 << 20)
      #expect(hint.endSeconds - hint.startSeconds == 7200)
      let later = run("hint", "disk0", "--range", "0+1M", "--at", "2037-01-02T03:04", "--pool", pool)
      #expect(later.output.contains("Hint 2 holds until 2037-01-02 03:14:00"))
      #expect(run("hint", "list", "--pool", pool).output.contains("64 MiB"))
      #expect(run("hint", "delete", "1", "--pool", pool).status == 0)
      #expect(run("hint", "delete", "1", "--pool", pool).status == 6)
      for words in [
        ["--range", "1M"], ["--range", "1+x"], ["--range", "0+1", "--for", "5y"],
        ["--range", "0+1", "--at", "24:00"],
        ["--range", "0+1", "--at", "12"], ["--range", "0+1", "--at", "2037-01T01:00"], [],
      ] {
        #expect(run(["hint", "disk0", "--pool", pool] + words).status == 2, "\(words)")
      }
    }
  }

  @Test func aScrubIsWaitedForAndShown() async throws {
    try await withServer { pool in
      #expect(run("scrub", "--pool", pool).output == "sealed: 4 MiB of 5 MiB in use\nlast: none yet\n")
      #expect(run("scrub", "stop", "--pool", pool).status == 4)
      let (output, errors) = (Sink(), Sink())
      var context = CommandContext(
        environment: ["GNOMON_POOL": pool], output: output.output, errors: errors.output, offline: offline)
      context.isTerminal = true
      // One copy was not healed.
      #expect(Program(context: context).run(["scrub", "start", "disk0", "--wait"]) == .failure)
      #expect(control.scrubRequest == ScrubRequest(volume: "disk0"))
      #expect(
        output.text.withLock { $0 } == """
          sealed: 4 MiB of 5 MiB in use
          last: volume disk0, complete \(Moment.text(1_790_000_090)), after 1 min 30 s: \
          8 MiB read, 7 copies, 2 bad, 1 unreadable, 2 healed, 1 not
          VOLUME  EXTENT  STORE     PLACE  PROBLEM  OUTCOME   REASON
          disk0        7  slow    8388608  differs  healed    -
          disk0        9  fast   10485760  differs  unhealed  no copy holds what was sealed

          """)
      let line =
        "volume disk0, 8 MiB read, 7 copies, 2 bad, 1 unreadable, 2 healed, 1 not, 2 MiB/s, 4 MiB left, 2 s"
      #expect(errors.text.withLock { $0 } == "\r\(line)\u{1B}[K\r\u{1B}[K")
      #expect(run("scrub", "status", "--pool", pool).output.contains("no copy holds"))
    }
  }

  /// Lines in a log; on a terminal one line that is written again, and cleared at the end.
  @Test(arguments: [false, true]) func aDrainIsWaitedFor(isTerminal: Bool) async throws {
    try await withServer { pool in
      let (output, errors) = (Sink(), Sink())
      var context = CommandContext(
        environment: ["GNOMON_POOL": pool], output: output.output, errors: errors.output, offline: offline)
      context.isTerminal = isTerminal
      let line = "job 2 running: 3 moved, 0 failed, 3 MiB copied, 1 MiB/s, 2 MiB left, 2 s"
      #expect(Program(context: context).run(["store", "drain", "fast", "--wait"]) == .ok)
      #expect(
        output.text.withLock { $0 } == "Done: drain fast: 3 moved, 0 failed, 3 MiB copied in 3 s.\n")
      let shown = errors.text.withLock { $0 }
      #expect(
        shown == (isTerminal ? "\r\(line)\u{1B}[K\r\(line)\u{1B}[K\r\u{1B}[K" : line + "\n"), "\(shown)")
    }
  }

  @Test func drainsAreBegunAndCancelled() async throws {
    try await withServer { pool in
      let environment = ["GNOMON_POOL": pool]
      #expect(
        run("store", "drain", "fast", environment: environment).output
          == "The store fast is being drained, 1 MiB lie on it: see 'gnomon jobs'.\n")
      #expect(run("store", "list", environment: environment).output.contains(" online, draining "))
      #expect(
        run("store", "drain", "fast", "--cancel", environment: environment).output
          == "The store fast is used again.\n")
      #expect(!run("store", "list", environment: environment).output.contains("draining"))
      #expect(run("store", "drain", "none", environment: environment).status == 6)
      #expect(run("store", "drain", "fast", "--cancel", "--wait", environment: environment).status == 2)
    }
  }

  @Test func whatVolumesWantIsSet() async throws {
    try await withServer { pool in
      let environment = ["GNOMON_POOL": pool]
      #expect(
        run("volume", "set", "disk0", "--copies", "2", environment: environment).output
          == "The volume disk0 wants 2 copies: 5 extents with fewer.\n")
      let set = run(
        "volume", "set", "disk0", "--across", "node", "--protection", "async", environment: environment)
      #expect(set.status == 0)
      let shown = run("volume", "show", "disk0", environment: environment).output
      #expect(shown.contains("copies:       2 across nodes\n") && shown.contains("protection:   async\n"))
      #expect(shown.contains("lacking:      5 extents with fewer copies\n"))
      #expect(
        run("volume", "create", "two=1G,copies=2,across=zone,protection=none", environment: environment)
          .status == 0)
      let two = run("volume", "show", "two", environment: environment).output
      #expect(two.contains("copies:       2 across zones\n") && two.contains("protection:   none\n"))
      #expect(
        run("volume", "set", "disk0", "--pin", "tier0", "--never", "2,3", environment: environment).output
          == "The volume disk0 has pin=tier0, never=tier2,tier3.\n")
      let pinned = run("volume", "show", "disk0", environment: environment).output
      #expect(pinned.contains("pin:          tier0\n") && pinned.contains("never:        tier2,tier3\n"))
      #expect(run("volume", "create", "three=1G", "--pin", "7", environment: environment).status == 0)
      let three = run("volume", "show", "three", environment: environment).output
      #expect(three.contains("pin:          tier7 (no store of that tier may hold live copies)\n"))
      #expect(
        run("volume", "set", "disk0", "--pin", "none", "--never", "none", environment: environment).output
          == "The volume disk0 has pin=none, never=none.\n")
      for words in [
        ["--pin", "fast"], ["--pin", "tier256"], ["--never", ""], ["--pin", "0", "--never", "tier0"],
        [], ["--copies", "5"], ["--copies", "0"], ["--copies", "x"], ["--across", "planet"],
        ["--protection", "all"],
      ] {
        let errors = Sink()
        let context = CommandContext(
          environment: environment, output: errors.output, errors: errors.output, offline: offline)
        #expect(Program(context: context).run(["volume", "set", "disk0"] + words) == .usage, "\(words)")
      }
    }
  }

  @Test func extentsAreShownWithAllAnswersTogether() async throws {
    try await withServer { pool in
      #expect(
        run("extents", "disk0", "--pool", pool).output == """
          EXTENTS      SIZE  LIVE  TIER  SHADOWS        WHY
          0-4         5 MiB  fast     0  slow (synced)  placed by tier
          5-20479  19.9 GiB  -        -  -              -

          """)
      let json = run("extents", "disk0", "3,9", "--pool", pool, "--json").output
      let list = try #require(JSONText.decode(ExtentList.self, from: Array(json.utf8)))
      #expect(list.runs.map(\.first) == [0, 9] && list.next == nil)
      #expect(run("extents", "disk0", "20480", "--pool", pool).status == 2)
      #expect(run("extents", "none", "--pool", pool).status == 6)
    }
  }

  @Test func failuresOfTheDaemonAreTold() async throws {
    try await withServer { pool in
      control.fail(
        with: GnomonError(.full, "no room is left", cause: "all stores are full", remedy: "add a store"))
      let run = run("volume", "create", "x=1G", "--pool", pool)
      #expect(run.status == 7)
      #expect(run.output == "")
      #expect(run.errors == "gnomon: no room is left: all stores are full\n  add a store\n")
    }
  }

  @Test(arguments: [
    ([], "no command is named"), (["pol"], "unknown command 'pol'"), (["pool"], "what about the pool?"),
    (["volume", "lst"], "unknown command 'volume lst'"),
    (["--pool", "x", "status"], "the command comes before --pool"),
    (["help", "nothing"], "unknown command 'nothing'"), (["status"], "no pool is named"),
    (["status", "a", "--pool", "b"], "two pools are named: 'a' and 'b'"),
    (["version", "x"], "unexpected argument 'x'"),
  ])
  func wrongUseEndsWithStatus2(words: [String], message: String) {
    let errors = Sink()
    let context = CommandContext(output: errors.output, errors: errors.output, offline: offline)
    #expect(Program(context: context).run(words) == .usage)
    let text = errors.text.withLock { $0 }
    #expect(text.hasPrefix("gnomon: \(message)\n"), "\(text)")
    #expect(text.contains("\nusage: gnomon "), "\(text)")
  }

  @Test func helpGoesToStdout() {
    #expect(run("help").output.contains("  pool create    Create a pool"))
    #expect(run("--help").status == 0)
    #expect(run("pool", "--help").output.contains("pool show"))
    let help = run("pool", "create", "--help")
    #expect(help.status == 0)
    #expect(help.output == run("help", "pool", "create").output)
    #expect(help.output.hasPrefix("usage: gnomon pool create DIR --store SPEC [--store SPEC]…"))
    #expect(run("version").output == "gnomon \(Version.current)\n")
    #expect(run("--version").output == run("version").output)
  }
}

/// Remembers what it was asked to do.
private final class FakeOffline: OfflineOperations {
  struct Created: Sendable {
    var directory: String
    var stores: [StoreRequest]
    var volumes: [VolumeRequest]
  }

  private struct State {
    var created: Created?
    var served: ServeOptions?
    var problems: [CheckReport.Problem] = []
    var result: Int32 = 0
  }

  private let state = Mutex(State())

  var created: Created? { state.withLock { $0.created } }
  var served: ServeOptions? { state.withLock { $0.served } }

  var problems: [CheckReport.Problem] {
    get { state.withLock { $0.problems } }
    set { state.withLock { $0.problems = newValue } }
  }

  var result: Int32 {
    get { state.withLock { $0.result } }
    set { state.withLock { $0.result = newValue } }
  }

  func createPool(
    directory: String, stores: [StoreRequest], volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo {
    state.withLock { $0.created = Created(directory: directory, stores: stores, volumes: volumes) }
    return PoolInfo(
      uuid: "u", directory: directory, storeCount: stores.count, volumeCount: volumes.count,
      sizeBytes: 3 << 30,
      usedBytes: 0, freeBytes: 3 << 30, provisionedBytes: 1 << 30)
  }

  func checkPool(directory: String) throws(GnomonError) -> CheckReport {
    var report = CheckReport(directory: directory)
    report.problems = problems
    report.stores = [.init(id: 0, name: "fast", capacityBytes: 1 << 30, usedBytes: 3 << 20, extents: 3)]
    report.volumes = ["a", "b"].enumerated().map { index, name in
      .init(
        id: UInt32(index), name: name, sizeBytes: 1 << 30, extentBytes: 1 << 20,
        mappedExtents: index == 0 ? 3 : 0)
    }
    return report
  }

  func serve(_ options: ServeOptions) throws(GnomonError) -> Int32 {
    state.withLock { $0.served = options }
    return result
  }
}
