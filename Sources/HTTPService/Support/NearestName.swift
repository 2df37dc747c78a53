/// Guesses what somebody meant who wrote a name that does not exist.
public enum NearestName {
  /// The candidate that is closest to `name` by edits, if it is close enough to be worth a suggestion.
  public static func suggestion(for name: String, among candidates: [String]) -> String? {
    let limit = max(1, min(3, name.count / 3))
    var best: (name: String, distance: Int)?
    for candidate in candidates {
      let distance = distance(Array(name.lowercased()), Array(candidate.lowercased()))
      if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
  }

  /// A remedy that names the suggestion, or else everything that is allowed.
  public static func remedy(for name: String, among candidates: [String]) -> String {
    if let suggestion = suggestion(for: name, among: candidates) { return "did you mean '\(suggestion)'?" }
    return "allowed: " + candidates.joined(separator: ", ")
  }

  /// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    // Names of people's making may be long; a suggestion for those is worth nothing.
    guard left.count <= 64, right.count <= 64 else { return .max }
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for row in 0..<left.count {
      var current = [row + 1]
      for column in 0..<right.count {
        let same = left[row] == right[column]
        var least = min(last[column] + (same ? 0 : 1), last[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          least = min(least, beforeLast[column - 1] + 1)
        }
        current.append(least)
      }
      beforeLast = last
      last = current
    }
    return last[right.count]
  }
}
