/// An error as a person meets it: what went wrong, why, and what to do about it.
///
/// Inner layers throw small typed errors; this one is made at the edges (CLI, API, start-up), where
/// somebody reads it.
public struct GnomonError: Error, Equatable, Sendable {
  /// What kind of failure it is; decides the exit status and the HTTP status.
  public enum Code: String, Sendable, Codable, CaseIterable {
    /// The request itself is wrong: syntax, range, unknown name of an option.
    case invalid
    /// The named thing does not exist.
    case notFound = "not-found"
    /// The thing exists already, or is in use in a way that forbids the request.
    case conflict
    /// No room is left.
    case full
    /// Stored data or metadata is not what it must be.
    case corrupt
    /// A system call or the environment failed.
    case system
    /// No daemon answers.
    case unavailable
  }

  /// What kind of failure it is.
  public var code: Code
  /// What went wrong, one sentence without a full stop.
  public var message: String
  /// Why, where it is known: the system's own words, the value that was found.
  public var cause: String?
  /// What the reader can do about it.
  public var remedy: String?

  /// An error; `cause` and `remedy` may be missing, `message` not.
  public init(_ code: Code, _ message: String, cause: String? = nil, remedy: String? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
    self.remedy = remedy
  }
}

extension GnomonError: CustomStringConvertible {
  /// All three in one line: `message: cause (remedy)`.
  public var description: String {
    var text = message
    if let cause { text += ": " + cause }
    if let remedy { text += " (" + remedy + ")" }
    return text
  }
}
