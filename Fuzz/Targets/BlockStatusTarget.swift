import NBDWire

/// The builder of BLOCK_STATUS replies, with a request and runs made up from the input.
///
/// Properties: it writes within its room and as much as it says; the reply obeys the protocol; every
/// descriptor tells the status that its range was given.
enum BlockStatusTarget {
  /// A stretch of equal status.
  struct Run: Equatable {
    var length: UInt64
    var status: UInt64
  }

  private static let canary: UInt8 = 0xa5

  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    var reader = InputReader(input)
    let choices = reader.byte()
    let format = choices & 1 == 0 ? ReplyFormat.structured : .extended
    let isOne = choices & 2 != 0
    let granularity = UInt32(1) << UInt32(choices >> 2 & 15)
    let room = BlockStatusBuilder.bytesMin(format) + Int(reader.byte())
    let length = max(1, reader.sizedNumber() & (format == .extended ? .max : UInt64(UInt32.max)))
    let request = RequestHeader(
      .blockStatus, flags: isOne ? .requestOne : [], cookie: 0x0102_0304_0506_0708, offset: 4096,
      length: length)

    var bytes = [UInt8](repeating: canary, count: room + 32)
    var given: [Run] = []
    let size = unsafe bytes.withUnsafeMutableBytes { buffer in
      var builder = unsafe BlockStatusBuilder(
        format: format, into: buffer.baseAddress!, capacityBytes: room, request: request, contextID: 7,
        granularityBytes: granularity)
      while !reader.isAtEnd {
        let run = Run(length: reader.sizedNumber(), status: UInt64(reader.byte() & 3))
        given.append(run)
        if !builder.append(length: run.length, status: UInt32(run.status)) { break }
      }
      return builder.finish(done: true)
    }
    try require(size <= room, "\(size) bytes in a room of \(room)")
    try require(bytes[size...].allSatisfy { $0 == canary }, "bytes behind the end are overwritten")
    let told = try runs(of: bytes[..<size], format)
    try require(!isOne || told.count == 1, "\(told.count) descriptors where one was asked for")
    let widest = (format == .extended ? UInt64.max : UInt64(UInt32.max)) & ~(UInt64(granularity) - 1)
    try compare(told, given, length: length, isOne: isOne, widest: widest)
  }

  /// Takes a reply apart.
  private static func runs(
    of bytes: ArraySlice<UInt8>, _ format: ReplyFormat
  ) throws(PropertyFailure) -> [Run] {
    let isExtended = format == .extended
    let width = isExtended ? 8 : 4
    let header = bytes.prefix(format.headerBytes)
    let payload = bytes.dropFirst(format.headerBytes)
    try require(bigEndian(header.prefix(4)) == (isExtended ? 0x6e8a_278c : 0x668e_33ef), "wrong magic number")
    try require(bigEndian(header.dropFirst(4).prefix(2)) == 1, "wrong flags")
    try require(bigEndian(header.dropFirst(6).prefix(2)) == (isExtended ? 6 : 5), "wrong type")
    try require(bigEndian(header.dropFirst(8).prefix(8)) == 0x0102_0304_0506_0708, "wrong cookie")
    try require(bigEndian(header.suffix(width)) == UInt64(payload.count), "wrong length")
    try require(bigEndian(payload.prefix(4)) == 7, "wrong context")
    let list = Array(payload.dropFirst(isExtended ? 8 : 4))
    try require(!list.isEmpty && list.count % (2 * width) == 0, "no whole number of descriptors")
    if isExtended {
      let count = bigEndian(payload.dropFirst(4).prefix(4))
      try require(count == UInt64(list.count / 16), "wrong number of descriptors")
    }
    return stride(from: 0, to: list.count, by: 2 * width).map { place in
      Run(
        length: bigEndian(list[place..<place + width]),
        status: bigEndian(list[place + width..<place + 2 * width]))
    }
  }

  private static func compare(
    _ told: [Run], _ given: [Run], length: UInt64, isOne: Bool, widest: UInt64
  ) throws(PropertyFailure) {
    // Without a run the whole request has status 0.
    let given = given.contains { $0.length > 0 } ? given : [Run(length: length, status: 0)]
    var position: UInt64 = 0
    for (index, descriptor) in told.enumerated() {
      try require(descriptor.length > 0 && descriptor.length <= widest, "a descriptor of wrong length")
      try require(position < length, "a descriptor that begins behind the request")
      if index > 0, told[index - 1].status == descriptor.status {
        try require(told[index - 1].length == widest, "two descriptors where one is enough")
      }
      let end = position.addingReportingOverflow(descriptor.length)
      let last = end.overflow ? .max : end.partialValue
      try require(!isOne || last <= length, "the one descriptor goes beyond the request")
      try require(
        statuses(of: given, from: position, to: last) == [descriptor.status],
        "a descriptor tells a wrong status")
      position = last
    }
  }

  /// Every status within a range.
  private static func statuses(of runs: [Run], from start: UInt64, to end: UInt64) -> Set<UInt64> {
    var found: Set<UInt64> = []
    var position: UInt64 = 0
    for run in runs where run.length > 0 {
      let sum = position.addingReportingOverflow(run.length)
      let last = sum.overflow ? .max : sum.partialValue
      if position < end, last > start { found.insert(run.status) }
      position = last
    }
    return found
  }
}
