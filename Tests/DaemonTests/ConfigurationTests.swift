import HTTPService
import Platform
import Primitives
import TestSupport
import Testing

@testable import Daemon

/// The configuration file and the options that replace it.
@Suite struct ConfigurationTests {
  private let folder = TemporaryFolder()

  private func read(_ text: String) throws -> Configuration {
    var reader = ConfigurationReader(defaults: Configuration(directory: "/p"))
    try reader.read(Array(text.utf8))
    try reader.configuration.check()
    return reader.configuration
  }

  @Test func nothingSetMeansTheDefaults() throws {
    let configuration = try read("{}")
    #expect(configuration == Configuration(directory: "/p"))
    #expect(configuration.listen == [.unix(path: "/p/nbd.sock")])
    #expect(configuration.api.listen == [.unix(path: "/p/api.sock")])
    #expect(!configuration.listenIsExplicit)
  }

  @Test func hostsAreEscapedInURIs() throws {
    let endpoint = try #require(NBDEndpoint(parsing: "nbd://a%2Fb:1"))
    #expect(endpoint.uri() == "nbd://a%2Fb:1")
    #expect(NBDEndpoint(parsing: endpoint.uri(export: "x y")) == nil, "it names an export")
    #expect(
      try #require(NBDEndpoint(parsing: "nbd://[fe80::1%25eth0]")).uri() == "nbd://[fe80::1%25eth0]:10809")
  }

  @Test func everyKeyHasItsPlace() throws {
    let configuration = try read(
      """
      {
        // every key once
        listen: ["nbd://127.0.0.1", "nbd+unix:///?socket=/run/a%20b.sock"],
        reactors: 3,
        readOnly: ["a", "b"],
        api: { listen: ["unix:/run/api.sock", "http://10.0.0.1:8080"], remote: true },
        log: { level: "debug" },
        limits: {
          connections: 7, handshakeSeconds: 8, requestsPerConnection: 9, requestsPerReactor: 2000,
          bytesPerConnection: "64M", bytesPerReactor: 1073741824,
        },
        nbd: { structuredReplies: false, busyPollMicroseconds: 50 },
        volumes: { extent: "256K" },
      }
      """)
    var expected = Configuration(directory: "/p")
    expected.listen = [.tcp(host: "127.0.0.1", port: 10809), .unix(path: "/run/a b.sock")]
    expected.listenIsExplicit = true
    expected.reactors = 3
    expected.readOnly = ["a", "b"]
    expected.api.listen = [.unix(path: "/run/api.sock"), .tcp(host: "10.0.0.1", port: 8080)]
    expected.api.remote = true
    expected.log.level = .debug
    expected.limits.connections = 7
    expected.limits.handshakeSeconds = 8
    expected.limits.requestsPerConnection = 9
    expected.limits.requestsPerReactor = 2000
    expected.limits.bytesPerConnection = 64 << 20
    expected.limits.bytesPerReactor = 1 << 30
    expected.nbd.structuredReplies = false
    expected.nbd.busyPollMicroseconds = 50
    expected.volumes.extentBytes = 256 << 10
    #expect(configuration == expected)
  }

