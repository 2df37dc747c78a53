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
///              4  chunks; then of each its number, 4 bytes, and 256 extents of 32 bytes (ExtentHeat):
///                  4  accesses that fade fast (float)
///                  4  accesses that fade slowly (float)
///                  4  when the last one was, in seconds since 1970
///                  2  minutes with accesses, which fade, in 64ths
///                  2  accesses in the hour of the last one
///                 12  hours of use of the last days (DailyRhythm.uses)
///                  2  days of use
///                  1  accesses of an hour of use (Scale.level)
///                  1  minutes with accesses in the hour of the last one
///
/// In version 1 an extent had 16 bytes: accesses that fade fast, accesses that fade slowly, minutes (float),
/// and when the last access was.
struct KeptHeat {
  /// Of one volume.
  struct Volume {
    var sinceSeconds: UInt32
    var heat: VolumeHeat
  }

  /// The layout that is written.
  static let version: UInt32 = 2
  /// More than there can have been.
  private static let countMax: Float = 1e12

  var seconds: UInt32 = 0
  var volumes: [UUID128: Volume] = [:]

  static func file(in directory: String) -> KeptFile {
    KeptFile(
      "heat", in: directory, magic: "GNOMONHT", version: version, oldestVersion: 1,
      what: "record of the extents' heat")
  }

  init(seconds: UInt32 = 0) {
    self.seconds = seconds
  }

  /// Reads what was written in the layout of a version; nil if it makes no sense.
  init?(from bytes: inout ByteReader, version: UInt32 = version) {
    guard let seconds = bytes.take(UInt32.self), let count = bytes.take(UInt32.self) else { return nil }
    self.seconds = seconds
    let extent = version == 1 ? Self.extentOfVersion1 : Self.extent
    for _ in 0..<count {
      guard let high = bytes.take(UInt64.self), let low = bytes.take(UInt64.self),
        let since = bytes.take(UInt32.self), let chunkCount = bytes.take(UInt32.self)
      else { return nil }
      var heat = VolumeHeat()
      for _ in 0..<chunkCount {
        guard let number = bytes.take(UInt32.self), let chunk = Self.chunk(from: &bytes, extent),
          heat.add(chunk, number)
        else { return nil }
      }
      volumes[UUID128(high: high, low: low)] = Volume(sinceSeconds: since, heat: heat)
    }
  }

  private static func chunk(
    from bytes: inout ByteReader, _ extent: (inout ByteReader) -> ExtentHeat?
  ) -> [ExtentHeat]? {
    var chunk: [ExtentHeat] = []
    for _ in 0..<VolumeHeat.extentsPerChunk {
      guard let heat = extent(&bytes) else { return nil }
      chunk.append(heat)
    }
    return chunk
  }

  private static func extentOfVersion1(from bytes: inout ByteReader) -> ExtentHeat? {
    guard let brief = count(from: &bytes), let long = count(from: &bytes), let minutes = count(from: &bytes),
      let last = bytes.take(UInt32.self)
    else { return nil }
    return ExtentHeat(FadingHeat(brief: brief, long: long, minutes: minutes, lastSeconds: last))
  }

  private static func extent(from bytes: inout ByteReader) -> ExtentHeat? {
    guard let brief = count(from: &bytes), let long = count(from: &bytes),
      let last = bytes.take(UInt32.self), let minutes = bytes.take(UInt16.self),
      let accesses = bytes.take(UInt16.self), let low = bytes.take(UInt64.self),
      let high = bytes.take(UInt32.self), let days = bytes.take(UInt16.self),
      let level = bytes.take(UInt8.self), let minutesInHour = bytes.take(UInt8.self)
    else { return nil }
    return ExtentHeat(
      FadingHeat(brief: brief, long: long, minutes: Float(minutes) / 64, lastSeconds: last),
      accessesInHour: accesses,
      rhythm: DailyRhythm(uses: UInt128(high) << 64 | UInt128(low), days: days, level: level),
      minutesInHour: minutesInHour)
  }

  private static func count(from bytes: inout ByteReader) -> Float? {
    bytes.take(UInt32.self).map(Float.init(bitPattern:)).flatMap { (0...countMax).contains($0) ? $0 : nil }
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
        for heat in chunk { Self.write(heat, to: &bytes) }
      }
    }
  }

  private static func write(_ heat: ExtentHeat, to bytes: inout ByteWriter) {
    bytes.append(heat.fading.brief.bitPattern)
    bytes.append(heat.fading.long.bitPattern)
    bytes.append(heat.lastSeconds)
    bytes.append(UInt16(heat.fading.minutes * 64))
    bytes.append(heat.accessesInHour)
    bytes.append(UInt64(truncatingIfNeeded: heat.rhythm.uses))
    bytes.append(UInt32(truncatingIfNeeded: heat.rhythm.uses >> 64))
    bytes.append(heat.rhythm.days)
    bytes.append(heat.rhythm.level)
    bytes.append(heat.minutesInHour)
  }
}
