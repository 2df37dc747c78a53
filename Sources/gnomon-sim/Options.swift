import Primitives

/// What the command line asks for.
struct Options {
  static let usage = """
    Lives simulated worlds, each from one seed, and says what broke.

    gnomon-sim --seed N [--trace]           one world: its story if asked for, its figures, its digest
    gnomon-sim --seeds FIRST COUNT          so many worlds, up to the first that fails
    gnomon-sim --soak DURATION [--jobs N]   fresh worlds for so long (90, 10m, 2h), on N threads

    --canary NAME                           with a deliberate bug (debug builds): \(canaries)
    """

  private static var canaries: String { Canary.allCases.map { "\($0)" }.joined(separator: ", ") }

  enum Task {
    case one(UInt64)
    case many(first: UInt64, count: UInt64)
    case soak(seconds: UInt64)
  }

  var task: Task?
  var canary: Canary?
  var isTracing = false
  var jobs = 1

  /// Nil if the arguments make no sense.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      switch name {
      case "--seed":
        guard let seed = rest.popFirst().flatMap({ UInt64($0) }) else { return nil }
        task = .one(seed)
      case "--seeds":
        guard let first = rest.popFirst().flatMap({ UInt64($0) }),
          let count = rest.popFirst().flatMap({ UInt64($0) })
        else { return nil }
        task = .many(first: first, count: count)
      case "--soak":
        guard let seconds = rest.popFirst().flatMap(Self.seconds) else { return nil }
        task = .soak(seconds: seconds)
      case "--jobs":
        guard let count = rest.popFirst().flatMap({ Int($0) }), (1...64).contains(count) else { return nil }
        jobs = count
      case "--canary":
        guard let canary = rest.popFirst().flatMap(Canary.init(name:)) else { return nil }
        self.canary = canary
      case "--trace": isTracing = true
      default: return nil
      }
    }
    if task == nil { return nil }
  }

  /// `90`, `90s`, `10m`, `2h`.
  private static func seconds(_ text: String) -> UInt64? {
    let factors: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600]
    guard let last = text.last, let factor = factors[last] else { return UInt64(text) }
    return UInt64(text.dropLast()).map { $0 * factor }
  }
}
