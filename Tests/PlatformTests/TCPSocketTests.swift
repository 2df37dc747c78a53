import Platform
import Testing

@Suite struct TCPSocketTests {
  @Test(arguments: ["127.0.0.1", "127.0.0.2", "0.0.0.0"])
  func theAddressThatWasTakenIsTold(host: String) throws {
    let address = TCPSocket.address(of: try TCPSocket.listen(host: host, port: 0))
    #expect(address.host == host && address.port > 0)
  }

  @Test func theAddressMayBeOfIPv6() throws {
    // Not every machine has it.
    guard let socket = try? TCPSocket.listen(host: "::1", port: 0) else { return }
    let address = TCPSocket.address(of: socket)
    #expect(address.host == "::1" && address.port > 0)
  }
}
