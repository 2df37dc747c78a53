import Redirection

/// One request to a remote store: an entry of its session's slab.
@safe
struct RemoteRequest {
  /// What the server is asked for.
  enum Kind: UInt8 {
    case read, write, zero, trim, flush
  }

  /// Who is told of the end.
  enum Requester {
    /// The redirector of this reactor.
    case redirector(token: UInt64)
    /// That of another one.
    case peer(reactor: UInt8, token: UInt64)
    /// The control plane: by the number of the entry.
    case control
    /// The store itself: the claim was read.
    case claim
    /// The session: a write is sent again after a break.
    case resend
    /// The session: what is held for sending again becomes too much.
    case pressure

    /// Whether it ends with the connection, because it makes sense on no other.
    var isOfConnection: Bool {
      switch self {
      case .redirector, .peer, .control: false
      case .claim, .resend, .pressure: true
      }
    }
  }

  enum State: UInt8 {
    case free
    /// In a list, to be sent.
    case waiting
    /// Sent, or being sent; no answer yet.
    case inFlight
    /// Answered before the message that it is part of has left: its memory is still in use.
    case answered
    /// In the list of those whose requester is to be told.
    case ended
  }

  var kind: Kind
  var state = State.free
  var requester: Requester
  /// Of a write: the answer must mean that it is durable.
  var isDurable = false
  /// Whether it may wait for a connection when none can be had now.
  var isPatient = true
  /// It was sent with FUA.
  var isSentDurable = false
  /// It was a durable write to a server that does not know FUA, and is the flush now that follows.
  var wasWrite = false
  /// Part of the message that is being sent.
  var isBeingSent = false
  /// What its answer will be known by; nil if none is to come.
  var cookie: UInt64?
  /// It was sent over an earlier connection too.
  var isRepeated = false
  var offset: UInt64
  var length: UInt64
  /// What is written, or where what is read goes; the requester's.
  var buffer: UnsafeMutableRawPointer?
  /// Memory to keep a copy of what is written, until it is durable.
  var kept: UnsafeMutableRawPointer?
  /// Whether it has a place among the unflushed.
  var isReserved = false
  /// Of a flush: what was acknowledged before it was sent.
  var mark: UInt64 = 0
  /// Order of arrival.
  var sequence: UInt64 = 0
  /// When waiting becomes an error, a time of `MonotonicClock`.
  var deadline: UInt64
  /// 0 or -errno.
  var result: Int32 = 0
  /// Link of the list that it is in.
  var next = none

  static let none = UInt32.max

  /// Whether the store is another one after it.
  var changes: Bool { kind == .write || kind == .zero || kind == .trim }

  /// The bytes that it is about.
  var range: Range<UInt64> { offset..<offset + length }

  init(
    _ kind: Kind, for requester: Requester, offset: UInt64, length: UInt64,
    buffer: UnsafeMutableRawPointer? = nil, isDurable: Bool = false, isPatient: Bool = true,
    deadline: UInt64
  ) {
    self.kind = kind
    self.requester = requester
    self.offset = offset
    self.length = length
    unsafe self.buffer = buffer
    self.isDurable = isDurable
    self.isPatient = isPatient
    self.deadline = deadline
  }
}

/// A first-in, first-out list of requests, linked through `next`.
struct RemoteRequestList {
  private(set) var first = RemoteRequest.none
  private var last = RemoteRequest.none

  var isEmpty: Bool { first == RemoteRequest.none }

  mutating func append(_ index: UInt32, in slots: UnsafeMutablePointer<RemoteRequest>) {
    unsafe slots[Int(index)].next = RemoteRequest.none
    if isEmpty { first = index } else { unsafe slots[Int(last)].next = index }
    last = index
  }

  mutating func prepend(_ index: UInt32, in slots: UnsafeMutablePointer<RemoteRequest>) {
    unsafe slots[Int(index)].next = first
    if isEmpty { last = index }
    first = index
  }

  /// Puts all of another list before what is in this one.
  mutating func prepend(_ list: RemoteRequestList, in slots: UnsafeMutablePointer<RemoteRequest>) {
    guard !list.isEmpty else { return }
    unsafe slots[Int(list.last)].next = first
    if isEmpty { last = list.last }
    first = list.first
  }

  mutating func popFirst(in slots: UnsafeMutablePointer<RemoteRequest>) -> UInt32? {
    guard !isEmpty else { return nil }
    let index = first
    unsafe first = slots[Int(index)].next
    return index
  }
}
