import ExtentMap
import Platform
import Primitives

/// One row of the journal: records of 24 bytes, back to back, in the order in which the map changed.
///
/// ```
/// offset  bytes  content (little-endian)
///      0      1  kind: 1 + the number of the plane (MapPlane), so 1 = the live copy's address
///      1      3  zero
///      4      4  volume
///      8      8  extent
///     16      8  the new word; of an address 0 = unmapped
/// ```
///
/// The row's checksum is CRC-32C over its seq (8 bytes) and its records. Records of volumes that do not
/// exist (any more) mean nothing.
enum JournalFormat {
  static let recordBytes = 24
  /// Records in one row; more deltas take more rows of the same transaction.
  static let recordsPerRow = 4096

  static func checksum(of records: UnsafeRawBufferPointer, seq: UInt64) -> UInt32 {
    var checksum = CRC32C()
    checksum.add(seq)
    unsafe checksum.add(records)
    return checksum.value
  }

  /// Packs `deltas` into `buffer`, which has room for exactly that many.
  static func pack(_ deltas: UnsafeBufferPointer<MapDelta>, into buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.count == deltas.count * recordBytes)
    for index in 0..<deltas.count {
      let delta = unsafe deltas[index]
      precondition(delta.extent >> MapPage.entryShift < MapPage.countMax, "extent number out of range")
      let kindAndVolume = UInt64(delta.plane.rawValue + 1) | UInt64(delta.volume.rawValue) << 32
      let at = index * recordBytes
      unsafe buffer.storeBytes(of: kindAndVolume.littleEndian, toByteOffset: at, as: UInt64.self)
      unsafe buffer.storeBytes(of: delta.extent.littleEndian, toByteOffset: at + 8, as: UInt64.self)
      unsafe buffer.storeBytes(of: delta.word.littleEndian, toByteOffset: at + 16, as: UInt64.self)
    }
  }

  /// Appends the records of a row to `records`.
  ///
  /// - Returns: nil, or what is wrong with the row; `records` is then unchanged.
  static func unpack(
    _ row: UnsafeRawBufferPointer, seq: UInt64, checksum stored: UInt32, into records: inout [JournalRecord]
  ) -> String? {
    let computed = unsafe checksum(of: row, seq: seq)
    guard stored == computed else {
      return "its checksum is \(String(stored, radix: 16)), its content gives \(String(computed, radix: 16))"
    }
    guard row.count % recordBytes == 0 else { return "\(row.count) bytes are not whole records" }
    let before = records.count
    for at in stride(from: 0, to: row.count, by: recordBytes) {
      let head = unsafe UInt64(littleEndian: row.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      let extent = unsafe UInt64(littleEndian: row.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self))
      let word = unsafe UInt64(littleEndian: row.loadUnaligned(fromByteOffset: at + 16, as: UInt64.self))
      let kind = head & 0xffff_ffff
      guard kind > 0, kind <= UInt64(UInt8.max), let plane = MapPlane(rawValue: UInt8(kind - 1)),
        plane.admits(word), extent >> MapPage.entryShift < MapPage.countMax
      else {
        records.removeSubrange(before...)
        return "record \(at / recordBytes) makes no sense"
      }
      let volume = VolumeID(rawValue: UInt32(head >> 32))
      records.append(JournalRecord(seq: seq, volume: volume, plane: plane, extent: extent, word: word))
    }
    return nil
  }
}

/// A record of the journal in memory.
struct JournalRecord {
  /// The row that it came from.
  var seq: UInt64
  var volume: VolumeID
  var plane: MapPlane
  var extent: UInt64
  var word: UInt64

  /// Key of the map page that it changes.
  var pageKey: Int64 { MapPage.key(volume: volume, plane, page: extent >> MapPage.entryShift) }

  /// The records with those of one key together, keys ascending, the order within a key kept.
  ///
  /// There are few keys and many records, so this counts instead of comparing.
  static func grouped(_ records: [JournalRecord], by key: (JournalRecord) -> Int64) -> [JournalRecord] {
    guard let first = records.first else { return [] }
    var groups: [Int64: Int] = [:]
    var keys: [Int64] = []
    var counts: [Int] = []
    var groupOfRecord: [Int32] = []
    groupOfRecord.reserveCapacity(records.count)
    var (lastKey, lastGroup) = (key(first) &- 1, 0)
    for record in records {
      let key = key(record)
      if key != lastKey {
        lastKey = key
        lastGroup = groups[key] ?? keys.count
        if lastGroup == keys.count {
          groups[key] = lastGroup
          keys.append(key)
          counts.append(0)
        }
      }
      counts[lastGroup] += 1
      groupOfRecord.append(Int32(lastGroup))
    }
    var next = [Int](repeating: 0, count: keys.count)
    var start = 0
    for group in keys.indices.sorted(by: { keys[$0] < keys[$1] }) {
      next[group] = start
      start += counts[group]
    }
    var result = [JournalRecord](repeating: first, count: records.count)
    for index in records.indices {
      let group = Int(groupOfRecord[index])
      result[next[group]] = records[index]
      next[group] += 1
    }
    return result
  }
}
