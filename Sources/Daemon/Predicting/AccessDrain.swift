import Measurement

/// Takes what the reactors' clients were after, in the order in which it came.
struct AccessDrain {
  private let rings: [AccessRing]
  private var records: [AccessRecord] = []
  /// Records of each ring that one call takes.
  private static let recordsPerRing = 4096

  init(_ rings: [AccessRing]) {
    self.rings = rings
  }

  /// Bytes of the rings.
  var bytes: Int { rings.reduce(0) { $0 + $1.bytes } }

  /// The next records, oldest first.
  mutating func take() -> [AccessRecord] {
    records.removeAll(keepingCapacity: true)
    for ring in rings { ring.take(Self.recordsPerRing, into: &records) }
    if rings.count > 1 { records.sort { $0.microseconds < $1.microseconds } }
    return records
  }
}
