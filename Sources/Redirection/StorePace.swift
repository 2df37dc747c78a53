import Primitives

/// How fast a store has answered one redirector lately, and how long is too long.
///
/// The deadline follows the store's own latency: a multiple of its 99th percentile, which is tracked by
/// stochastic approximation (up by 2 % when an operation takes longer, down by 2 %/99 when it does not, so
/// that one in a hundred does). Operations past their deadline do not count: a store that hangs would make
/// its own excuses. Of them it matters how late they were: a store is left alone for a multiple of that.
struct StorePace {
  /// How long is too long.
  struct Patience {
    /// In units of the 99th percentile.
    let factor: UInt64
    /// The least time to wait in nanoseconds, and the most: noise of the machine below, a human's patience
    /// above.
    let least: UInt64
    let most: UInt64

    /// A read costs little to be sent again.
    static let read = Patience(factor: 2, least: 1_000_000, most: 500_000_000)
    /// After a write its copy has to be filled again.
    static let write = Patience(factor: 4, least: 40_000_000, most: 2_000_000_000)
    /// Likewise all copies that were written to since the synchronization before, whole. A busy disk takes
    /// that long now and then; one on which a write is overdue is not waited for.
    static let synchronization = Patience(factor: 4, least: 400_000_000, most: 5_000_000_000)
  }

  private let patience: Patience
  /// Smoothed latency in nanoseconds; 0 before the first operation.
  private(set) var latency: UInt64 = 0
  /// The 99th percentile in nanoseconds.
  private(set) var tail: UInt64 = 0
  /// Operations under way.
  private(set) var inFlight = 0
  /// Those of them that have missed their deadline.
  private(set) var overdue = 0
  /// When the last one ended in time.
  private var lastEnded: UInt64 = 0
  private var suspectUntil: UInt64 = 0
  /// How long the overdue operation took that it is suspected for.
  private var suspectedNanoseconds: UInt64 = 0
  private var suspicions: UInt64 = 0
  /// Operations in a row that were not overdue.
  private var punctual = 0

  /// A percentile before there is one: a slow disk's.
  private static let tailAtFirst: UInt64 = 25_000_000
  /// For how many times as long as an overdue operation took others are preferred afterwards; doubled each
  /// time.
  private static let suspicion: UInt64 = 4
  private static let doublingsMax: UInt64 = 7
  private static let suspicionMax: UInt64 = 32_000_000_000
  /// An average without news for so long counts for no more than the next operation.
  private static let oldAge: UInt64 = 100_000_000
  /// Operations in time after which one missed deadline is forgotten.
  private static let punctualForForgiveness = 1024

  init(_ patience: Patience) {
    self.patience = patience
  }

  /// Nanoseconds after which an operation is overdue.
  var deadline: UInt64 { deadline(shares: 1) }

  /// Nanoseconds after which an operation is overdue whose time counted in so many shares: see `ended`.
  func deadline(shares: UInt64) -> UInt64 {
    let tail = tail == 0 ? Self.tailAtFirst : tail
    return min(max(tail * patience.factor * shares, patience.least), patience.most)
  }

  /// How many times 64 KiB a transfer has, rounded up.
  static func shares(ofBytes length: UInt64) -> UInt64 { max(1, (length + 65_535) >> 16) }

  /// Nanoseconds that one more operation is expected to take. A store of which nothing is known yet is tried
  /// by one operation. One that was late a moment ago may be so again: it is as good as others that always
  /// take that long.
  func expected(at now: UInt64) -> UInt64 {
    guard latency > 0 else { return inFlight == 0 ? 0 : .max }
    let average = faded(at: now) * UInt64(inFlight + 1)
    return now < suspectUntil ? max(average, suspectedNanoseconds) : average
  }

  /// The average, made smaller the longer nothing was heard of the store: half after about a second, a tenth
  /// after nine. A store that was slow for a moment would not be tried again otherwise.
  private func faded(at now: UInt64) -> UInt64 {
    guard inFlight == 0 else { return latency }
    // Units of 2^20 ns: about a millisecond.
    return (latency << 10) / (1024 + (now - min(now, lastEnded)) >> 20)
  }

