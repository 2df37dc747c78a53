/// The error numbers of the wire (proto.md "Error values"). They are not the system's, even where they agree.
@frozen
public enum NBDErrno: UInt32, Error, Hashable, Sendable, CaseIterable {
  /// EPERM: a write to a read-only export.
  case notPermitted = 1
  /// EIO: the storage failed.
  case io = 5
  /// ENOMEM: SHOULD NOT be sent if at all possible.
  case noMemory = 12
  /// EINVAL: the request is wrong.
  case invalid = 22
  /// ENOSPC: no room, or a write past the end.
  case noSpace = 28
  /// EOVERFLOW: only for a READ with DF that is too long to be sent in one piece.
  case overflow = 75
  /// ENOTSUP: only for a WRITE_ZEROES with FAST_ZERO that would not be fast.
  case notSupported = 95
  /// ESHUTDOWN: the server is about to end.
  case shutdown = 108
}

extension NBDErrno {
  /// Linux's number for an error as it came from a server, positive. What is not known, or is the fault of
  /// the request, is EIO.
  public static func systemNumber(of wire: UInt32) -> Int32 {
    switch NBDErrno(rawValue: wire) {
    case .noMemory: 12
    case .noSpace: 28
    case .notSupported: 95
    case .shutdown: 108
    default: 5
    }
  }
}
