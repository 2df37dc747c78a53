public import ExtentMap
public import Primitives
public import Redirection

/// The course of a scrub of one sealed extent: which step comes next, given how the last one ended. It does
/// nothing itself.
///
/// Each copy that is equal to the live one as far as anybody knows is read whole and compared with the seal.
/// If one is bad and another good, the bad one is *condemned*: it lacks everything from then on, durably, so
/// nobody reads it while it is written again from a good copy; a condemned live copy gives its place to a
/// good shadow first, and gets it back in the end. A good copy is never written to. If none is good, nothing
/// is changed: nobody can tell which is the least bad.
public struct ScrubCourse: Sendable {
  /// What is to be done next.
  public enum Step: Sendable {
    /// Reads a part of a copy; `scanned(_:)` says how it ended.
    case scan(Scan)
    /// Gives bad copies up (`MapChanges.condemn`); `condemned(_:)` says whether it was possible.
    case condemn([StoreID], heir: StoreID?)
    /// Carries a move out; `moved(_:)` says how it ended.
    case move(Move)
  }

  /// A copy that does not hold what was sealed.
  public struct Finding: Sendable, Equatable {
    /// Where it lies.
    public var store: StoreID
    /// Why it could not be read: errno; nil if it was read, and differs.
    public var errno: Int32?
    /// Whether its store answers.
    public var isReachable = true
    /// Whether it has been written again, and holds what was sealed.
    public var isHealed = false
    /// What stands in the way of that; nil: nothing, or nothing was tried.
    public var reason: String?
  }

  private enum Phase {
    case scanning, condemning
    /// Of the finding with this index.
    case healing(Int), verifying(Int)
    case restoring, ended
  }

  private let copies: ExtentCopies
  private let extentBytes: UInt64
  private let sealed: SealEntry
  private let isVolatile: @Sendable (StoreID) -> Bool
  private var phase = Phase.scanning
  private var scan: Scan
  private var waiting: [StoreID]
  /// Copies that are read only if those before them are bad.
  private var reserve: [StoreID]
  private var good: [StoreID] = []

  /// Copies that were found bad, in the order in which they were read.
  public private(set) var findings: [Finding] = []
  /// Copies that were read to their end.
  public var copiesRead: Int { good.count + findings.count { $0.errno == nil } }
  /// Whether the extent was written to, moved or unmapped: then nothing is known of it, nor need be.
  public private(set) var isVoid = false

  /// The beginning.
  ///
  /// - Parameters:
  ///   - copies: where the copies lie.
  ///   - extentBytes: bytes of the extent.
  ///   - store: the store whose copy is looked at; the others only if that is bad. Nil: all.
  ///   - sealed: what `ExtentMapView.seal(_:)` says of the extent; it is sealed.
  ///   - isVolatile: whether a store may hold no live copy.
  public init(
    _ copies: ExtentCopies, in store: StoreID? = nil, extentBytes: UInt64, sealed: SealEntry,
    isVolatile: @escaping @Sendable (StoreID) -> Bool
  ) {
    precondition(sealed.isSealed, "an extent without a seal")
    self.copies = copies
    self.extentBytes = extentBytes
    self.sealed = sealed
    self.isVolatile = isVolatile
    waiting = copies.goodStores.filter { store == nil || $0 == store }
    reserve = copies.goodStores.filter { store != nil && $0 != store }
    scan = Scan(store: waiting.first ?? copies.live, since: sealed)
    if waiting.isEmpty { phase = .ended }
  }

  /// The next step; nil at the end.
  public var next: Step? {
    switch phase {
    case .scanning, .verifying: .scan(scan)
    case .condemning: .condemn(condemned, heir: heir)
    case .healing(let number): .move(move(.resync, to: findings[number].store))
    case .restoring: .move(move(.promote, to: copies.live))
    case .ended: nil
    }
  }

  private func move(_ kind: MoveKind, to store: StoreID) -> Move {
    Move(kind, volume: copies.volume, extent: copies.extent, to: store, reason: "its copy was bad")
  }

  // MARK: Reading

