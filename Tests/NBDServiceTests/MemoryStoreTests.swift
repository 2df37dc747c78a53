import Primitives
import Stores
import TestSupport
import Testing

@testable import NBDService

/// A reactor whose store is memory: the same requests, carried out by copying.
@Suite struct MemoryStoreTests {
  private static let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }

  private func memory() throws -> MemoryStore {
    try MemoryStore(
      StoreRecord(
        id: StoreID(rawValue: 0), uuid: UUID128(high: 1, low: 2), name: "ram", kind: .memory, path: "memory:",
        sizeBytes: 16 << 20, tier: 0))
  }

  @Test func whatIsWrittenLiesInMemory() async throws {
    try await onThread {
      let memory = try memory()
      let service = try Service(over: memory)
      let client = try service.connect()
      try client.attach()
      try client.send(
        Client.request(Client.write, cookie: 1, offset: 1000, length: UInt32(Self.bytes.count)) + Self.bytes)
      #expect(try client.reply().error == 0)
      // In extents of 256 KiB: more pieces, and more bytes, than one turn copies.
      try client.send(Client.request(Client.read, cookie: 2, offset: 0, length: 4 << 20))
      let answer = try client.reply(bytes: 4 << 20)
      let expected = [UInt8](repeating: 0, count: 1000) + Self.bytes
      #expect(answer.error == 0 && answer.data[..<expected.count].elementsEqual(expected))
      #expect(answer.data[expected.count...].allSatisfy { $0 == 0 })
      try client.send(Client.request(Client.flush, cookie: 3))
      #expect(try client.reply().error == 0)
      var content = [UInt8](repeating: 0, count: 16 << 20)
      unsafe content.withUnsafeMutableBytes { unsafe memory.read(into: $0, at: 0) }
      #expect(content.firstRange(of: Self.bytes[..<64]) != nil, "it is nowhere in the store")
    }
  }

  @Test func manyRequestsAtOnceAreAllAnswered() async throws {
    try await onThread {
      let service = try Service(over: try memory())
      let client = try service.connect()
      try client.attach()
      for turn in 0..<4 as Range<UInt64> {
        for cookie in 0..<64 as Range<UInt64> {
          let byte = UInt8(turn * 64 + cookie)
          try client.send(
            Client.request(Client.write, cookie: cookie, offset: cookie << 16, length: 65536)
              + [UInt8](repeating: byte, count: 65536))
        }
        for _ in 0..<64 { #expect(try client.reply().error == 0) }
        for cookie in 0..<64 as Range<UInt64> {
          try client.send(Client.request(Client.read, cookie: cookie, offset: cookie << 16, length: 65536))
        }
        for _ in 0..<64 {
          let answer = try client.reply(bytes: 65536)
          let byte = UInt8(turn * 64 + answer.cookie)
          #expect(answer.data.allSatisfy { $0 == byte })
        }
      }
    }
  }
}
