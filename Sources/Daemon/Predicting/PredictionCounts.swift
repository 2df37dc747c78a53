import Measurement

/// What prediction has seen and done since the daemon started.
struct PredictionCounts: Sendable {
  /// Reads that touched extents of the slow tier.
  var slowReads: UInt64 = 0
  /// Shadows that were decided upon, made, failed, and withdrawn before they were made.
  var decided: UInt64 = 0
  var made: UInt64 = 0
  var failed: UInt64 = 0
  var withdrawn: UInt64 = 0
  /// Shadows that were worth making, and for which there was no room, or another reason.
  var refused: UInt64 = 0
  /// Shadows that were read after they were made, and those that were given up without.
  var used: UInt64 = 0
  var neverUsed: UInt64 = 0
  /// Shadows that were given up.
  var dropped: UInt64 = 0
  /// Shadows that the volume needs by now: they stay.
  var released: UInt64 = 0
  /// Shadows that were found when the daemon started.
  var adopted: UInt64 = 0
  /// Bytes that were copied.
  var copiedBytes: UInt64 = 0
  /// From the request that led to a shadow until it could be read.
  var latency = LatencyHistogram()
}

/// What is known of prediction now.
struct PredictionState: Sendable {
  var counts = PredictionCounts()
  /// The fast tier; nil if all stores are of one tier.
  var fastTier: Int?
  /// What shadows may take on it, and take.
  var allowedBytes: UInt64 = 0
  var ownBytes: UInt64 = 0
  var shadows = 0
  /// Volumes that are predicted, and those for which there is no memory.
  var volumes = 0
  var volumesWithout = 0
  /// Bytes of memory of all of it.
  var memoryBytes: UInt64 = 0
  /// Processor time of the thread that predicts.
  var processorNanoseconds: UInt64 = 0
  /// Why shadows are refused at the moment; nil if they are not.
  var complaint: String?
}
