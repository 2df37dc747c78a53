import Testing

@testable import gnomon

@Suite struct MomentTests {
  /// Noon in local time, whatever that is here.
  private let noon: Int64

  init() throws {
    noon = try #require(Moment.parse("2030-01-31T12:00", now: 0))
  }

  @Test(arguments: [
    ("2030-01-31T08:55", "2030-01-31 08:55:00"), ("2030-2-28 8:05", "2030-02-28 08:05:00"),
    ("2028-02-29T23:59", "2028-02-29 23:59:00"),
    // The next time that it is so late.
    ("12:00", "2030-01-31 12:00:00"), ("23:59", "2030-01-31 23:59:00"), ("11:59", "2030-02-01 11:59:00"),
  ])
  func timesAreRead(text: String, meaning: String) {
    #expect(Moment.parse(text, now: noon).map(Moment.text) == meaning)
  }

  @Test(arguments: [
    "", "8", "8:x:55", "8:55:", ":55", "8:55:00", "24:00", "8:60", "+8:55", "-8:55", "8h:55", "x8:55",
    "tomorrow",
    "2030-02-31T08:55", "2029-02-29T08:55", "2030-13-01T08:55", "2030-00-01T08:55", "2030-01-00T08:55",
    "2030-01T08:55", "2030-01-31-1T08:55", "2030-x-01-31T08:55", "2030-01-31", "2030-01-31T08:55T09:00",
    "99999999999-01-01T08:55",
  ])
  func whatIsNoTimeIsRefused(text: String) {
    #expect(Moment.parse(text, now: noon) == nil)
  }
}
