import CURing

/// A gather or scatter list for one socket operation, in memory that stays put while the kernel uses it.
///
/// A handle: the connection that allocates it also deallocates it.
@safe
public struct Message: @unchecked Sendable {
  let header: UnsafeMutablePointer<msghdr>
  private let vectors: UnsafeMutablePointer<iovec>
  /// Pieces that it can hold.
  public let capacity: Int

  /// An empty list with room for `capacity` pieces.
  public init(capacity: Int) {
    self.capacity = capacity
    unsafe header = .allocate(capacity: 1)
    unsafe vectors = .allocate(capacity: capacity)
    unsafe header.initialize(to: msghdr())
    unsafe vectors.initialize(repeating: iovec(), count: capacity)
    unsafe header.pointee.msg_iov = vectors
  }

  /// Frees the list's own memory; the kernel must be done with it.
  public func deallocate() {
    unsafe header.deallocate()
    unsafe vectors.deallocate()
  }

  /// Pieces left to transfer.
  public var count: Int { unsafe Int(header.pointee.msg_iovlen) }

  /// Whether a piece that adjoins no other would find no room.
  public var isFull: Bool {
    let used = unsafe (header.pointee.msg_iov - vectors) + count
    return used >= capacity
  }

  /// Empties the list, for another use.
  public func removeAll() {
    unsafe header.pointee.msg_iov = vectors
    unsafe header.pointee.msg_iovlen = 0
  }

  /// Adds a piece; joins it to the last one where they are adjacent.
  public func append(_ base: UnsafeMutableRawPointer, _ bytes: Int) {
    let count = count
    if count > 0 {
      let last = unsafe header.pointee.msg_iov + (count - 1)
      if unsafe last.pointee.iov_base + last.pointee.iov_len == base {
        unsafe last.pointee.iov_len += bytes
        return
      }
    }
    precondition(!isFull)
    unsafe header.pointee.msg_iov[count] = iovec(iov_base: base, iov_len: bytes)
    unsafe header.pointee.msg_iovlen += 1
  }

  /// Takes `bytes` off the front: they have been transferred.
  public func advance(by bytes: Int) {
    var rest = bytes
    while rest > 0 {
      let first = unsafe header.pointee.msg_iov!
      if unsafe first.pointee.iov_len > rest {
        unsafe first.pointee.iov_base += rest
        unsafe first.pointee.iov_len -= rest
        return
      }
      unsafe rest -= first.pointee.iov_len
      unsafe header.pointee.msg_iov = first + 1
      unsafe header.pointee.msg_iovlen -= 1
    }
  }
}
