import Primitives
import Testing

@testable import Health

@Suite struct SmartctlReportTests {
  private static let nvme = """
    {
      "json_format_version": [1, 0],
      "smartctl": {"version": [7, 3], "argv": ["smartctl", "--json"], "exit_status": 0},
      "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
      "smart_status": {"passed": true, "nvme": {"value": 0}},
      "nvme_smart_health_information_log": {
        "critical_warning": 5, "temperature": 41, "available_spare": 8, "available_spare_threshold": 10,
        "percentage_used": 104, "data_units_read": 340282366920938463, "media_errors": 17,
        "num_err_log_entries": 3, "temperature_sensors": [41, 52]
      },
      "temperature": {"current": 41}
    }
    """

  private static let ata = """
    {
      "smartctl": {"version": [7, 3], "exit_status": 4},
      "smart_status": {"passed": false},
      "ata_smart_attributes": {
        "revision": 16,
        "table": [
          {"id": 1, "name": "Raw_Read_Error_Rate", "value": 83, "worst": 64, "thresh": 44,
           "when_failed": "", "raw": {"value": 200000000, "string": "200000000"}},
          {"id": 5, "name": "Reallocated_Sector_Ct", "value": 9, "worst": 9, "thresh": 10,
           "when_failed": "now", "raw": {"value": 1312, "string": "1312"}},
          {"id": 187, "name": "Reported_Uncorrect", "value": 99, "when_failed": "", "raw": {"value": 4}},
          {"id": 197, "name": "Current_Pending_Sector", "value": 100, "raw": {"value": 8}},
          {"id": 198, "name": "Offline_Uncorrectable", "value": 100, "raw": {"value": 9}},
          {"id": 231, "name": "SSD_Life_Left", "value": 15, "raw": {"value": 15}}
        ]
      },
      "temperature": {"current": 33}
    }
    """

  private func parse(_ text: String) throws(SmartctlProblem) -> MediaSummary {
    try SmartctlReport.parse(Array(text.utf8))
  }

  @Test func nvmeIsRead() throws {
    let media = try parse(Self.nvme)
    #expect(media.hasPassed == true)
    #expect(media.warnings == [.spare, .reliability])
    #expect(media.wearPercent == 104)
    #expect(media.sparePercent == 8)
    #expect(media.spareThresholdPercent == 10)
    #expect(media.uncorrectableErrors == 17)
    #expect(media.temperature == 41)
    #expect(media.reallocatedSectors == nil)
    #expect(MediaScore(media).score > 95)
  }

  @Test func ataIsRead() throws {
    let media = try parse(Self.ata)
    #expect(media.hasPassed == false)
    #expect(media.reallocatedSectors == 1312)
    #expect(media.pendingSectors == 8)
    #expect(media.uncorrectableErrors == 9)
    #expect(media.failingAttribute == "Reallocated_Sector_Ct")
    #expect(media.wearPercent == 85)
    #expect(media.temperature == 33)
    #expect(media.warnings == [])
  }

  /// The numbers of attributes mean something else on every other device.
  @Test(arguments: [
    (#"{"id": 177, "name": "Wear_Leveling_Count", "value": 70}"#, 30.0),
    (#"{"id": 173, "name": "Wear_Leveling_Count", "value": 60}"#, 40),
    (#"{"id": 202, "name": "Percent_Lifetime_Remain", "value": 99}"#, 1),
    (#"{"id": 233, "name": "Media_Wearout_Indicator", "value": 3}"#, 97),
    (#"{"id": 202, "name": "Exception_Mode_Status", "value": 0}"#, nil),
    (#"{"id": 231, "name": "Temperature_Celsius", "value": 35}"#, nil),
    (#"{"id": 233, "name": "Unknown_SSD_Attribute", "value": 0}"#, nil), (#"{"id": 233, "value": 0}"#, nil),
  ])
  func wearIsReadByName(attribute: String, percent: Double?) throws {
    let media = try parse(#"{"ata_smart_attributes": {"table": [\#(attribute)]}}"#)
    #expect(media.wearPercent == percent)
  }

  @Test func aDeviceThatHasNothingToSay() {
    let text = #"{"smartctl": {"messages": [{"string": "Permission denied", "severity": "error"}]}}"#
    #expect(throws: SmartctlProblem.noHealth(cause: "Permission denied")) { try parse(text) }
    #expect(throws: SmartctlProblem.noHealth(cause: nil)) { try parse("{}") }
  }

  @Test func whatIsMissingIsNil() throws {
    let media = try parse(#"{"smart_status": {}, "ata_smart_attributes": {"table": []}}"#)
    #expect(media == MediaSummary())
  }

  @Test(arguments: [
    "", "smartctl: not found", "[]", "{", "nul", #"{"smart_status": 1}"#,
    #"{"ata_smart_attributes": {"table": [{"id": "five"}]}}"#,
    #"{"ata_smart_attributes": {"table": [{"name": "no id"}]}}"#,
    #"{"nvme_smart_health_information_log": {"critical_warning": 256}}"#,
    #"{"nvme_smart_health_information_log": {"media_errors": -1}}"#,
    #"{"nvme_smart_health_information_log": {"media_errors": 1e40}}"#,
  ])
  func malformedReportsAreErrors(text: String) {
    let error = #expect(throws: SmartctlProblem.self) { try parse(text) }
    guard case .malformed(let cause)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!cause.isEmpty)
  }

  @Test func theFieldThatIsWrongIsNamed() {
    #expect(throws: SmartctlProblem.malformed(cause: "$.ata_smart_attributes.table[1].id is not of its kind"))
    {
      try parse(#"{"ata_smart_attributes": {"table": [{"id": 1}, {"id": "five"}]}}"#)
    }
  }

  @Test func anEndlessReportIsRefused() {
    #expect(throws: SmartctlProblem.tooLong(bytes: SmartctlReport.bytesMax + 1)) {
      try SmartctlReport.parse([UInt8](repeating: UInt8(ascii: " "), count: SmartctlReport.bytesMax + 1))
    }
  }

  @Test func depthIsBounded() {
    let deep = String(repeating: "[", count: 200_000)
    #expect(throws: SmartctlProblem.self) { try parse(deep) }
  }

  /// Reports with bytes changed, dropped and doubled: an error or a summary with a score, never a trap.
  @Test(arguments: [nvme, ata])
  func bentReportsEndInAnErrorOrASummary(text: String) {
    var random = SeededGenerator(seed: 7)
    var read = 0
    for _ in 0..<2000 {
      var bytes = Array(text.utf8)
      for _ in 0...random.below(4) {
        let at = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.removeSubrange(at..<min(bytes.count, at + random.below(20)))
        default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(20))], at: at)
        }
      }
      if let media = try? SmartctlReport.parse(bytes) {
        read += 1
        #expect((0...100).contains(MediaScore(media).score))
      }
    }
    #expect(read > 100)
  }
}
