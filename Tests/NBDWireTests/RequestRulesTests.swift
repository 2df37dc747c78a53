import NBDWire
import Primitives
import Testing

@Suite struct RequestRulesTests {
  static let size: UInt64 = 1 << 40
  static let mebibyte: UInt64 = 1 << 20

  static func rules(
    _ style: ReplyFormat = .structured, flags: TransmissionFlags? = nil, minimum: UInt32 = 1,
    payloadMaximum: UInt32 = 32 << 20, hasContexts: Bool = true
  ) -> RequestRules {
    var export = ExportInfo.disk
    export.transmissionFlags = (flags ?? export.transmissionFlags).announced(
      structuredReplies: style != .simple)
    export.blockSizeMinimum = minimum
    export.payloadMaximum = payloadMaximum
    return RequestRules(
      Negotiated(
        export: export, structuredReplies: style != .simple, extendedHeaders: style == .extended,
        contexts: hasContexts ? [NegotiatedContext(id: 1, name: "base:allocation")] : []))
  }

  static func judge(
    _ command: Command, _ flags: CommandFlags = [], offset: UInt64 = 0, length: UInt64 = 4096,
    size: UInt64 = size, under rules: RequestRules = rules()
  ) -> Verdict {
    rules.judge(RequestHeader(command, flags: flags, offset: offset, length: length), sizeBytes: size)
  }

  /// A valid request of each command.
  static func valid(_ command: Command, _ style: ReplyFormat = .structured) -> RequestHeader {
    switch command {
    case .flush: RequestHeader(.flush)
    case .write: RequestHeader(.write, flags: style == .extended ? .payloadLength : [], length: 4096)
    default: RequestHeader(command, length: 4096)
    }
  }

  @Test(arguments: ReplyFormat.allCases)
  func validRequestsAreAccepted(style: ReplyFormat) {
    for command in Command.allCases where command != .disconnect {
      let verdict = Self.rules(style).judge(Self.valid(command, style), sizeBytes: Self.size)
      #expect(verdict == .accept, "\(command)")
    }
  }

  @Test(arguments: ReplyFormat.allCases)
  func flagsAreValidOnlyForTheirCommands(style: ReplyFormat) {
    let rules = Self.rules(style)
    let homes: [(CommandFlags, Set<Command>)] = [
      (.forceUnitAccess, Set(Command.allCases)),
      (.noHole, [.writeZeroes]), (.fastZero, [.writeZeroes]),
      (.dontFragment, style == .simple ? [] : [.read]),
      (.requestOne, [.blockStatus]),
    ]
    for command in Command.allCases where command != .disconnect {
      for (flag, commands) in homes {
        var header = Self.valid(command, style)
        header.flags.insert(flag)
        let expected = commands.contains(command) ? Verdict.accept : .reject(.invalid)
        #expect(rules.judge(header, sizeBytes: Self.size) == expected, "\(command) \(flag)")
      }
      for bit in 6..<16 {
        var header = Self.valid(command, style)
        header.flags.insert(CommandFlags(rawValue: 1 << UInt16(bit)))
        #expect(rules.judge(header, sizeBytes: Self.size) == .reject(.invalid), "\(command) bit \(bit)")
      }
    }
  }

  @Test func flagsThatWereNotAnnouncedAreInvalid() {
    let bare = Self.rules(flags: [.sendWriteZeroes])
    #expect(Self.judge(.read, .forceUnitAccess, under: bare) == .reject(.invalid))
    #expect(Self.judge(.write, .forceUnitAccess, under: bare) == .reject(.invalid))
    #expect(Self.judge(.read, .dontFragment, under: bare) == .reject(.invalid))
    #expect(Self.judge(.writeZeroes, .fastZero, under: bare) == .reject(.invalid))
    #expect(Self.judge(.writeZeroes, .noHole, under: bare) == .accept)
  }

  @Test func commandsThatWereNotAnnouncedAreInvalid() {
    let bare = Self.rules(flags: [], hasContexts: false)
    for command: Command in [.flush, .trim, .cache, .writeZeroes, .blockStatus] {
      #expect(bare.judge(Self.valid(command), sizeBytes: Self.size) == .reject(.invalid), "\(command)")
    }
    #expect(Self.judge(.read, under: bare) == .accept)
    #expect(Self.judge(.write, under: bare) == .accept)
  }

