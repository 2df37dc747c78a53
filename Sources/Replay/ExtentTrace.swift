import Forecasting
public import Primitives

/// A trace cut into the extents that its requests touch.
public struct ExtentTrace: Sendable {
  /// One extent of one request.
  struct Touch: Sendable {
    /// The extent by the order of first touch, from 0: policies keep arrays by it.
    var number: Int
    var access: ExtentAccess
    /// Whether it is the last of its request.
    var isLast: Bool
  }

  let trace: Trace
  let extentBytes: UInt32
  let touches: [Touch]
  /// The volume's extent for each number.
  let extents: [UInt32]
  /// The reverse.
  let numbers: [UInt32: Int]
  /// Extents up to the end of the last one touched.
  let extentCount: UInt32

  /// Different extents that are touched.
  public var footprint: Int { extents.count }

  /// - Throws: `invalid` if the extents are too many to be numbered.
  public init(_ trace: Trace, extentBytes: UInt32) throws(GnomonError) {
    var touches: [Touch] = []
    var extents: [UInt32] = []
    var numbers: [UInt32: Int] = [:]
    let size = UInt64(extentBytes)
    for request in trace.requests {
      let end = request.offset + UInt64(request.length)
      let first = request.offset / size
      let last = (end - 1) / size
      guard last < UInt64(UInt32.max) else {
        throw GnomonError(.invalid, "\(trace.name): extents of \(extentBytes) bytes are too small")
      }
      for index in first...last {
        let extent = UInt32(index)
        let number = numbers[extent] ?? extents.count
        if number == extents.count {
          numbers[extent] = number
          extents.append(extent)
        }
        let access = ExtentAccess(
          extent: extent, start: UInt32(max(request.offset, index * size) - index * size),
          end: UInt32(min(end, (index + 1) * size) - index * size), requestBytes: request.length,
          extentCount: UInt32(last - first + 1), isWrite: request.isWrite,
          microseconds: request.microseconds)
        touches.append(Touch(number: number, access: access, isLast: index == last))
      }
    }
    self.trace = trace
    self.extentBytes = extentBytes
    self.touches = touches
    self.extents = extents
    self.numbers = numbers
    extentCount = (extents.max() ?? 0) + 1
  }
}
