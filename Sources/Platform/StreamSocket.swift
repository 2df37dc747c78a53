import Glibc
public import Primitives

/// A connected stream socket for whoever may block, but not for ever: every call has a deadline, a time of
/// `MonotonicClock`.
public struct StreamSocket: ~Copyable, Sendable {
  private let descriptor: FileDescriptor

  /// How a peer that has gone silent is noticed: asked after so many seconds, then this often, and given up
  /// after so many questions without an answer.
  private static let keepAlive = (idleSeconds: Int32(10), intervalSeconds: Int32(5), probes: Int32(3))

  private init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }

  /// Connects to the socket at a path.
  ///
  /// - Throws: `unavailable` if nobody listens there; `system`.
  public static func connect(path: String, deadline: UInt64) throws(GnomonError) -> StreamSocket {
    let address = try UnixAddress.of(path)
    let socket = StreamSocket(try UnixAddress.socket(nonBlocking: true))
    var code = address.connect(socket.descriptor)
    // The listener's queue is full.
    while code == EAGAIN, MonotonicClock.nanoseconds() < deadline {
      usleep(10_000)
      code = address.connect(socket.descriptor)
    }
    guard code == 0 else { throw unreachable(path, SystemError.text(of: code)) }
    return socket
  }

  /// Connects to a host by TCP, trying its addresses in turn. The resolver has deadlines of its own.
  ///
  /// - Throws: `unavailable` if the name is unknown or nobody answers.
  public static func connect(host: String, port: UInt16, deadline: UInt64) throws(GnomonError) -> StreamSocket
  {
    let place = "\(host) port \(port)"
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &found)
    guard code == 0, let first = unsafe found else {
      throw unreachable(place, unsafe String(cString: gai_strerror(code)))
    }
    defer { unsafe freeaddrinfo(first) }
    var last = EHOSTUNREACH
    var next = unsafe Optional(first)
    while let address = unsafe next {
      let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let raw = unsafe Glibc.socket(address.pointee.ai_family, kind, 0)
      if raw >= 0 {
        let socket = StreamSocket(FileDescriptor(owning: raw, subject: place))
        last = unsafe socket.connect(address.pointee.ai_addr, address.pointee.ai_addrlen, deadline)
        if last == 0 {
          socket.prepareTCP()
          return socket
        }
      } else {
        last = errno
      }
      unsafe next = address.pointee.ai_next
    }
    throw unreachable(place, SystemError.text(of: last))
  }

  private static func unreachable(_ place: String, _ cause: String) -> GnomonError {
    GnomonError(.unavailable, "nobody can be reached at \(place)", cause: cause)
  }

  /// - Returns: 0, or errno.
  private func connect(_ address: UnsafePointer<sockaddr>?, _ length: socklen_t, _ deadline: UInt64) -> Int32
  {
    if unsafe Glibc.connect(descriptor.raw, address, length) == 0 { return 0 }
    guard errno == EINPROGRESS else { return errno }
    guard wait(for: Int16(POLLOUT), until: deadline) else { return ETIMEDOUT }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    unsafe getsockopt(descriptor.raw, SOL_SOCKET, SO_ERROR, &code, &size)
    return code
  }

  private func prepareTCP() {
    set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, Self.keepAlive.idleSeconds)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, Self.keepAlive.intervalSeconds)
    set(Int32(IPPROTO_TCP), TCP_KEEPCNT, Self.keepAlive.probes)
  }

  private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    unsafe setsockopt(descriptor.raw, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Sends all of `bytes`.
  ///
  /// - Throws: ETIMEDOUT at the deadline; EPIPE, ECONNRESET and the like if the connection is broken.
  public func send(_ bytes: [UInt8], deadline: UInt64) throws(SystemError) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { unsafe memory.deallocate() }
    unsafe memory.copyBytes(from: bytes)
    unsafe try send(UnsafeRawBufferPointer(memory), deadline: deadline)
  }

  private func send(_ bytes: UnsafeRawBufferPointer, deadline: UInt64) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe Glibc.send(
        descriptor.raw, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
      if count >= 0 {
        done += count
      } else if errno == EAGAIN {
        guard wait(for: Int16(POLLOUT), until: deadline) else { throw timedOut("send") }
      } else if errno != EINTR {
        throw SystemError("send", descriptor.subject)
      }
    }
  }

  /// Receives at least a byte and at most `count`.
  ///
  /// - Returns: the bytes that have arrived; none if the peer has nothing more to say.
  /// - Throws: ETIMEDOUT at the deadline; ECONNRESET and the like if the connection is broken.
  public func receive(upTo count: Int, deadline: UInt64) throws(SystemError) -> [UInt8] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { unsafe memory.deallocate() }
    let done = unsafe try receive(into: memory, deadline: deadline)
    return unsafe Array(memory[..<done])
  }

  /// Receives exactly `count` bytes.
  ///
  /// - Throws: ECONNRESET too if the peer has nothing more to say before.
  public func receive(exactly count: Int, deadline: UInt64) throws(SystemError) -> [UInt8] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { unsafe memory.deallocate() }
    var done = 0
    while done < count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[done...])
      let got = unsafe try receive(into: rest, deadline: deadline)
      guard got > 0 else { throw SystemError("recv", descriptor.subject, errno: ECONNRESET) }
      done += got
    }
    return unsafe Array(memory)
  }

  private func receive(
    into buffer: UnsafeMutableRawBufferPointer, deadline: UInt64
  ) throws(SystemError) -> Int {
    while true {
      let count = unsafe recv(descriptor.raw, buffer.baseAddress!, buffer.count, 0)
      if count >= 0 { return count }
      if errno == EAGAIN {
        guard wait(for: Int16(POLLIN), until: deadline) else { throw timedOut("recv") }
      } else if errno != EINTR {
        throw SystemError("recv", descriptor.subject)
      }
    }
  }

  /// Gives the socket to a ring, which waits by itself.
  ///
  /// - Returns: a descriptor that the caller closes.
  public func duplicateForRing() throws(SystemError) -> Int32 {
    let copy = try descriptor.duplicate()
    try copy.setBlocking()
    return copy.release()
  }

  private func timedOut(_ call: String) -> SystemError {
    SystemError(call, descriptor.subject, errno: ETIMEDOUT)
  }

  /// - Returns: false at the deadline.
  private func wait(for events: Int16, until deadline: UInt64) -> Bool {
    while true {
      let now = MonotonicClock.nanoseconds()
      guard now < deadline else { return false }
      var entry = pollfd(fd: descriptor.raw, events: events, revents: 0)
      let milliseconds = Int32(clamping: (deadline - now + 999_999) / 1_000_000)
      if unsafe poll(&entry, 1, milliseconds) > 0 { return true }
    }
  }
}
