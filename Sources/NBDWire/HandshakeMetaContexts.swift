/// The metadata contexts that a client selected, and for which export.
struct ContextSet: Hashable {
  /// The name as the client wrote it, and the export that it meant then.
  let requestedName: String
  let exportName: String
  let contexts: [NegotiatedContext]

  /// The contexts that apply to the export that is being opened: none if the set was made for another.
  ///
  /// proto.md "NBD_OPT_SET_META_CONTEXT": the last set counts, and only if it named the same export. The
  /// export itself is compared too, because the default export may have become another one meanwhile.
  func contexts(of export: ExportInfo, requestedAs name: String) -> [NegotiatedContext] {
    guard name.isSame(as: requestedName), export.name.isSame(as: exportName) else { return [] }
    return contexts
  }
}

/// LIST_META_CONTEXT and SET_META_CONTEXT (proto.md "Metadata querying").
extension Handshake {
  mutating func answerMetaContext(_ data: [UInt8], sets: Bool) {
    // The old set is gone even if the new one fails.
    if sets { contextSet = nil }
    guard structuredReplies else {
      fail(.errorInvalid, "structured replies must be negotiated first")
      return
    }
    guard let request = MetaContextRequest(data) else {
      fail(.errorInvalid, "malformed export name or queries")
      return
    }
    guard let export = directory.export(named: request.exportName) else {
      fail(.errorUnknownExport, "there is no such export")
      return
    }
    // The position in the list of what is on offer makes the number unique, and keeps it from being zero.
    let offered = export.metaContexts.enumerated().map { index, name in
      NegotiatedContext(id: UInt32(index) + 1, name: name)
    }
    let matching = offered.filter { sets ? request.selects($0.name) : request.lists($0.name) }
    for context in matching {
      reply(.metaContext, bytes: 4 + context.name.utf8.count) { output in
        // proto.md "NBD_OPT_LIST_META_CONTEXT": the number is reserved and SHOULD be zero.
        output.append(bigEndian: sets ? context.id : 0)
        output.append(contentsOf: context.name.utf8)
      }
    }
    reply(.acknowledge)
    if sets {
      contextSet = ContextSet(
        requestedName: request.exportName, exportName: export.name, contexts: matching)
    }
  }
}

/// The data of LIST_META_CONTEXT and SET_META_CONTEXT: an export's name and queries.
struct MetaContextRequest {
  let exportName: String
  let queries: [String]

  /// nil if the data is syntactically wrong, which MUST be answered with ERR_INVALID.
  init?(_ data: [UInt8]) {
    var reader = OptionReader(data)
    guard let name = reader.nextCountedString(), let count = reader.next(UInt32.self) else { return nil }
    // The count is not trusted: it reserves nothing, and the loop ends where the data ends.
    var queries: [String] = []
    for _ in 0..<count {
      guard let query = reader.nextCountedString() else { return nil }
      queries.append(query)
    }
    guard reader.remaining == 0 else { return nil }
    exportName = name
    self.queries = queries
  }

  /// Whether a listing shows the context: no query asks for all, `namespace:` for all of the namespace.
  /// Queries of namespaces that we do not know are ignored, as they MUST be.
  func lists(_ context: String) -> Bool {
    queries.isEmpty
      || queries.contains {
        $0.isSame(as: context) || ($0.isNamespace && context.utf8.starts(with: $0.utf8))
      }
  }

  /// Whether the set gets the context: only its full name selects it, a wildcard selects nothing.
  func selects(_ context: String) -> Bool {
    queries.contains { $0.isSame(as: context) }
  }
}

extension String {
  /// Whether the bytes are the same. Unicode's own comparison takes milliseconds for some strings of 4096
  /// bytes, and finds some equal that are not the same name.
  fileprivate func isSame(as other: String) -> Bool {
    utf8.elementsEqual(other.utf8)
  }

  /// Whether this is a namespace with its colon and no leaf name, such as `base:`.
  fileprivate var isNamespace: Bool {
    utf8.count > 1 && utf8.firstIndex(of: UInt8(ascii: ":")) == utf8.index(before: utf8.endIndex)
  }
}
