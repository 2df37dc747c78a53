import Measurement
import Platform
import Primitives

/// The file in which a pool keeps the history of its loads: `DIR/history`, a `KeptFile` with the volumes,
/// then the stores (layout: RecordedLoads).
struct HistoryFile {
  private let file: KeptFile

  init(directory: String) {
    file = KeptFile("history", in: directory, magic: "GNOMONHI", version: 1, what: "history of loads")
  }

  /// Replaces the file, durably.
  func write(_ loads: RecordedLoads) throws(SystemError) {
    var content = ByteWriter()
    loads.write(to: &content)
    try file.write(content)
  }

  /// What was kept; nil if there is no file.
  ///
  /// - Throws: `corrupt`, `invalid` or `system` if it can not be read, or makes no sense.
  func read(nowSeconds: Int) throws(GnomonError) -> RecordedLoads? {
    try file.read { bytes, _ in RecordedLoads(from: &bytes, nowSeconds: nowSeconds) }
  }
}
