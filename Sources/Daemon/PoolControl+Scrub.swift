import ExtentMap
import HTTPService
import NBDService
import Redirection
import Primitives
import Stores

/// Data at rest is compared with its seals.
extension PoolControl {
  func scrub() async throws(GnomonError) -> ScrubInfo {
    let (run, last) = scrubber.scrubs
    var info = ScrubInfo(sealedBytes: 0, mappedBytes: 0)
    for volume in pool.exports.volumes {
      let view = volume.map.view
      for extent in 0..<volume.map.extentCount where view.entry(extent).isMapped {
        info.mappedBytes += volume.extentBytes
        if view.seal(extent).isSealed { info.sealedBytes += volume.extentBytes }
      }
    }
    info.last = last.map(ScrubResult.init)
    info.running = run.map { run in
      let (rate, left) = (UInt64(run.bytesPerSecond), run.leftBytes)
      return ScrubProgress(
        what: run.scope.words, counts: ScrubCounts(run.record.figures), bytesPerSecond: rate, leftBytes: left,
        leftSeconds: rate > 0 ? left / rate : nil, seconds: run.seconds)
    }
    return info
  }

  func beginScrub(_ request: ScrubRequest) async throws(GnomonError) -> ScrubInfo {
    var scope = ScrubScope()
    if let name = request.volume { scope.volume = try existing(name) }
    if let name = request.store {
      let store = try existingStore(name)
      scope.store = (store.record.id, name)
    }
    guard scrubber.begin(scope) != nil else {
      throw GnomonError(
        .conflict, "a scrub is under way already",
        remedy: "wait for it, or end it with `gnomon scrub stop`")
    }
    return try await scrub()
  }

  func stopScrub() async throws(GnomonError) -> ScrubInfo {
    guard let run = scrubber.scrubs.run else {
      throw GnomonError(.conflict, "no scrub is under way", remedy: "see `gnomon scrub`")
    }
    run.cancel()
    return try await scrub()
  }
}
