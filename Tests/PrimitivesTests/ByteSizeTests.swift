import Primitives
import Testing

@Suite struct ByteSizeTests {
  private static let sizes: [(String, UInt64)] = [
    ("0", 0), ("512", 512), ("64K", 65536), ("64k", 65536), ("64KB", 65536), ("64KiB", 65536),
    ("64kib", 65536), ("10G", 10_737_418_240), ("10GiB", 10_737_418_240), ("1.5T", 1_649_267_441_664),
    ("0.5K", 512), ("2P", 2_251_799_813_685_248), ("7B", 7), ("1.000000G", 1_073_741_824),
    ("9223372036854775807", 9_223_372_036_854_775_807), ("8191P", 9_222_246_136_947_933_184),
    ("0.000000P", 0), ("0.015625K", 16),
  ]

  @Test(arguments: sizes)
  func sizesAreRead(_ text: String, _ bytes: UInt64) {
    #expect(ByteSize(parsing: text)?.rawValue == bytes)
  }

  @Test(arguments: [
    "", " ", "K", "GiB", "-1", "+1", "1 G", " 1G", "1G ", "1Gi", "1Ki", "1KiBB", "1BB", "1X", "1E", "0x10",
    "1..5G", "1.5.5G", ".5G", "1.G", "1.5", "1.3B", "0.3K", "1.0000001G", "9223372036854775808", "8192P",
    "18446744073709551616", "99999999999999999999P", "16384P", "١K", "1e3", "1_000", "½G",
  ])
  func otherTextIsRefused(_ text: String) {
    #expect(ByteSize(parsing: text) == nil)
  }

  @Test func sizesAreShownInTheLargestUnit() {
    let shown: [(UInt64, String)] = [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1 << 20, "1 MiB"),
      ((1 << 20) - 1, "1023.9 KiB"), (10 << 30, "10 GiB"), (3 << 39, "1.5 TiB"), (1 << 50, "1 PiB"),
      (UInt64(Int64.max), "7.9 EiB"), (.max, "15.9 EiB"),
    ]
    for (bytes, text) in shown { #expect(ByteSize(rawValue: bytes).description == text) }
  }

  @Test func everyWayToWriteASizeMeansTheSame() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<500 {
      let bytes = generator.next() >> UInt64(1 + generator.below(62))
      #expect(ByteSize(parsing: "\(bytes)")?.rawValue == bytes)
      #expect(ByteSize(parsing: "\(bytes)B")?.rawValue == bytes)
      for (power, unit) in ["K", "M", "G", "T", "P"].enumerated() {
        let shift = UInt64(10 * (power + 1))
        let product = bytes.multipliedReportingOverflow(by: 1 << shift)
        let fits = !product.overflow && product.partialValue <= UInt64(Int64.max)
        for suffix in ["", "B", "iB", "ib"] {
          let parsed = ByteSize(parsing: "\(bytes)\(unit)\(suffix)")
          #expect(parsed?.rawValue == (fits ? product.partialValue : nil))
        }
      }
    }
  }

  @Test func whatIsShownWithoutAFractionReadsBack() {
    for power in 0..<63 as Range<UInt64> {
      let size = ByteSize(rawValue: 1 << power)
      guard power < 60 else { continue }
      #expect(ByteSize(parsing: size.description.filter { $0 != " " }) == size)
    }
  }

  @Test func sizesAreOrdered() {
    #expect(ByteSize(rawValue: 1) < ByteSize(rawValue: 2))
    #expect(!(ByteSize(rawValue: 2) < ByteSize(rawValue: 2)))
  }
}
