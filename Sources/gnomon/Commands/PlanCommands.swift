import HTTPService
import Primitives

extension Command {
  private static let dryRun = OptionSpec(
    name: "dry-run", summary: "show what would be moved, and move nothing")

  static let planCommands = [plan]

  /// `gnomon plan`
  private static let plan = Command(
    spec: CommandSpec(
      path: ["plan"], summary: "Move extents to the tier that they belong on, now",
      options: [dryRun, .wait, .pool, .json],
      details: [
        "The daemon does this by itself every few minutes ('tiering.intervalSeconds'). Which tier an extent "
          + "belongs on is said by its volatility score, the share of extents of which fewer accesses are "
          + "expected; by what its volume is told ('gnomon volume set --pin'); and by how long nobody has "
          + "accessed it. Extents go down only as far as room is needed.",
        "The work is done in the background, as a job; with --wait, the command ends when it does.",
      ],
      examples: [
        .init(text: "What would be moved, and why", line: "gnomon plan --pool /srv/pool --dry-run"),
        .init(text: "Do not wait for the next round", line: "gnomon plan --pool /srv/pool --wait"),
      ])
  ) { run in
    if run.arguments.has(dryRun) {
      let info = try run.withDaemon { try $0.tierPlan() }
      run.show(info) { text(of: info) }
      return .ok
    }
    return try run.withDaemon { client in
      let info = try client.beginTierRound()
      if let job = info.job, run.arguments.has(.wait) {
        var watch = JobWatch(run, client)
        return try watch.wait(for: job)
      }
      run.show(info) {
        info.job.map { "Begun as job \($0): see 'gnomon jobs'.\n" } ?? "Nothing is to be moved.\n"
          + notes(on: info)
      }
      return .ok
    }
  }

  private static func text(of info: TierPlanInfo) -> String {
    guard info.enabled else { return "Extents stay where they are: 'tiering.enabled' is false.\n" }
    guard info.tiers.count > 1 else { return "Nothing is to be done: all stores are of one tier.\n" }
    var list = PropertyList()
    for tier in info.tiers {
      list.add(
        "tier \(tier.tier)",
        "\(ByteSize(rawValue: tier.freeBytes)) of \(ByteSize(rawValue: tier.capacityBytes)) free")
    }
    list.add("to be moved", "\(info.up) up, \(info.down) down, \(ByteSize(rawValue: info.bytes))")
    list.add("next round", "in \(duration(UInt64(info.nextSeconds)))")
    var text = list.text + notes(on: info)
    guard !info.moves.isEmpty else { return text }
    var table = Table([
      .init(title: "VOLUME"), .init(title: "EXTENT", alignment: .right),
      .init(title: "FROM", alignment: .right),
      .init(title: "TO", alignment: .right), .init(title: "STORE"), .init(title: "WHY"),
    ])
    for move in info.moves {
      table.add([
        move.volume, "\(move.extent)", "tier \(move.fromTier)", "tier \(move.toTier)", move.store,
        move.reason,
      ])
    }
    text += "\n" + table.text
    let rest = info.up + info.down - info.moves.count
    return rest > 0 ? text + "… and \(rest) more\n" : text
  }

  private static func notes(on info: TierPlanInfo) -> String {
    var text = ""
    if info.isMore { text += "More follows in the next round.\n" }
    if let complaint = info.complaint {
      text += "\(info.refused) can not be moved: \(Table.printable(complaint))\n"
    }
    return text
  }
}
