import ExtentMap
import Glibc
import Measurement
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// What becomes of shadows that prediction wants, has, and wants no more.
extension PredictionLoop {
  /// For so long nothing is tried after a refusal: plans do not spin.
  private static let blockedNanoseconds: UInt64 = 100_000_000

  /// Has a shadow made that the loop has decided upon.
  ///
  /// - Parameters:
  ///   - displaced: the extent whose shadow goes for it.
  ///   - microseconds: when the request came that led to it.
  func propose(
    _ extent: UInt32, _ prediction: VolumePrediction, _ cause: Decision.Cause, expected: Float?,
    displaced: UInt32?, since microseconds: UInt64, at now: UInt64
  ) {
    if let displaced { giveUp(displaced, prediction, .displaced) }
    // What is just being given up is not taken back: it is decided upon again at the next touch.
    guard prediction[extent] == nil, now >= blockedUntilNanoseconds else {
      return prediction.loop.forget(extent, isRefunded: expected != nil)
    }
    let volume = prediction.volume
    guard UInt64(extent) < volume.map.extentCount,
      let copies = ExtentCopies(volume.map.view, UInt64(extent))
    else { return prediction.loop.forget(extent, isRefunded: expected != nil) }
    var decision = Decision(
      volume: volume.id, extent: UInt64(extent), action: .shadow, cause: cause, store: nil,
      expectedRequests: expected, seconds: Int64(time(nil)))
    let rules = PlanningView.rules(for: volume, candidates)
    switch rules.foreshadow(
      copies, among: fast.stores, headroomBytes: headroomBytes, reason: decision.reason)
    {
    case .success(let move):
      complaint = nil
      decision.store = move.target
      let number = shared.decisions.withLock { $0.add(decision) }
      prediction[extent] = OwnShadow(
        state: .underWay, store: move.target, sinceMicroseconds: microseconds, decision: number)
      candidates.plan(move, bytes: volume.extentBytes)
      counts.decided += 1
      hasOffered = true
      if let late = plan.offer(copy: move) { withdraw(late) }
      keepWithinAllowance()
    case .failure(let objection):
      prediction.loop.forget(extent, isRefunded: expected != nil)
      refuse(decision, because: objection.description, at: now)
    }
  }

  private func refuse(_ decision: Decision, because objection: String, at now: UInt64) {
    counts.refused += 1
    complaint = objection
    blockedUntilNanoseconds = now + Self.blockedNanoseconds
    var refusal = Decision(
      volume: decision.volume, extent: decision.extent, action: .refuse, cause: decision.cause, store: nil,
      expectedRequests: decision.expectedRequests, seconds: decision.seconds)
    refusal.outcome = .failed(objection)
    shared.decisions.withLock { _ = $0.add(refusal) }
  }

  /// A copy has waited for so long that others go before it.
  private func withdraw(_ move: Move) {
    guard let prediction = volumes[move.volume] else { return }
    let extent = UInt32(truncatingIfNeeded: move.extent)
    prediction.loop.forget(extent, isRefunded: true)
    endCopy(extent, prediction, .withdrawn)
    counts.withdrawn += 1
  }

  /// The shadow of an extent that has left the loop's tier goes.
  func giveUp(_ extent: UInt32, _ prediction: VolumePrediction, _ cause: Decision.Cause) {
    guard let shadow = prediction[extent] else { return }
    switch shadow.state {
    case .underWay:
      if plan.withdraw(UInt64(extent), of: prediction.volume.id) {
        endCopy(extent, prediction, .withdrawn)
        counts.withdrawn += 1
      } else {
        prediction[extent]?.state = .unwanted
      }
    case .synced: drop(extent, shadow, prediction, cause)
    case .unwanted, .leaving: break
    }
  }

