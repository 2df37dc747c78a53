import NBDWire
import Redirection

/// BLOCK_STATUS, answered from the extent map without I/O.
extension Reactor {
  func answerStatus(_ index: UInt32, _ header: RequestHeader, _ request: Request) -> Bool {
    let connection = unsafe connections + Int(index)
    let (contexts, volume) = unsafe (connection.pointee.cold!.contexts, connection.pointee.cold!.volume!)
    let size = BlockStatus.bytesPerContext * contexts.count
    guard let operation = redirector.makeAnswer(request, error: nil, bufferBytes: size) else { return false }
    let op = unsafe redirector.operation(operation)
    let status = BlockStatus(
      of: request.view, stores: environment.shared.stores, heat: volume.heatScores)
    unsafe op.pointee.length = UInt64(
      status.encode(header, contexts, connection.pointee.format, into: op.pointee.buffer!))
    reply(index, operation)
    return true
  }
}
