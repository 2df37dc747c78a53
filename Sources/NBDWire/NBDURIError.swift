/// What is wrong with a text that should have been an NBD URI.
public enum NBDURIError: Error, Hashable, Sendable {
  case notAnNBDURI(String)
  case notASCII
  case tlsNotSupported
  case unexpectedFragment
  case unexpectedHost(String)
  case unexpectedUser
  case unexpectedSocket
  case missingSocket
  case unknownParameter(String)
  case malformedHost(String)
  case malformedPort(String)
  case malformedEscape(String)
  case exportNameTooLong
}

extension NBDURIError: CustomStringConvertible {
  /// One sentence without a full stop.
  public var description: String {
    switch self {
    case .notAnNBDURI(let text):
      "\"\(text)\" is not an NBD URI such as nbd://127.0.0.1:10809 or nbd+unix:///?socket=PATH"
    case .notASCII: "an NBD URI is ASCII: write other characters in percent-encoded UTF-8"
    case .tlsNotSupported: "TLS is not supported yet: use nbd:// or nbd+unix://"
    case .unexpectedFragment: "an NBD URI has no fragment: write # as %23"
    case .unexpectedHost(let host): "nbd+unix:// takes no host, but \"\(host)\" was given: write nbd+unix:///"
    case .unexpectedUser: "a user name belongs to TLS, which is not supported yet"
    case .unexpectedSocket: "the parameter \"socket\" belongs to nbd+unix://"
    case .missingSocket: "nbd+unix:// needs the parameter \"socket\", as in nbd+unix:///?socket=PATH"
    case .unknownParameter(let name): "unknown or repeated parameter \"\(name)\""
    case .malformedHost(let host): "malformed host \"\(host)\""
    case .malformedPort(let port): "\"\(port)\" is not a port from 0 to 65535"
    case .malformedEscape(let text): "\"\(text)\" is not valid percent-encoded UTF-8 without NUL"
    case .exportNameTooLong: "the export name is longer than \(NBDLimits.stringBytesMax) bytes"
    }
  }
}
