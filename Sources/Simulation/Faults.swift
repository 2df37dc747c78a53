import Primitives

/// What goes wrong in a world, and how often: every number is "once in so many times", 0 for never.
package struct Faults {
  /// A read of a store ends with EIO.
  package var readError = 0
  /// A write to a store ends with EIO, and may have happened in part.
  package var writeError = 0
  /// A transfer ends early.
  package var shortTransfer = 0
  /// A range can not be zeroed, punched or reserved for want of space.
  package var allocationFull = 0
  /// A range can not be zeroed, punched or reserved that way.
  package var allocationUnsupported = 0
  /// A store can not be synchronized; what was not durable may be lost although it still reads.
  package var synchronizeError = 0
  /// A commit ends with an error, and may have happened all the same.
  package var commitError = 0
  /// An access to the catalog's files fails.
  package var catalogError = 0
  /// The catalog's disk is full.
  package var catalogFull = 0
  /// An operation of a store takes a hundred times as long as usual.
  package var latencySpike = 0
  /// An operation of a store takes up to seconds.
  package var hang = 0
  /// How long servers behind stores stay away.
  package enum Outage {
    /// They do not go.
    case none
    /// Less long than requests wait for them.
    case short
    /// Longer, now and then.
    case long
  }
  /// Servers behind stores go away.
  package var outage = Outage.none
  /// A connection breaks.
  package var disconnect = 0
  /// A request breaks a rule of the protocol.
  package var hostileRequest = 0

  /// Nothing goes wrong.
  package static let none = Faults()

  /// No client may see an error but "no space".
  var areHarmless: Bool {
    readError == 0 && writeError == 0 && shortTransfer == 0 && allocationFull == 0 && synchronizeError == 0
      && commitError == 0 && catalogError == 0 && catalogFull == 0 && outage != .long
  }

  /// Half of all worlds have faults that clients see.
  static func random(_ generator: inout SeededGenerator) -> Faults {
    var faults = Faults()
    if generator.chance(3) { faults.allocationUnsupported = 4 }
    if generator.chance(2) { faults.latencySpike = 30 }
    if generator.chance(4) { faults.hang = 200 }
    if generator.chance(2) { faults.disconnect = 60 }
    if generator.chance(3) { faults.hostileRequest = 15 }
    if generator.chance(2) { return faults }
    if generator.chance(2) { faults.readError = 20 }
    if generator.chance(2) { faults.writeError = 20 }
    if generator.chance(3) { faults.shortTransfer = 20 }
    if generator.chance(2) { faults.allocationFull = 5 }
    if generator.chance(5) { faults.synchronizeError = 15 }
    if generator.chance(3) { faults.commitError = 6 }
    if generator.chance(3) { faults.catalogError = 30 }
    if generator.chance(4) { faults.catalogFull = 10 }
    return faults
  }
}

/// What a world found broken.
package struct BrokenPromise: Error, CustomStringConvertible {
  /// What was promised, and what was found.
  package var description: String

  init(_ description: String) {
    self.description = description
  }
}