  /// Whether something is overdue, or was until a moment ago. A store that hangs is not tried again before it
  /// has answered; one that was late by the machine's noise is soon.
  func isSuspect(at now: UInt64) -> Bool { overdue > 0 || now < suspectUntil }

  mutating func began() {
    inFlight += 1
  }

  /// An operation has ended in time. With `shares`, each of them took as long as it fairly may have: small
  /// operations are not granted what large ones take.
  mutating func ended(after duration: UInt64, at now: UInt64, shares: UInt64 = 1) {
    inFlight -= 1
    let nanoseconds = duration / shares
    if latency == 0 {
      latency = nanoseconds
    } else if inFlight == 0 && now - min(now, lastEnded) > Self.oldAge {
      latency = faded(at: now) / 2 + nanoseconds / 2
    } else {
      // Smoothed over 16 operations.
      latency = latency - latency / 16 + nanoseconds / 16
    }
    lastEnded = now
    if tail == 0 {
      tail = max(nanoseconds, 1000) * 2
    } else if nanoseconds > tail {
      tail += tail / 50 + 1
    } else {
      tail -= tail / 4950
    }
    punctual += 1
    if punctual == Self.punctualForForgiveness {
      punctual = 0
      suspicions -= min(suspicions, 1)
    }
  }

  /// An operation has failed, or ended when nobody waited for it any more.
  mutating func endedUseless() {
    inFlight -= 1
  }

  /// An operation has missed its deadline; `endedOverdue` follows when it ends.
  mutating func missedDeadline(at now: UInt64) {
    punctual = 0
    if !isSuspect(at: now) { suspicions = min(suspicions + 1, Self.doublingsMax) }
    overdue += 1
  }

  /// An operation that has missed its deadline has ended.
  mutating func endedOverdue(after nanoseconds: UInt64, at now: UInt64) {
    inFlight -= 1
    overdue -= 1
    let least = min(nanoseconds, Self.suspicionMax) * Self.suspicion
    let span = min(least << (max(suspicions, 1) - 1), Self.suspicionMax)
    suspectedNanoseconds = now < suspectUntil ? max(suspectedNanoseconds, nanoseconds) : nanoseconds
    suspectUntil = max(suspectUntil, now + span)
  }
}

/// How many reads may be sent twice: a share of all reads, and a burst when a store begins to hang.
struct HedgeBudget {
  private var tokens = Self.burst * Self.cost
  /// One hedge for so many reads: 5 %.
  private static let cost = 20
  private static let burst = 256

  mutating func earn() {
    if tokens < Self.burst * Self.cost { tokens += 1 }
  }

  mutating func spend() -> Bool {
    guard tokens >= Self.cost else { return false }
    tokens -= Self.cost
    return true
  }
}

/// Operations in the order in which they began, of one store and kind, for finding those that are overdue. An
/// entry outlives its operation: whoever looks compares the generation.
struct DeadlineQueue {
  struct Entry {
    var index: UInt32
    var generation: UInt32
    var began: UInt64
    /// Of writes: when it is overdue.
    var due: UInt64 = 0
  }

  private var entries: [Entry] = []
  private var head = 0

  var first: Entry? { head < entries.count ? entries[head] : nil }

  mutating func append(_ entry: Entry) {
    entries.append(entry)
  }

  mutating func removeFirst() {
    head += 1
    // Amortised: half of the array is behind.
    if head >= 64 && head * 2 >= entries.count {
      entries.removeSubrange(..<head)
      head = 0
    }
  }
}

/// How often a redirector did without something that took too long.
public struct MissedDeadlines: Sendable, Equatable {
  /// Reads that were sent to a second copy.
  public var hedgedReads: UInt64 = 0
  /// Those of them that the second copy answered.
  public var hedgesWon: UInt64 = 0
  /// Writes of one copy that others had.
  public var writes: UInt64 = 0
  /// Synchronizations of one store.
  public var synchronizations: UInt64 = 0

  /// None.
  public init() {}

  /// Adds another's.
  public mutating func add(_ other: MissedDeadlines) {
    hedgedReads += other.hedgedReads
    hedgesWon += other.hedgesWon
    writes += other.writes
    synchronizations += other.synchronizations
  }
}
