import Forecasting
import Measurement
import Platform
import Primitives

/// The heat of a pool's extents as it is kept from one start to the next: `DIR/heat`, a `KeptFile` with
///
///     bytes  content
///         4  when it was kept, in seconds since 1970
///         4  volumes; then of each:
///             16  UUID, two numbers of 8 bytes
///              4  since when all accesses are known, in seconds since 1970
///              4  chunks; then of each its number, 4 bytes, and 256 extents: brief, long, minutes (float),
///                 and when it was accessed last; 4 bytes each (FadingHeat)
struct KeptHeat {
  /// Of one volume.
  struct Volume {
    var sinceSeconds: UInt32
    var heat: VolumeHeat
  }

  /// More than there can have been.
  private static let countMax: Float = 1e12

  var seconds: UInt32 = 0
  var volumes: [UUID128: Volume] = [:]

  static func file(in directory: String) -> KeptFile {
    KeptFile("heat", in: directory, magic: "GNOMONHT", version: 1, what: "record of the extents' heat")
  }

  init(seconds: UInt32 = 0) {
    self.seconds = seconds
  }

  /// Reads what was written; nil if it makes no sense.
  init?(from bytes: inout ByteReader) {
    guard let seconds = bytes.take(UInt32.self), let count = bytes.take(UInt32.self) else { return nil }
    self.seconds = seconds
    for _ in 0..<count {
      guard let high = bytes.take(UInt64.self), let low = bytes.take(UInt64.self),
        let since = bytes.take(UInt32.self), let chunkCount = bytes.take(UInt32.self)
      else { return nil }
      var heat = VolumeHeat()
      for _ in 0..<chunkCount {
        guard let number = bytes.take(UInt32.self), let chunk = Self.chunk(from: &bytes),
          heat.add(chunk, number)
        else { return nil }
      }
      volumes[UUID128(high: high, low: low)] = Volume(sinceSeconds: since, heat: heat)
    }
  }

  private static func chunk(from bytes: inout ByteReader) -> [FadingHeat]? {
    var chunk: [FadingHeat] = []
    for _ in 0..<VolumeHeat.extentsPerChunk {
      guard let brief = bytes.take(UInt32.self), let long = bytes.take(UInt32.self),
        let minutes = bytes.take(UInt32.self), let last = bytes.take(UInt32.self)
      else { return nil }
      let counts = [brief, long, minutes].map { Float(bitPattern: $0) }
      guard counts.allSatisfy({ (0...Self.countMax).contains($0) }) else { return nil }
      chunk.append(FadingHeat(brief: counts[0], long: counts[1], minutes: counts[2], lastSeconds: last))
    }
    return chunk
  }

  func write(to bytes: inout ByteWriter) {
    bytes.append(seconds)
    bytes.append(UInt32(volumes.count))
    for (uuid, volume) in volumes {
      bytes.append(uuid.high)
      bytes.append(uuid.low)
      bytes.append(volume.sinceSeconds)
      bytes.append(UInt32(volume.heat.chunkCount))
      volume.heat.forEachChunk { number, chunk in
        bytes.append(number)
        for heat in chunk {
          bytes.append(heat.brief.bitPattern)
          bytes.append(heat.long.bitPattern)
          bytes.append(heat.minutes.bitPattern)
          bytes.append(heat.lastSeconds)
        }
      }
    }
  }
}
