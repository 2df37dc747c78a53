public import Primitives

/// The body of every answer that reports a failure: `{"error":{"code":…,"message":…}}`.
public struct ErrorBody: Codable, Sendable, Equatable {
  /// What went wrong.
  public var error: ErrorInfo

  /// Wraps the error.
  public init(_ error: GnomonError) {
    self.error = ErrorInfo(error)
  }
}

/// A `GnomonError` on the wire.
public struct ErrorInfo: Codable, Sendable, Equatable {
  /// What kind of failure it is.
  public var code: GnomonError.Code
  /// What went wrong, one sentence without a full stop.
  public var message: String
  /// Why, where it is known.
  public var cause: String?
  /// What the reader can do about it, where something can be done.
  public var remedy: String?

  /// Takes the error apart.
  public init(_ error: GnomonError) {
    code = error.code
    message = error.message
    cause = error.cause
    remedy = error.remedy
  }

  /// The error as the caller of a client throws it.
  public var gnomonError: GnomonError {
    GnomonError(code, message, cause: cause, remedy: remedy)
  }
}
