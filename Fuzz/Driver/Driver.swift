import FuzzTargets
import Glibc

/// The target that `GNOMON_FUZZ_TARGET` names.
private let target: FuzzTarget = {
  let name = unsafe getenv("GNOMON_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
  guard let target = FuzzTarget.named(name) else {
    complain("GNOMON_FUZZ_TARGET must be one of " + FuzzTarget.all.map(\.name).joined(separator: ", "))
    exit(2)
  }
  return target
}()

private func complain(_ text: String) {
  var line = text + "\n"
  line.withUTF8 { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// What libFuzzer, which has the program's main function, calls for every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let input = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  do throws(PropertyFailure) {
    try target.run(input)
  } catch {
    complain("property broken: \(error)")
    abort()
  }
  return 0
}
