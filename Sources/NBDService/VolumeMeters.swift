public import Measurement
public import Primitives
import Redirection
import Synchronization

/// The meters of one reactor: one for each volume that a client of this reactor has had open.
///
/// Only the reactor's thread counts. Whoever watches the load reads, from any thread, and is kept apart from
/// a meter's end by a lock that no request takes.
public final class VolumeMeters: Sendable {
  private struct Entry {
    let meter: VolumeMeter
    /// Connections that count with it.
    var users = 0
  }

  private let entries = Mutex<[VolumeID: Entry]>([:])

  init() {}

  deinit {
    entries.withLock { entries in
      for entry in entries.values { entry.meter.deallocate() }
    }
  }

  /// The meter for a connection that opens a volume; it stays until `leave`.
  func enter(_ volume: Volume) -> VolumeMeter {
    entries.withLock { entries in
      var entry = entries[volume.id] ?? Entry(meter: .allocate(volumeBytes: volume.sizeBytes))
      entry.users += 1
      entries[volume.id] = entry
      return entry.meter
    }
  }

  /// The connection is closed.
  func leave(_ volume: Volume) {
    entries.withLock { $0[volume.id]?.users -= 1 }
  }

  /// Forgets a volume that is gone; one that a client has open stays.
  public func forget(_ volume: VolumeID) {
    entries.withLock { entries in
      guard let entry = entries[volume], entry.users == 0 else { return }
      entries[volume] = nil
      entry.meter.deallocate()
    }
  }

  /// Requests of a volume's clients that have ended so far; nil if it was never opened here. Any thread.
  public func ended(of volume: VolumeID) -> UInt64? {
    entries.withLock { entries in
      guard let entry = entries[volume] else { return nil }
      return entry.meter.ended
    }
  }

  /// Adds what a volume's clients have asked of this reactor so far. Any thread.
  ///
  /// - Parameter bucketShift: log2 of the bytes of a bucket from now on.
  public func read(
    _ volume: VolumeID, into counts: inout StoreCounts, _ addresses: inout [UInt64], bucketShift: Int
  ) {
    entries.withLock { entries in
      guard let entry = entries[volume] else { return }
      counts.add(entry.meter.requests)
      let places = entry.meter.addresses
      places.read(into: &addresses)
      if places.bucketShift < bucketShift { places.bucketShift = bucketShift }
    }
  }
}