  @Test(arguments: [8, 9, 255, 256, 0x8000, 0xffff] as [UInt16])
  func unknownCommandsAreInvalid(number: UInt16) {
    for style in ReplyFormat.allCases {
      let header = RequestHeader(commandNumber: number, cookie: 1, offset: 0, length: 0)
      #expect(Self.rules(style).judge(header, sizeBytes: Self.size) == .reject(.invalid))
    }
  }

  @Test func aReadOnlyExportPermitsNoChange() {
    var flags = ExportInfo.disk.transmissionFlags
    flags.insert(.readOnly)
    for given in [flags, [.readOnly]] as [TransmissionFlags] {
      let rules = Self.rules(flags: given)
      for command: Command in [.write, .trim, .writeZeroes] {
        #expect(Self.judge(command, under: rules) == .reject(.notPermitted), "\(command)")
      }
      #expect(Self.judge(.read, under: rules) == .accept)
    }
    #expect(Self.judge(.cache, under: Self.rules(flags: flags)) == .accept)
    #expect(Self.rules(flags: flags).judge(RequestHeader(.flush), sizeBytes: Self.size) == .accept)
  }

  @Test func theEndOfTheVolumeIsAHardBorder() {
    let errors: [(Command, NBDErrno)] = [
      (.read, .invalid), (.write, .noSpace), (.trim, .invalid), (.cache, .invalid), (.writeZeroes, .noSpace),
      (.blockStatus, .invalid),
    ]
    for (command, errno) in errors {
      #expect(Self.judge(command, offset: Self.size - 4096) == .accept, "\(command)")
      for (offset, length) in [
        (Self.size - 4095, 4096), (Self.size, 1), (Self.size + 1, 1), (UInt64.max, 1), (UInt64.max, 4096),
        (UInt64.max - 4095, 4096), (0, Self.size + 1),
      ] as [(UInt64, UInt64)] where command != .write || length <= 4096 {
        let verdict = Self.judge(command, offset: offset, length: length)
        #expect(verdict == .reject(errno), "\(command) \(offset) \(length)")
      }
    }
  }