  /// Takes notice of how a step of reading has ended.
  public mutating func scanned(_ outcome: ScanOutcome) {
    switch (outcome, phase) {
    case (.busy, _): break
    case (.read(let next), _):
      scan = next
      if next.offset == extentBytes { endCopy(next.sum == sealed.checksum ? .good : .differs) }
    case (.unreadable(let errno), _): endCopy(.unreadable(errno, isReachable: true))
    case (.unreachable(let errno), _): endCopy(.unreadable(errno, isReachable: false))
    case (.void, .verifying(let number)):
      // It has been written again and is equal to the live copy, which somebody has changed since.
      findings[number].isHealed = true
      heal(from: number + 1)
    case (.void, _):
      isVoid = true
      findings = []
      phase = .ended
    }
  }

  private enum Quality {
    case good, differs
    case unreadable(Int32, isReachable: Bool)
  }

  /// A copy has been read, or can not be.
  private mutating func endCopy(_ quality: Quality) {
    if case .verifying(let number) = phase {
      switch quality {
      case .good: findings[number].isHealed = true
      case .differs: findings[number].reason = "what was written is not what is read"
      case .unreadable: findings[number].reason = "what was written can not be read"
      }
      heal(from: number + 1)
      return
    }
    let store = waiting.removeFirst()
    switch quality {
    case .good: good.append(store)
    case .differs: findings.append(Finding(store: store))
    case .unreadable(let errno, let isReachable):
      findings.append(Finding(store: store, errno: errno, isReachable: isReachable))
    }
    if waiting.isEmpty && !findings.isEmpty {
      waiting = reserve
      reserve = []
    }
    if let next = waiting.first {
      scan = Scan(store: next, since: sealed)
    } else {
      judge()
    }
  }

  // MARK: Healing

  /// Copies that are to be written again. One that can not be reached now is left alone: it may be as good as
  /// ever when its store is back.
  private var condemned: [StoreID] {
    findings.filter(\.isReachable).map(\.store)
  }

  private var heir: StoreID? {
    condemned.contains(copies.live) ? good.first { !isVolatile($0) } : nil
  }

  private mutating func judge() {
    guard !findings.isEmpty else {
      phase = .ended
      return
    }
    if good.isEmpty {
      endUnhealed("no copy holds what was sealed")
    } else if condemned.isEmpty {
      endUnhealed("its store can not be reached")
    } else if condemned.contains(copies.live) && heir == nil {
      endUnhealed("the only good copy is in memory")
    } else {
      phase = .condemning
    }
  }

  private mutating func endUnhealed(_ reason: String) {
    for number in findings.indices where !findings[number].isHealed && findings[number].reason == nil {
      findings[number].reason = reason
    }
    phase = .ended
  }

  /// Takes notice of whether the bad copies have been given up.
  public mutating func condemned(_ isDone: Bool) {
    if isDone { heal(from: 0) } else { scanned(.void) }
  }

  private mutating func heal(from first: Int) {
    for number in first..<findings.count where condemned.contains(findings[number].store) {
      phase = .healing(number)
      return
    }
    let wasLive = findings.first { $0.store == copies.live }
    if let wasLive, wasLive.isHealed, condemned.contains(copies.live) {
      phase = .restoring
    } else {
      endUnhealed("its store can not be reached")
    }
  }

  /// Takes notice of how a move has ended.
  public mutating func moved(_ end: MoveCourse.End) {
    guard case .healing(let number) = phase else {
      endUnhealed("its store can not be reached")
      return
    }
    switch end {
    case .done:
      phase = .verifying(number)
      scan = Scan(store: findings[number].store, since: sealed)
      return
    case .gone:
      findings[number].isHealed = true
      findings[number].reason = "the copy has been given up meanwhile"
    case .failed(let step, let outcome):
      findings[number].reason = "it can not be written again: \(step) ended with \(outcome)"
    case .cancelled:
      findings[number].reason = "the scrub was stopped; it will be written again like any stale shadow"
    }
    heal(from: number + 1)
  }

  /// Nobody wants the scrub any more. What is being written again is written to its end.
  public mutating func cancel() {
    guard case .scanning = phase else { return }
    isVoid = true
    findings = []
    phase = .ended
  }
}