  /// Gives a shadow up, unless the volume needs it by now.
  private func drop(
    _ extent: UInt32, _ shadow: OwnShadow, _ prediction: VolumePrediction, _ cause: Decision.Cause
  ) {
    let volume = prediction.volume
    guard UInt64(extent) < volume.map.extentCount,
      let copies = ExtentCopies(volume.map.view, UInt64(extent)), copies.shadow(in: shadow.store) != nil
    else { return leave(extent, shadow, prediction) }
    let rules = PlanningView.rules(for: volume, candidates)
    guard case .success(var move?) = rules.drop(copies, from: shadow.store) else {
      counts.released += 1
      prediction[extent] = nil
      return
    }
    var decision = Decision(
      volume: volume.id, extent: UInt64(extent), action: .drop, cause: cause, store: shadow.store,
      expectedRequests: nil, seconds: Int64(time(nil)))
    decision.reads = shadow.reads
    move.reason = decision.reason
    shared.decisions.withLock { _ = $0.add(decision) }
    prediction[extent]?.state = .leaving
    plan.offer(drop: move)
    hasOffered = true
  }

  /// A shadow is gone.
  private func leave(_ extent: UInt32, _ shadow: OwnShadow, _ prediction: VolumePrediction) {
    counts.dropped += 1
    if shadow.reads == 0 { counts.neverUsed += 1 }
    if let number = shadow.decision {
      shared.decisions.withLock { $0.update(number) { $0.reads = shadow.reads } }
    }
    prediction[extent] = nil
  }

  /// A copy will not become a shadow.
  private func endCopy(_ extent: UInt32, _ prediction: VolumePrediction, _ outcome: Decision.Outcome) {
    if let number = prediction[extent]?.decision {
      shared.decisions.withLock { $0.update(number) { $0.outcome = outcome } }
    }
    prediction[extent] = nil
  }

  // MARK: Moves that are over

  /// Takes notice of what the mover has done.
  ///
  /// - Returns: whether that is anything.
  func takeEnded() -> Bool {
    let moves = plan.takeEnded()
    for ended in moves {
      let extent = UInt32(truncatingIfNeeded: ended.move.extent)
      guard let prediction = volumes[ended.move.volume], let shadow = prediction[extent] else { continue }
      if ended.move.kind == .drop {
        switch ended.end {
        case .done, .gone: leave(extent, shadow, prediction)
        case .failed, .cancelled: retries.append(ExtentKey(ended.move))
        }
      } else {
        copyEnded(ended, extent, shadow, prediction)
      }
    }
    return !moves.isEmpty
  }

  private func copyEnded(
    _ ended: PredictionPlan.Ended, _ extent: UInt32, _ shadow: OwnShadow, _ prediction: VolumePrediction
  ) {
    counts.copiedBytes += ended.bytes
    switch ended.end {
    case .done:
      counts.made += 1
      let microseconds = ended.nanoseconds / 1000 - min(shadow.sinceMicroseconds, ended.nanoseconds / 1000)
      counts.latency.record(nanoseconds: microseconds * 1000)
      prediction.learnCopy(microseconds: microseconds)
      if let number = shadow.decision {
        shared.decisions.withLock { log in
          log.update(number) { decision in
            decision.outcome = .done
            decision.microseconds = microseconds
          }
        }
      }
      prediction[extent]?.state = .synced
      if shadow.state == .unwanted { giveUp(extent, prediction, .displaced) }
    case .gone, .cancelled:
      prediction.loop.forget(extent, isRefunded: ended.bytes == 0)
      endCopy(extent, prediction, .withdrawn)
      counts.withdrawn += 1
    case .failed(let step, let outcome):
      prediction.loop.forget(extent, isRefunded: ended.bytes == 0)
      endCopy(extent, prediction, .failed("\(step) \(outcome.words)"))
      counts.failed += 1
      complaint = "\(step) \(outcome.words)"
      blockedUntilNanoseconds = ended.nanoseconds + Self.blockedNanoseconds
    }
  }

  // MARK: Room

  /// Gives up what has been left alone for longest, until shadows take no more than they may.
  func keepWithinAllowance() {
    while volumes.values.reduce(0, { $0 + $1.wantedBytes }) > allowedBytes {
      var idlest: (prediction: VolumePrediction, microseconds: UInt64)?
      for prediction in volumes.values {
        guard let next = prediction.loop.tier.next else { continue }
        if idlest.map({ next.touchedMicroseconds < $0.microseconds }) ?? true {
          idlest = (prediction, next.touchedMicroseconds)
        }
      }
      guard let prediction = idlest?.prediction, let extent = prediction.loop.dropNext() else { return }
      giveUp(extent, prediction, .room)
    }
  }
}
