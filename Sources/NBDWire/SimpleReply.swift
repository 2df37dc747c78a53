/// The head of a reply as a client gets it, if nothing but simple replies was agreed on (proto.md "Simple
/// reply message"). The data of a READ that succeeded follows it.
///
/// ```
/// magic u32 │ error u32 │ cookie u64
/// ```
@frozen
public struct SimpleReply: Hashable, Sendable {
  /// 0, or an error number as it travels, known or not.
  public var error: UInt32
  /// The name of the request, if the server is honest.
  public var cookie: UInt64

  /// Bytes of a head.
  @inlinable public static var size: Int { 16 }

  /// Decodes `size` bytes; nil if the magic number is wrong: the stream is out of step, disconnect.
  @inlinable
  public static func decode(_ bytes: UnsafeRawPointer) -> SimpleReply? {
    guard unsafe UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)) == 0x6744_6698 else { return nil }
    return unsafe SimpleReply(
      error: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
      cookie: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }

  @inlinable
  init(error: UInt32, cookie: UInt64) {
    self.error = error
    self.cookie = cookie
  }
}

/// Names for the requests of one connection, by which their replies find them again.
///
/// A name is used once: a server that answers twice, or what was never asked, is found out.
///
/// ```
///  63 … 32      31 … 0
/// ┌───────────┬────────┐
/// │ use count │ number │
/// └───────────┴────────┘
/// ```
public struct RequestCookies: ~Copyable {
  /// For each number how often it was used, and in the lowest bit whether a reply is owed.
  private var uses: [UInt64] = []

  /// No request has been named.
  public init() {}

  /// Names a request that is about to be sent; its number is the caller's, and has no reply owed.
  public mutating func issue(_ number: UInt32) -> UInt64 {
    while uses.count <= Int(number) { uses.append(0) }
    let use = uses[Int(number)]
    precondition(use & 1 == 0, "a request is sent twice")
    uses[Int(number)] = use | 1
    return (use >> 1) << 32 | UInt64(number)
  }

  /// The number of the request that a reply is for; nil if no such request waits for one.
  public mutating func redeem(_ cookie: UInt64) -> UInt32? {
    let number = UInt32(truncatingIfNeeded: cookie)
    guard number < uses.count else { return nil }
    let use = uses[Int(number)]
    guard use & 1 == 1, (use >> 1) & 0xffff_ffff == cookie >> 32 else { return nil }
    uses[Int(number)] = use &+ 1
    return number
  }

  /// A request will get no reply: the connection is gone. Its name is never used again.
  public mutating func withdraw(_ number: UInt32) {
    guard number < uses.count, uses[Int(number)] & 1 == 1 else { return }
    uses[Int(number)] &+= 1
  }
}