  @Test(arguments: [
    ("{ limts: {} }", "unknown key 'limts'", "did you mean 'limits'?"),
    (
      "{ limits: { conections: 1 } }", "unknown key 'limits.conections'", "did you mean 'limits.connections'?"
    ),
    ("{ connections: 1 }", "unknown key 'connections'", "did you mean 'limits.connections'?"),
    ("{ 'log.level': 'info' , x: 1 }", "unknown key 'x'", "allowed: listen, reactors, readOnly, api, log"),
    ("{ log: 'debug' }", "'log' must hold an object", ""),
    ("[]", "the file must hold an object", ""),
    ("{ reactors: 17 }", "wrong value of 'reactors'", "allowed: a whole number from 0 to 16"),
    ("{ reactors: 1.5 }", "wrong value of 'reactors'", "allowed: a whole number from 0 to 16"),
    ("{ reactors: '2' }", "wrong value of 'reactors'", "allowed: a whole number from 0 to 16"),
    ("{ reactors: null }", "wrong value of 'reactors'", "allowed: a whole number"),
    (
      "{ log: { level: 'loud' } }", "wrong value of 'log.level'",
      "allowed: \"debug\", \"info\", \"warning\", \"error\""
    ),
    ("{ listen: 'nbd://h' }", "wrong value of 'listen'", "allowed: a list of 1 to 16"),
    ("{ listen: [] }", "wrong number of values of 'listen': 0", "allowed: a list of 1 to 16"),
    ("{ listen: ['nbd://h', 'tcp://x'] }", "wrong value of 'listen[1]'", "allowed: \"nbd://HOST:PORT\""),
    ("{ listen: ['nbd://h/'   , 'nbd://h:10809'] }", "'listen[1]' is there already", "name it once"),
    ("{ api: { listen: ['https://x'] } }", "wrong value of 'api.listen[0]'", "allowed: \"unix:PATH\""),
    (
      "{ api: { listen: ['http://0.0.0.0:80'] } }", "'api.listen' has an address that other machines",
      "listen on"
    ),
    ("{ api: { remote: 1 } }", "wrong value of 'api.remote'", "allowed: true or false"),
    (
      "{ limits: { bytesPerReactor: '1M' } }", "wrong value of 'limits.bytesPerReactor'",
      "allowed: a size from 33M to 16G"
    ),
    ("{ limits: { bytesPerConnection: '97M' } }", "'limits.bytesPerConnection' is more than", ""),
    (
      "{ volumes: { extent: '3M' } }", "wrong value of 'volumes.extent'",
      "allowed: a power of two from 64K to 64M"
    ),
    ("{ readOnly: ['a/b'] }", "wrong value of 'readOnly[0]'", "a name has 1 to 255 bytes"),
    (
      "{ reactors: 16, limits: { requestsPerReactor: 1024 } }",
      "'reactors' times 'limits.requestsPerReactor'", "with"
    ),
    ("{ reactors: 1,\n reactors: 2 }", "this is not JSON5", ""),
  ])
  func mistakesAreTold(text: String, message: String, remedy: String) throws {
    let error = #expect(throws: GnomonError.self) { try read(text) }
    let found = try #require(error)
    #expect(found.code == .invalid)
    #expect(found.message.hasPrefix(message), "\(found)")
    #expect((found.remedy ?? "").hasPrefix(remedy), "\(found)")
  }

  @Test func wrongPlacesAreExplained() {
    let error = #expect(throws: GnomonError.self) { try read("{ listen: ['nbds://h'] }") }
    #expect(error?.cause == "TLS is not supported yet: use nbd:// or nbd+unix://")
    #expect(error?.message == "wrong value of 'listen[0]'")
  }

  @Test func syntaxErrorsNameLineAndColumn() throws {
    let error = #expect(throws: GnomonError.self) { try read("{\n  reactors: 2\n  listen: []\n}") }
    #expect(error?.cause == "line 3, column 3: ',' or '}' is expected here")
  }

  private func write(_ text: String, to name: String) throws -> String {
    let path = folder.path + "/" + name
    let file = try FileDescriptor.open(path, 0o1 | 0o100)
    let bytes = Array(text.utf8)
    try unsafe bytes.withUnsafeBytes { try unsafe file.write($0, at: 0) }
    return path
  }

  @Test func theFileInThePoolsFolderIsRead() throws {
    #expect(try Configuration.resolve(directory: folder.path, file: nil).reactors == 0)
    _ = try write("{ reactors: 5 }", to: "gnomon.json5")
    #expect(try Configuration.resolve(directory: folder.path, file: nil).reactors == 5)
  }

