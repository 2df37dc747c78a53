import NBDWire

/// Linux error numbers that the I/O path tells apart, and what the client is told.
enum StoreErrno {
  static let io: Int32 = 5
  static let noMemory: Int32 = 12
  static let fileTooBig: Int32 = 27
  static let noSpace: Int32 = 28
  static let notSupported: Int32 = 95
  static let quota: Int32 = 122
  static let notConnected: Int32 = 107
  static let shutDown: Int32 = 108
  static let timedOut: Int32 = 110

  /// Whether a result says that a store was not heard of, rather than that it has failed.
  static func isSilence(_ result: Int32) -> Bool {
    result == -notConnected || result == -shutDown || result == -timedOut
  }

  /// Whether another store may have room where this one has none.
  static func isFull(_ errno: Int32) -> Bool {
    errno == noSpace || errno == quota || errno == fileTooBig
  }

  /// The one table from errno to NBD's errors.
  static func wire(_ errno: Int32) -> NBDErrno {
    switch errno {
    case noSpace, quota, fileTooBig: .noSpace
    case noMemory: .noMemory
    default: .io
    }
  }
}
