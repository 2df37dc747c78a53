public import Glibc

/// A failed system call: its name, what it worked on, and errno.
public struct SystemError: Error, Equatable, Sendable {
  /// Name of the system call.
  public let call: String
  /// What it worked on, often a path; may be empty.
  public let subject: String
  /// Why it failed, positive.
  public let errno: Int32

  /// A failure of `call`, by default the last one of this thread.
  public init(_ call: String, _ subject: String = "", errno: Int32 = Glibc.errno) {
    self.call = call
    self.subject = subject
    self.errno = errno
  }

  /// The system's words for an errno, for example `No such file or directory`.
  public static func text(of errno: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    _ = unsafe strerror_r(errno, &buffer, buffer.count)
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

extension SystemError: CustomStringConvertible {
  /// `call subject: the system's words`.
  public var description: String {
    let what = subject.isEmpty ? call : "\(call) \(subject)"
    return "\(what): \(Self.text(of: errno))"
  }
}

/// Runs a system call until it is not interrupted; a negative result becomes an error.
@discardableResult
func retrying(
  _ call: String, _ subject: @autoclosure () -> String = "", _ body: () -> Int
) throws(SystemError) -> Int {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = Glibc.errno
    if code != EINTR { throw SystemError(call, subject(), errno: code) }
  }
}
