import Daemon
import HTTPService
import NBDWire
import Primitives

/// Everything that a text can name: NBD URIs, places to listen at, sizes, escaped names.
///
/// Property: what was understood is written such that it is understood again as the same.
enum AddressTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    let text = String(decoding: input, as: UTF8.self)
    if let uri = try? NBDURI(parsing: text) {
      try require(uri.exportName.utf8.count <= NBDLimits.stringBytesMax, "a name that is too long")
      try require(!uri.exportName.utf8.contains(0), "a name with a zero byte")
      try require((try? NBDURI(parsing: uri.description)) == uri, "\(uri) does not come back")
    }
    if let endpoint = NBDEndpoint(parsing: text) {
      try require(NBDEndpoint(parsing: endpoint.description) == endpoint, "\(endpoint) does not come back")
    }
    if let endpoint = HTTPEndpoint(parsing: text) {
      try require(HTTPEndpoint(parsing: endpoint.description) == endpoint, "\(endpoint) does not come back")
    }
    if let size = ByteSize(parsing: text) {
      try require(size.rawValue <= UInt64(Int64.max), "a size of more than 63 bits")
      try require(ByteSize(parsing: "\(size.rawValue)") == size, "\(size.rawValue) does not come back")
    }
    if let id = UUID128(text) {
      try require(UUID128(id.description) == id, "\(id) does not come back")
    }
    if let name = PercentCoding.decode(input) {
      try require(!name.utf8.contains(0), "an escaped zero byte")
      let again = PercentCoding.decode(Array(PercentCoding.encode(name).utf8))
      try require(again.map { Array($0.utf8) } == Array(name.utf8), "an escaped name does not come back")
    }
  }
}
