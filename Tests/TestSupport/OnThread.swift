import Platform

/// Runs code that blocks on a thread of its own.
///
/// Tests run on the few threads that the server's tasks need too: a test that blocked one of those while it
/// waits for an answer could wait for ever.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  var thread: NativeThread?
  // Joined in the end, when it has nothing left to do: threads that nobody joins are never freed.
  defer { thread?.join() }
  return try await withCheckedThrowingContinuation { continuation in
    do {
      thread = try NativeThread(name: "test") { continuation.resume(with: Result { try body() }) }
    } catch {
      continuation.resume(throwing: error)
    }
  }
}
