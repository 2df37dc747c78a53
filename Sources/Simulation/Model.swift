/// What clients have been promised: for every cell of every volume, the versions that it may hold.
///
/// A cell is 1 KiB, so that requests can begin and end inside blocks.
package struct Model {
  /// Bytes of a cell.
  package static let cellBytes: UInt64 = 1024
  static let cellsPerBlock = 4

  struct Operation {
    var issue: Int
    var end = Int.max
    var succeeded = false
    /// Acknowledged as durable by itself.
    var isDurable: Bool
  }

  struct Version {
    var operation: Int
    var value: UInt64
  }

  /// Everything that ever changed something, or tried to.
  private(set) var operations: [Operation]
  /// By volume and cell, in order of issue.
  private var cells: [[[Version]]] = []
  /// By volume: when the latest flush that succeeded was asked for.
  private var promisedBefore: [Int] = []
  private(set) var now = 1

  init() {
    operations = [Operation(issue: 0, end: 0, succeeded: true, isDurable: true)]
  }

  mutating func addVolume(cellCount: Int) {
    cells.append(Array(repeating: [Version(operation: 0, value: 0)], count: cellCount))
    promisedBefore.append(0)
  }

  mutating func tick() -> Int {
    now += 1
    return now
  }

  /// What a write leaves in a cell: tells the write, the volume and the cell.
  static func value(operation: Int, volume: Int, cell: Int) -> UInt64 {
    UInt64(operation) << 32 | UInt64(volume) << 24 | UInt64(cell)
  }

  /// A change begins; `oldest` tells when the oldest read under way was issued.
  mutating func begin(
    _ volume: Int, _ range: Range<Int>, isZero: Bool, isDurable: Bool, oldest: () -> Int
  ) -> Int {
    let number = operations.count
    operations.append(Operation(issue: tick(), isDurable: isDurable))
    for cell in range {
      if cells[volume][cell].count >= 8 { prune(volume, cell, oldest()) }
      let value = isZero ? 0 : Self.value(operation: number, volume: volume, cell: cell)
      cells[volume][cell].append(Version(operation: number, value: value))
    }
    return number
  }

  mutating func end(_ number: Int, succeeded: Bool) {
    operations[number].end = tick()
    operations[number].succeeded = succeeded
  }

  mutating func flushed(_ volume: Int, issue: Int) {
    promisedBefore[volume] = max(promisedBefore[volume], issue)
  }

  private func isPromised(_ version: Version, _ volume: Int) -> Bool {
    let operation = operations[version.operation]
    return operation.succeeded && (operation.isDurable || operation.end < promisedBefore[volume])
  }

  private func isBefore(_ first: Version, _ second: Version) -> Bool {
    operations[first.operation].end < operations[second.operation].issue
  }

  private mutating func prune(_ volume: Int, _ cell: Int, _ oldest: Int) {
    let versions = cells[volume][cell]
    cells[volume][cell] = versions.filter { version in
      !versions.contains { later in
        operations[later.operation].end < oldest && isPromised(later, volume) && isBefore(version, later)
      }
    }
  }

  /// Whether a read that was issued at some time may have returned this.
  func mayRead(_ volume: Int, _ cell: Int, _ value: UInt64, issue: Int) -> Bool {
    let versions = cells[volume][cell]
    return versions.contains { version in
      version.value == value
        && !versions.contains { later in
          operations[later.operation].succeeded && operations[later.operation].end < issue
            && isBefore(version, later)
        }
    }
  }

  /// Whether a cell may hold this after a crash.
  func mayRecover(_ volume: Int, _ cell: Int, _ value: UInt64) -> Bool {
    let versions = cells[volume][cell]
    return versions.contains { version in
      version.value == value
        && !versions.contains { isPromised($0, volume) && isBefore(version, $0) }
    }
  }

  /// Two cells of a block of which one is of a write that covered both, the other of one before it: a block
  /// is written whole or not at all.
  ///
  /// - Parameter values: what the cells of the block hold, from `first` on.
  func tear(_ volume: Int, _ first: Int, _ values: ArraySlice<UInt64>) -> (Int, Int)? {
    guard values.contains(where: { $0 != values.first! }) else { return nil }
    for (place, value) in zip(first..., values) where value != 0 {
      // Other than zeros, a value tells which request it is of.
      guard let write = cells[volume][place].first(where: { $0.value == value }) else { continue }
      for (other, found) in zip(first..., values) where other != place {
        let versions = cells[volume][other]
        guard versions.contains(where: { $0.operation == write.operation }) else { continue }
        // Zeros may be of any request that has left zeros there.
        if versions.allSatisfy({ $0.value != found || isBefore($0, write) }) { return (place, other) }
      }
    }
    return nil
  }

  /// From now on the cell holds what was found after a crash.
  mutating func recovered(_ volume: Int, _ cell: Int, _ value: UInt64, by operation: Int) {
    cells[volume][cell] = [Version(operation: operation, value: value)]
  }

  /// From now on all cells from one on hold zeros, durably. Nobody reads or changes them meanwhile.
  mutating func cut(_ volume: Int, from first: Int) {
    let operation = beginRecovery()
    for cell in first..<max(first, cells[volume].count) { recovered(volume, cell, 0, by: operation) }
  }

  /// An operation that stands for what was found after a crash.
  mutating func beginRecovery() -> Int {
    operations.append(Operation(issue: tick(), end: now, succeeded: true, isDurable: true))
    _ = tick()
    return operations.count - 1
  }

  func describe(_ volume: Int, _ cell: Int, _ value: UInt64) -> String {
    let versions = cells[volume][cell].suffix(12).map { version in
      let operation = operations[version.operation]
      let end = operation.end == .max ? "…" : "\(operation.end)"
      return "\(String(version.value, radix: 16))[\(operation.issue)–\(end)"
        + "\(operation.succeeded ? "" : " failed")\(isPromised(version, volume) ? " promised" : "")]"
    }
    return "volume \(volume) cell \(cell) holds \(String(value, radix: 16)) of \(versions)"
  }
}
