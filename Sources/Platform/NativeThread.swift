import CLinux
import Glibc
import Synchronization

/// A named operating-system thread that runs one closure.
public final class NativeThread: Sendable {
  private let handle: Mutex<pthread_t?>

  /// Starts a thread; `name` is shown by ps and perf (15 characters at most).
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let work = unsafe Unmanaged.passRetained(Work(name: name, body: body))
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        let work = unsafe Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue()
        unsafe pthread_setname_np(pthread_self(), String(work.name.prefix(15)))
        work.body()
        return nil
      }, work.toOpaque())
    guard code == 0 else {
      unsafe work.release()
      throw SystemError("pthread_create", name, errno: code)
    }
    handle = Mutex(thread)
  }

  /// Nobody can wait for the thread any more: what it has goes when it ends.
  deinit {
    if let thread = handle.withLock({ $0 }) { pthread_detach(thread) }
  }

  /// Waits until the closure has returned. Later calls return at once.
  public func join() {
    let thread = handle.withLock { value in
      defer { value = nil }
      return value
    }
    if let thread { pthread_join(thread, nil) }
  }

  private final class Work: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}
