public import Primitives

/// The body of every answer that reports a failure: `{"error":{"code":…,"message":…}}`.
public struct ErrorBody: Codable, Sendable, Equatable {
  public var error: ErrorInfo

  public init(_ error: GnomonError) {
    self.error = ErrorInfo(error)
  }
}

/// A `GnomonError` on the wire.
public struct ErrorInfo: Codable, Sendable, Equatable {
  public var code: GnomonError.Code
  public var message: String
  public var cause: String?
  public var remedy: String?

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
