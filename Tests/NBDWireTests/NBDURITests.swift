import NBDWire
import Primitives
import Testing

@Suite struct NBDURITests {
  static let valid: [(String, NBDURI)] = [
    ("nbd://127.0.0.1", NBDURI(.tcp(host: "127.0.0.1", port: 10809))),
    ("nbd://127.0.0.1:10810/", NBDURI(.tcp(host: "127.0.0.1", port: 10810))),
    ("nbd://example.com/disk", NBDURI(.tcp(host: "example.com", port: 10809), exportName: "disk")),
    ("nbd://example.com:/disk", NBDURI(.tcp(host: "example.com", port: 10809), exportName: "disk")),
    ("nbd://example.com//disk", NBDURI(.tcp(host: "example.com", port: 10809), exportName: "/disk")),
    (
      "nbd://example.com/hello%20world",
      NBDURI(.tcp(host: "example.com", port: 10809), exportName: "hello world")
    ),
    ("nbd://h/%C3%A9%2F", NBDURI(.tcp(host: "h", port: 10809), exportName: "é/")),
    ("nbd://h:0", NBDURI(.tcp(host: "h", port: 0))),
    ("nbd://h:65535", NBDURI(.tcp(host: "h", port: 65535))),
    ("nbd://[::1]", NBDURI(.tcp(host: "::1", port: 10809))),
    ("nbd://[fe80::1%25eth0]:9/x", NBDURI(.tcp(host: "fe80::1%eth0", port: 9), exportName: "x")),
    ("nbd://", NBDURI(.tcp(host: "", port: 10809))),
    ("nbd:///disk", NBDURI(.tcp(host: "", port: 10809), exportName: "disk")),
    ("NBD://h", NBDURI(.tcp(host: "h", port: 10809))),
    ("nbd+unix:///?socket=/run/gnomon.sock", NBDURI(.unix(path: "/run/gnomon.sock"))),
    ("nbd+unix://?socket=nbd.sock", NBDURI(.unix(path: "nbd.sock"))),
    ("nbd+unix:///disk?socket=/tmp/a%20b%3F%26", NBDURI(.unix(path: "/tmp/a b?&"), exportName: "disk")),
    ("nbd+unix:///a?socket=/tmp/x=y", NBDURI(.unix(path: "/tmp/x=y"), exportName: "a")),
    ("nbd+unix:////a/b?socket=s", NBDURI(.unix(path: "s"), exportName: "/a/b")),
  ]

  @Test(arguments: valid)
  func validURIs(text: String, expected: NBDURI) throws {
    #expect(try NBDURI(parsing: text) == expected)
  }

  @Test(arguments: valid)
  func theDescriptionParsesToTheSameValue(text: String, uri: NBDURI) throws {
    #expect(try NBDURI(parsing: uri.description) == uri)
  }

  @Test func descriptions() {
    #expect(NBDURI(.tcp(host: "127.0.0.1", port: 10809)).description == "nbd://127.0.0.1")
    #expect(NBDURI(.tcp(host: "::1", port: 9), exportName: "a b").description == "nbd://[::1]:9/a%20b")
    #expect(
      NBDURI(.unix(path: "/run/x?y.sock"), exportName: "é").description
        == "nbd+unix:///%C3%A9?socket=/run/x%3Fy.sock")
  }

  static let invalid: [(String, NBDURIError)] = [
    ("", .notAnNBDURI("")), ("disk", .notAnNBDURI("disk")), ("nbd:disk", .notAnNBDURI("nbd:disk")),
    ("http://h", .notAnNBDURI("http://h")), ("nbd+vsock://1", .notAnNBDURI("nbd+vsock://1")),
    ("nbds://h", .tlsNotSupported), ("nbds+unix:///?socket=s", .tlsNotSupported),
    ("nbd://h/é", .notASCII), ("nbd://h/a#b", .unexpectedFragment),
    ("nbd+unix://h/?socket=s", .unexpectedHost("h")), ("nbd://me@h/", .unexpectedUser),
    ("nbd://h/?socket=s", .unexpectedSocket), ("nbd+unix:///", .missingSocket),
    ("nbd+unix:///?socket=", .missingSocket), ("nbd+unix:///?socket", .missingSocket),
    ("nbd://h/?sockt=s", .unknownParameter("sockt")),
    ("nbd+unix:///?socket=a&socket=b", .unknownParameter("socket")),
    ("nbd+unix:///?socket=a&tls-type=psk", .unknownParameter("tls-type")),
    ("nbd://[::1", .malformedHost("[::1")), ("nbd://[]", .malformedHost("[]")),
    ("nbd://[::1]x", .malformedHost("[::1]x")),
    ("nbd://h:x", .malformedPort("x")), ("nbd://h:65536", .malformedPort("65536")),
    ("nbd://h:+9", .malformedPort("+9")), ("nbd://::1", .malformedPort(":1")),
    ("nbd://h/%", .malformedEscape("%")), ("nbd://h/%4", .malformedEscape("%4")),
    ("nbd://h/%zz", .malformedEscape("%zz")), ("nbd://h/%00", .malformedEscape("%00")),
    ("nbd://h/%ff", .malformedEscape("%ff")), ("nbd+unix:///?socket=%00x", .malformedEscape("%00x")),
    ("nbd://h/" + String(repeating: "n", count: 4097), .exportNameTooLong),
  ]

  @Test(arguments: invalid)
  func invalidURIs(text: String, expected: NBDURIError) {
    #expect(throws: expected) { try NBDURI(parsing: text) }
    #expect(!expected.description.isEmpty && !expected.description.hasSuffix("."))
  }

  @Test func randomTextNeverTraps() {
    var generator = SeededGenerator(seed: 5)
    let pieces = [
      "nbd", "+unix", "://", "/", "?", "socket=", "%", "41", "[", "]", ":", "1", "@", "&", "=", "#", "é",
    ]
    var parsed = 0
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...8, using: &generator)
      let text = "nbd://" + (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
      guard let uri = try? NBDURI(parsing: text) else { continue }
      parsed += 1
      #expect((try? NBDURI(parsing: uri.description)) == uri, "\(text)")
    }
    #expect(parsed > 100)
  }
}