  @Test func theCommandLineReplacesTheFile() throws {
    let path = try write(
      "{ reactors: 5, readOnly: ['a'], listen: ['nbd://h'], log: { level: 'error' } }", to: "c")
    var overrides = ConfigurationOverrides()
    overrides.reactors = "2"
    overrides.listen = ["nbd+unix:///?socket=/x"]
    overrides.logLevel = "warning"
    overrides.apiListen = ["http://127.0.0.1:0"]
    let configuration = try Configuration.resolve(directory: folder.path, file: path, overrides: overrides)
    #expect(configuration.reactors == 2)
    #expect(configuration.listen == [.unix(path: "/x")])
    #expect(configuration.log.level == .warning)
    #expect(
      configuration.api.listen == [.unix(path: folder.path + "/api.sock"), .tcp(host: "127.0.0.1", port: 0)])
    #expect(configuration.readOnly == ["a"])
  }

  @Test func mistakesInOptionsNameTheOption() throws {
    var overrides = ConfigurationOverrides()
    overrides.reactors = "many"
    let error = #expect(throws: GnomonError.self) {
      try Configuration.resolve(directory: folder.path, file: nil, overrides: overrides)
    }
    #expect(error?.message.hasPrefix("--reactors: ") == true)
  }

  @Test func filesThatCanNotBeReadAreTold() throws {
    let missing = #expect(throws: GnomonError.self) {
      try Configuration.resolve(directory: folder.path, file: folder.path + "/none")
    }
    #expect(missing?.cause?.contains("No such file") == true)
    let isFolder = #expect(throws: GnomonError.self) {
      try Configuration.resolve(directory: folder.path, file: folder.path)
    }
    #expect(isFolder?.code == .system)
    let huge = try write(String(repeating: " ", count: (1 << 20) + 1), to: "huge")
    let tooLarge = #expect(throws: GnomonError.self) {
      try Configuration.resolve(directory: folder.path, file: huge)
    }
    #expect(tooLarge?.cause?.contains("File too large") == true)
  }

  @Test func reactorsHeedTheBoundOfRequests() {
    var configuration = Configuration(directory: "/p")
    #expect(configuration.reactorCount(cores: 1) == 1)
    #expect(configuration.reactorCount(cores: 8) == 8)
    #expect(configuration.reactorCount(cores: 64) == 15)
    configuration.limits.requestsPerReactor = 512
    #expect(configuration.reactorCount(cores: 64) == 16)
    configuration.reactors = 3
    #expect(configuration.reactorCount(cores: 64) == 3)
  }

  @Test(arguments: [
    ("nbd://127.0.0.1:10809", NBDEndpoint.tcp(host: "127.0.0.1", port: 10809)),
    ("nbd://localhost", .tcp(host: "localhost", port: 10809)),
    ("nbd://[::1]", .tcp(host: "::1", port: 10809)),
    ("nbd://[::1]:1/", .tcp(host: "::1", port: 1)), ("nbd+unix:///?socket=/a%3Fb", .unix(path: "/a?b")),
    ("nbd+unix://?socket=rel", .unix(path: "rel")), ("nbd://", nil), ("nbd://h/export", nil),
    ("nbd://:1", nil),
    ("nbd+unix:///export?socket=/a", nil), ("nbd+unix:///", nil), ("nbd+unix:///?socket=", nil),
    ("nbds://h", nil),
    ("nbd://h:x", nil), ("nbd://::1", nil), ("nbd://h:70000", nil), ("h:1", nil),
    ("nbd+unix:///?socket=/a&b=c", nil),
  ])
  func endpointsAreParsed(text: String, expected: NBDEndpoint?) {
    #expect(NBDEndpoint(parsing: text) == expected)
  }

  @Test func endpointsGiveURIs() {
    #expect(NBDEndpoint.tcp(host: "::1", port: 5).uri(export: "a b") == "nbd://[::1]:5/a%20b")
    #expect(NBDEndpoint.tcp(host: "h", port: 5).uri() == "nbd://h:5")
    #expect(NBDEndpoint.unix(path: "/a b").uri(export: "v") == "nbd+unix:///v?socket=/a%20b")
    for text in ["nbd://h:1", "nbd+unix:///?socket=/x"] { #expect(NBDEndpoint(parsing: text)?.uri() == text) }
  }
}
