import HTTPService

/// What the command line reads from whatever listens at the daemon's socket. The first byte chooses pieces.
///
/// Properties: the result does not depend on how the response is cut; the body is no longer than what came.
enum ResponseTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    let stream = Array(input.dropFirst())
    let whole = read(stream) { stream.count }
    var cuts = Cuts(seed: input.first ?? 0)
    let cut = read(stream) { cuts.next() }
    try require(whole == cut, "the result depends on how the response is cut: \(whole) and \(cut)")
    if case .response(_, let body) = whole {
      try require(body.count <= stream.count, "a body out of nothing")
    }
  }

  private enum Result: Equatable {
    case response(status: Int, body: [UInt8])
    case problem(ResponseReader.Problem)
  }

  private static func read(_ stream: [UInt8], pieces: () -> Int) -> Result {
    var reader = ResponseReader()
    do throws(ResponseReader.Problem) {
      var position = 0
      while position < stream.count, !reader.isComplete {
        let end = min(stream.count, position + pieces())
        try reader.feed(stream[position..<end])
        position = end
      }
      if !reader.isComplete { try reader.finish() }
      return .response(status: reader.status, body: reader.body)
    } catch {
      return .problem(error)
    }
  }
}
