/// Where in a volume requests were served, over time: the answer to `GET /v1/volumes/{name}/heatmap`.
public struct HeatMapInfo: Codable, Sendable, Equatable {
  /// Reads and writes of one step.
  public struct Row: Codable, Sendable, Equatable {
    /// When it began: seconds since 1970.
    public var time: UInt64
    /// Of each bucket, by address; those at the end are left out if they have none.
    public var counts: [UInt32]

    /// Takes both as they are.
    public init(time: UInt64, counts: [UInt32]) {
      self.time = time
      self.counts = counts
    }
  }

  /// The volume.
  public var volume: String
  /// Its size.
  public var sizeBytes: UInt64
  /// Bytes of the address space that are counted together.
  public var bucketBytes: UInt64
  /// The length of a step: 60 or 3600 seconds.
  public var stepSeconds: UInt64
  /// All steps, oldest first; the last one has not ended.
  public var rows: [Row]

  /// As far back as can be asked for: two days.
  public static let spanSecondsMax: UInt64 = 48 * 3600

  /// Takes all as they are.
  public init(
    volume: String, sizeBytes: UInt64, bucketBytes: UInt64, stepSeconds: UInt64, rows: [Row]
  ) {
    self.volume = volume
    self.sizeBytes = sizeBytes
    self.bucketBytes = bucketBytes
    self.stepSeconds = stepSeconds
    self.rows = rows
  }

  /// Buckets that cover the volume.
  public var bucketCount: Int { Int((sizeBytes + bucketBytes - 1) / max(1, bucketBytes)) }
}
