/// What somebody has said will be read, and when.
public struct HintInfo: Codable, Sendable, Equatable {
  /// Its number: another one for each.
  public var number: Int
  /// The volume.
  public var volume: String
  /// The first byte.
  public var offset: UInt64
  /// Bytes.
  public var length: UInt64
  /// When it begins, in seconds since 1970.
  public var startSeconds: Int64
  /// When it expires.
  public var endSeconds: Int64

  /// Takes all as they are.
  public init(
    number: Int, volume: String, offset: UInt64, length: UInt64, startSeconds: Int64, endSeconds: Int64
  ) {
    self.number = number
    self.volume = volume
    self.offset = offset
    self.length = length
    self.startSeconds = startSeconds
    self.endSeconds = endSeconds
  }
}

/// The answer to `GET /v1/hints`.
public struct HintList: Codable, Sendable, Equatable {
  /// Those that have not expired, oldest first.
  public var hints: [HintInfo]

  /// Takes the list as it is.
  public init(hints: [HintInfo]) {
    self.hints = hints
  }
}

/// The body of `POST /v1/hints`.
public struct HintRequest: Codable, Sendable, Equatable {
  /// The volume.
  public var volume: String
  /// The first byte that will be read.
  public var offset: UInt64
  /// Bytes.
  public var length: UInt64
  /// When it begins, in seconds since 1970; nil: now.
  public var startSeconds: Int64?
  /// For how long it holds.
  public var seconds: Int64

  /// How long a hint holds that does not say.
  public static let secondsStandard: Int64 = 600

  /// Takes all as they are.
  public init(
    volume: String, offset: UInt64, length: UInt64, startSeconds: Int64? = nil,
    seconds: Int64 = secondsStandard
  ) {
    self.volume = volume
    self.offset = offset
    self.length = length
    self.startSeconds = startSeconds
    self.seconds = seconds
  }
}
