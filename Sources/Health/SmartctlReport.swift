import FoundationEssentials

/// Why a report of `smartctl` could not be used.
public enum SmartctlProblem: Error, Equatable, Sendable {
  /// It is longer than any that `smartctl` writes.
  case tooLong(bytes: Int)
  /// It is no JSON, or fields that matter are not of their kind.
  case malformed(cause: String)
  /// It tells nothing of a device's health: the device has no S.M.A.R.T., or could not be opened.
  case noHealth(cause: String?)
}

/// Reads what `smartctl --json --all DEVICE` (smartmontools 7) has written, of ATA and NVMe devices.
public enum SmartctlReport {
  /// Bytes that a report may have. Those of devices with long error logs have about 100 KiB.
  public static let bytesMax = 1 << 20

  /// The summary of a report.
  public static func parse(_ bytes: [UInt8]) throws(SmartctlProblem) -> MediaSummary {
    guard bytes.count <= bytesMax else { throw .tooLong(bytes: bytes.count) }
    let report: Report
    do {
      report = try JSONDecoder().decode(Report.self, from: Data(bytes))
    } catch {
      throw .malformed(cause: words(for: error))
    }
    guard report.status != nil || report.nvme != nil || report.attributes != nil else {
      throw .noHealth(cause: report.program?.messages?.first?.string)
    }
    var summary = MediaSummary()
    summary.hasPassed = report.status?.passed
    summary.temperature = report.temperature?.current
    if let log = report.nvme { read(log, into: &summary) }
    if let table = report.attributes?.table { read(table, into: &summary) }
    return summary
  }

  private static func words(for error: any Error) -> String {
    switch error as? DecodingError {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context):
      let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined()
      return "$\(path) is not of its kind"
    // The decoder does not tell one from the other.
    default: return "it is no JSON, or has a number out of bounds"
    }
  }

  private static func read(_ log: NVMeLog, into summary: inout MediaSummary) {
    summary.warnings = NVMeWarnings(rawValue: log.criticalWarning ?? 0)
    summary.wearPercent = log.percentageUsed
    summary.sparePercent = log.availableSpare
    summary.spareThresholdPercent = log.availableSpareThreshold
    summary.uncorrectableErrors = log.mediaErrors
  }

  private static func read(_ table: [Attribute], into summary: inout MediaSummary) {
    func raw(_ id: Int) -> UInt64? { table.first { $0.id == id }?.raw?.value }
    summary.reallocatedSectors = raw(5)
    summary.pendingSectors = raw(197)
    summary.uncorrectableErrors = [raw(187), raw(198)].compactMap { $0 }.max()
    summary.failingAttribute = table.first { $0.whenFailed == "now" }?.name
    let life = table.filter { Self.lifeNames.contains($0.name ?? "") }.compactMap(\.value).min()
    summary.wearPercent = life.map { max(0, 100 - $0) }
  }

  /// Attributes of SSDs that count life down from 100. By name, since vendors use their numbers (173, 177,
  /// 202, 231, 233) for other things too.
  private static let lifeNames: Set = [
    "Wear_Leveling_Count", "Percent_Lifetime_Remain", "SSD_Life_Left", "Media_Wearout_Indicator",
  ]
}

extension SmartctlReport {
  /// The fields of a report that are used.
  private struct Report: Decodable {
    struct Status: Decodable {
      var passed: Bool?
    }
    struct Temperature: Decodable {
      var current: Double?
    }
    struct Message: Decodable {
      var string: String?
    }
    struct Program: Decodable {
      var messages: [Message]?
    }
    struct Attributes: Decodable {
      var table: [Attribute]?
    }

    var program: Program?
    var status: Status?
    var temperature: Temperature?
    var attributes: Attributes?
    var nvme: NVMeLog?

    private enum CodingKeys: String, CodingKey {
      case program = "smartctl"
      case status = "smart_status"
      case temperature
      case attributes = "ata_smart_attributes"
      case nvme = "nvme_smart_health_information_log"
    }
  }

  private struct Attribute: Decodable {
    struct Raw: Decodable {
      var value: UInt64?
    }

    var id: Int
    var name: String?
    var value: Double?
    var whenFailed: String?
    var raw: Raw?

    private enum CodingKeys: String, CodingKey {
      case id, name, value
      case whenFailed = "when_failed"
      case raw
    }
  }

  private struct NVMeLog: Decodable {
    var criticalWarning: UInt8?
    var percentageUsed: Double?
    var availableSpare: Double?
    var availableSpareThreshold: Double?
    var mediaErrors: UInt64?

    private enum CodingKeys: String, CodingKey {
      case criticalWarning = "critical_warning"
      case percentageUsed = "percentage_used"
      case availableSpare = "available_spare"
      case availableSpareThreshold = "available_spare_threshold"
      case mediaErrors = "media_errors"
    }
  }
}
