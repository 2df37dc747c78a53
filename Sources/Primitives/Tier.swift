/// The classes of speed that stores are of, as people count and write them.
public enum Tier {
  /// The slowest; 0 is the fastest.
  public static let max = 255

  /// What people call a tier, like `tier0`.
  public static func name(_ tier: Int) -> String { "tier\(tier)" }

  /// Reads `tier0` or `0`; nil if it is neither, or beyond `max`.
  public static func parse(_ text: some StringProtocol) -> Int? {
    let digits = text.hasPrefix("tier") ? text.dropFirst(4) : text[...]
    // Int would take a sign.
    guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let tier = Int(digits), tier <= max
    else { return nil }
    return tier
  }
}

/// Some of the tiers that there can be: a bit for each, so that it can be handed around without memory.
public struct TierSet: Sendable, Hashable, CustomStringConvertible {
  // Fields, as a vector would be aligned to 32 bytes, which asynchronous functions do not keep.
  private var first: UInt64 = 0
  private var second: UInt64 = 0
  private var third: UInt64 = 0
  private var fourth: UInt64 = 0

  /// Words of bits.
  public static let wordCount = (Tier.max + 1) / UInt64.bitWidth

  /// No tier.
  public init() {}

  /// Bit `n % 64` of word `n / 64` is for tier n.
  public subscript(word number: Int) -> UInt64 {
    get {
      switch number {
      case 0: first
      case 1: second
      case 2: third
      default: fourth
      }
    }
    set {
      switch number {
      case 0: first = newValue
      case 1: second = newValue
      case 2: third = newValue
      default: fourth = newValue
      }
    }
  }

  /// These tiers, each from 0 to `Tier.max`.
  public init(_ tiers: some Sequence<Int>) {
    self.init()
    for tier in tiers { insert(tier) }
  }

  /// Reads a list like `tier0,tier2`; `0+2` is the same, for places where a comma means something else.
  /// `none` is no tier. Nil if it is no such list.
  public init?(parsing text: String) {
    self.init()
    if text == TierRules.noneWord { return }
    for part in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "," || $0 == "+" }) {
      guard let tier = Tier.parse(part) else { return nil }
      insert(tier)
    }
  }

  /// Whether there is no tier in it.
  public var isEmpty: Bool { self == TierSet() }

  /// Whether a tier is in it; false of one that can not be.
  public func contains(_ tier: Int) -> Bool {
    (0...Tier.max).contains(tier) && self[word: tier / 64] & Self.bit(tier) != 0
  }

  /// Adds a tier, from 0 to `Tier.max`.
  public mutating func insert(_ tier: Int) {
    precondition((0...Tier.max).contains(tier), "a tier that can not be")
    self[word: tier / 64] |= Self.bit(tier)
  }

  /// All of them, the fastest first.
  public var tiers: [Int] { (0...Tier.max).filter(contains) }

  /// As it is read: `tier0,tier2`, or `none`.
  public var description: String {
    isEmpty ? TierRules.noneWord : tiers.map(Tier.name).joined(separator: ",")
  }

  private static func bit(_ tier: Int) -> UInt64 { 1 << UInt64(tier % 64) }
}

/// A list of numbers on the wire.
extension TierSet: Codable {
  /// Reads the list; refuses what can not be a tier.
  public init(from decoder: any Decoder) throws {
    let tiers = try [Int](from: decoder)
    guard tiers.allSatisfy((0...Tier.max).contains) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a tier that can not be"))
    }
    self.init(tiers)
  }

  /// Writes the list, the fastest first.
  public func encode(to encoder: any Encoder) throws {
    try tiers.encode(to: encoder)
  }
}
