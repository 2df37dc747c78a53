/// The policies that a trace can be replayed with.
public enum PolicyKind: String, Sendable, CaseIterable {
  case none
  case lru
  case lfu
  case twoQueues = "2q"
  case arc
  case s3fifo = "s3-fifo"
  case sieve
  case secondHit = "second-hit"
  case fourthHit = "fourth-hit"
  case smq = "smq-like"
  case epochs
  case gnomon
  case slowLoop = "slow-loop"
  case belady
  case frugalBelady = "belady-frugal"

  /// What people are told about it.
  public var summary: String {
    switch self {
    case .none: "no tiering"
    case .lru: "least recently used"
    case .lfu: "least frequently used, with aging"
    case .twoQueues: "2Q"
    case .arc: "adaptive replacement"
    case .s3fifo: "S3-FIFO"
    case .sieve: "SIEVE"
    case .secondHit: "LRU that admits at the second touch"
    case .fourthHit: "LRU that admits at the fourth touch"
    case .smq: "levels of frequency, after dm-cache's smq"
    case .epochs: "the most touched, planned every five minutes"
    case .gnomon: "Gnomon's fast loop"
    case .slowLoop: "Gnomon's slow loop: extents move every five minutes"
    case .belady: "clairvoyant: Belady with bypass"
    case .frugalBelady: "clairvoyant, copying only what pays"
    }
  }
}

extension ExtentTrace {
  /// Replays the trace.
  ///
  /// - Parameters:
  ///   - kind: the policy.
  ///   - capacity: extents that the fast tier holds; at least 1.
  ///   - copyCost: what a copy costs, in requests to the slow tier.
  ///   - copyMicroseconds: how long a copy takes.
  ///   - progress: told how far it is, from 0 to 1.
  public func replay(
    _ kind: PolicyKind, capacity: Int, copyCost: Double, copyMicroseconds: UInt64 = 0,
    progress: (Double) -> Void = { _ in }
  ) -> ReplayResult {
    let replay = Replay(trace: self, copyCost: copyCost, copyMicroseconds: copyMicroseconds)
    func run(_ policy: some ReplayPolicy) -> ReplayResult {
      replay.run(kind.rawValue, policy, progress: progress)
    }
    switch kind {
    case .none: return run(NoTiering())
    case .lru: return run(LRU(footprint: footprint, capacity: capacity))
    case .lfu: return run(LFU(footprint: footprint, capacity: capacity))
    case .twoQueues: return run(TwoQueues(footprint: footprint, capacity: capacity))
    case .arc: return run(ARC(footprint: footprint, capacity: capacity))
    case .s3fifo: return run(S3FIFO(footprint: footprint, capacity: capacity))
    case .sieve: return run(Sieve(footprint: footprint, capacity: capacity))
    case .secondHit: return run(SelectiveLRU(footprint: footprint, capacity: capacity, admitAt: 2))
    case .fourthHit: return run(SelectiveLRU(footprint: footprint, capacity: capacity, admitAt: 4))
    case .smq: return run(Multiqueue(footprint: footprint, capacity: capacity))
    case .epochs: return run(Epochs(footprint: footprint, capacity: capacity))
    case .gnomon:
      return run(
        GnomonPolicy(self, capacity: capacity, copyCost: copyCost, copyMicroseconds: copyMicroseconds))
    case .slowLoop: return run(SlowLoop(self, capacity: capacity))
    case .belady: return run(Belady(self, capacity: capacity))
    case .frugalBelady:
      let runs = (1...8).map { uses in
        replay.run(kind.rawValue, Belady(self, capacity: capacity, uses: uses), progress: progress)
      }
      return runs.min { $0.slowTierWork < $1.slowTierWork } ?? runs[0]
    }
  }
}