  @Test func lengthsOfSixtyFourBitsDoNotWrapAround() {
    let extended = Self.rules(.extended)
    for command: Command in [.read, .trim, .cache, .blockStatus] {
      #expect(
        Self.judge(command, offset: 2, length: .max, under: extended) == .reject(.invalid), "\(command)")
      #expect(
        Self.judge(command, offset: .max, length: .max, under: extended) == .reject(.invalid), "\(command)")
    }
    #expect(Self.judge(.writeZeroes, offset: 1, length: .max, under: extended) == .reject(.noSpace))
    #expect(Self.judge(.trim, length: Self.size, under: extended) == .accept)
    #expect(Self.judge(.blockStatus, length: Self.size, under: extended) == .accept)
  }

  @Test func theCurrentSizeCounts() {
    #expect(Self.judge(.read, offset: 8192, size: 8192) == .reject(.invalid))
    #expect(Self.judge(.read, offset: 8192, size: 12288) == .accept)
    #expect(Self.judge(.read, length: 1, size: 0) == .reject(.invalid))
  }

  @Test func requestsOfLengthZeroDoNothing() {
    for command: Command in [.read, .write, .trim, .cache, .writeZeroes] {
      #expect(Self.judge(command, offset: 0, length: 0) == .accept, "\(command)")
      #expect(Self.judge(command, offset: Self.size, length: 0) == .accept, "\(command)")
      #expect(Self.judge(command, offset: Self.size + 1, length: 0) != .accept, "\(command)")
    }
    #expect(Self.judge(.blockStatus, length: 0) == .reject(.invalid))
  }

  @Test func readsBeyondTheMaximumAreRefused() {
    #expect(Self.judge(.read, length: 32 * Self.mebibyte) == .accept)
    #expect(Self.judge(.read, length: 32 * Self.mebibyte + 1) == .reject(.invalid))
    #expect(Self.judge(.read, .dontFragment, length: 32 * Self.mebibyte) == .accept)
    #expect(Self.judge(.read, .dontFragment, length: 32 * Self.mebibyte + 1) == .reject(.overflow))
    #expect(Self.judge(.read, length: UInt64(UInt32.max)) == .reject(.invalid))
  }

  @Test func commandsWithoutDataMayBeLonger() {
    for command: Command in [.trim, .cache, .writeZeroes, .blockStatus] {
      #expect(Self.judge(command, length: UInt64(UInt32.max)) == .accept, "\(command)")
    }
  }

  @Test func writesBeyondTheMaximumAreSkippedUpToABound() {
    let rules = Self.rules()
    #expect(Self.judge(.write, length: 32 * Self.mebibyte) == .accept)
    #expect(Self.judge(.write, length: 32 * Self.mebibyte + 1) == .reject(.invalid))
    #expect(Self.judge(.write, length: 64 * Self.mebibyte) == .reject(.invalid))
    #expect(Self.judge(.write, length: 64 * Self.mebibyte + 1) == .disconnect)
    #expect(rules.skipBytesMax == 64 * Self.mebibyte)
    // Even a small maximum leaves 32 MiB that are no denial of service.
    #expect(Self.rules(payloadMaximum: 65536).skipBytesMax == 32 * Self.mebibyte)
    // The stream comes first, the reason of the refusal second.
    let readOnly = Self.rules(flags: [.readOnly])
    #expect(Self.judge(.write, length: 64 * Self.mebibyte, under: readOnly) == .reject(.notPermitted))
    #expect(Self.judge(.write, length: 64 * Self.mebibyte + 1, under: readOnly) == .disconnect)
  }

  @Test func aMaximumOfThirtyTwoBitsLeavesRoomForTheChunk() {
    let rules = Self.rules(payloadMaximum: .max)
    #expect(rules.payloadBytesMax == UInt64(UInt32.max) - 8)
  }

  @Test func compactWritesHavePayloadAndNothingElse() {
    let rules = Self.rules()
    for command in Command.allCases {
      let expected: UInt64 = command == .write ? 77 : 0
      #expect(rules.payloadBytes(of: RequestHeader(command, length: 77)) == expected)
      // The flag does not exist without extended headers, so that it announces nothing.
      let flagged = RequestHeader(command, flags: .payloadLength, length: 77)
      #expect(rules.payloadBytes(of: flagged) == expected)
      if command != .disconnect {
        #expect(rules.judge(flagged, sizeBytes: Self.size) == .reject(.invalid))
      }
    }
  }

  @Test func extendedPayloadsAreAnnouncedByTheFlag() {
    let rules = Self.rules(.extended)
    for number: UInt16 in 0...9 {
      let plain = RequestHeader(commandNumber: number, cookie: 0, offset: 0, length: 77)
      var flagged = plain
      flagged.flags = .payloadLength
      #expect(rules.payloadBytes(of: plain) == 0)
      #expect(rules.payloadBytes(of: flagged) == 77)
      guard number != Command.disconnect.rawValue else { continue }
      let expected = number == Command.write.rawValue ? Verdict.accept : .reject(.invalid)
      #expect(rules.judge(flagged, sizeBytes: Self.size) == expected, "command \(number)")
      flagged.length = 64 * Self.mebibyte + 1
      #expect(rules.judge(flagged, sizeBytes: Self.size) == .disconnect, "command \(number)")
    }
    // A WRITE must have the flag.
    #expect(Self.judge(.write, under: rules) == .reject(.invalid))
    #expect(Self.judge(.write, [.payloadLength, .forceUnitAccess], under: rules) == .accept)
  }

  @Test func flushTakesNoRange() {
    let rules = Self.rules()
    #expect(rules.judge(RequestHeader(.flush), sizeBytes: 0) == .accept)
    #expect(rules.judge(RequestHeader(.flush, offset: 1), sizeBytes: Self.size) == .reject(.invalid))
    #expect(rules.judge(RequestHeader(.flush, length: 1), sizeBytes: Self.size) == .reject(.invalid))
  }

  @Test func disconnectIsObeyedWhateverItCarries() {
    for style in ReplyFormat.allCases {
      for flags: UInt16 in [0, 1, 0x20, 0xffff] {
        let header = RequestHeader(
          .disconnect, flags: CommandFlags(rawValue: flags), offset: 5, length: .max)
        #expect(Self.rules(style).judge(header, sizeBytes: Self.size) == .finish)
      }
    }
  }

  @Test func requestsMustBeAlignedToTheMinimumBlockSize() {
    let rules = Self.rules(minimum: 512)
    for command: Command in [.read, .write, .trim, .cache, .writeZeroes, .blockStatus] {
      #expect(Self.judge(command, offset: 512, length: 1024, under: rules) == .accept, "\(command)")
      #expect(Self.judge(command, offset: 511, length: 1024, under: rules) == .reject(.invalid), "\(command)")
      #expect(Self.judge(command, offset: 512, length: 1023, under: rules) == .reject(.invalid), "\(command)")
    }
  }

  @Test func blockStatusNeedsAContext() {
    #expect(Self.judge(.blockStatus, under: Self.rules(hasContexts: false)) == .reject(.invalid))
    #expect(Self.judge(.blockStatus, .requestOne) == .accept)
  }

  /// The rules once more, written down in the plainest way, against random requests.
  static func model(_ header: RequestHeader, size: UInt64, readOnly: Bool, extended: Bool) -> Verdict {
    guard let command = header.command else {
      let payload = extended && header.flags.contains(.payloadLength) ? header.length : 0
      return payload > 64 * mebibyte ? .disconnect : .reject(.invalid)
    }
    if command == .disconnect { return .finish }
    let hasPayload = extended ? header.flags.contains(.payloadLength) : command == .write
    if hasPayload, header.length > 64 * mebibyte { return .disconnect }
    if readOnly, [.write, .trim, .writeZeroes].contains(command) { return .reject(.notPermitted) }
    var allowed: CommandFlags = [.forceUnitAccess]
    if command == .read { allowed.insert(.dontFragment) }
    if command == .writeZeroes { allowed.formUnion([.noHole, .fastZero]) }
    if command == .blockStatus { allowed.insert(.requestOne) }
    if command == .write, extended {
      allowed.insert(.payloadLength)
      if !hasPayload { return .reject(.invalid) }
    }
    if !header.flags.isSubset(of: allowed) { return .reject(.invalid) }
    if command == .flush { return header.offset | header.length == 0 ? .accept : .reject(.invalid) }
    let (end, overflow) = header.offset.addingReportingOverflow(header.length)
    if overflow || end > size {
      return .reject([.write, .writeZeroes].contains(command) ? .noSpace : .invalid)
    }
    if command == .blockStatus, header.length == 0 { return .reject(.invalid) }
    if command == .read || command == .write, header.length > 32 * mebibyte {
      return .reject(header.flags.contains(.dontFragment) ? .overflow : .invalid)
    }
    return .accept
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func randomRequestsAreJudgedAsTheModelDoes(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let interesting: [UInt64] = [
      0, 1, 4096, 32 * Self.mebibyte, 32 * Self.mebibyte + 1, 64 * Self.mebibyte + 1, Self.size - 1,
      Self.size,
      Self.size + 1, .max - 4096, .max,
    ]
    var accepted = 0
    for round in 0..<20_000 {
      let extended = Bool.random(using: &generator)
      let readOnly = Int.random(in: 0..<4, using: &generator) == 0
      let lengthMax: UInt64 = extended ? .max : UInt64(UInt32.max)
      let header = RequestHeader(
        flags: CommandFlags(rawValue: UInt16(truncatingIfNeeded: generator.next() & generator.next() & 0x7f)),
        commandNumber: UInt16.random(in: 0...8, using: &generator), cookie: generator.next(),
        offset: interesting.randomElement(using: &generator) ?? 0,
        length: min(lengthMax, interesting.randomElement(using: &generator) ?? 0))
      var flags = ExportInfo.disk.transmissionFlags
      if readOnly { flags.insert(.readOnly) }
      let verdict = Self.rules(extended ? .extended : .structured, flags: flags)
        .judge(header, sizeBytes: Self.size)
      let expected = Self.model(header, size: Self.size, readOnly: readOnly, extended: extended)
      #expect(verdict == expected, "seed \(seed), round \(round): \(header)")
      if verdict == .accept { accepted += 1 }
    }
    #expect(accepted > 500)
  }
}
