/// A request as the API sees it: complete, its body bounded.
struct HTTPRequest: Sendable, Equatable {
  var method: String
  /// Still percent-encoded, without the query.
  var path: String
  /// The parameters after it that some route knows, still percent-encoded.
  var query: [String: String] = [:]
  /// There are others, or one is there twice or without a value.
  var hasOtherQuery = false
  var contentType: String?
  var body: [UInt8] = []
}

/// An answer of the API.
struct HTTPResponse: Sendable, Equatable {
  var status: UInt32
  /// Beyond those that every answer has.
  var headers: [String: String] = [:]
  /// JSON, or nothing.
  var body: [UInt8] = []
}
