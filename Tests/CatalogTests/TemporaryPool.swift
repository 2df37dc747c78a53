import Catalog
import ExtentMap
import Glibc
import Platform
import Primitives

/// A folder for one test, removed with everything in it afterwards.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/gnomon-catalog-XXXXXX".utf8CString)
    let made = unsafe mkdtemp(&template)
    precondition(unsafe made != nil)
    path = template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
  }

  deinit {
    _ = run("rm", "-rf", path)
  }
}

/// Runs a program; true if it exits with 0.
func run(_ arguments: String...) -> Bool {
  var process = pid_t()
  var argv = arguments.map { unsafe strdup($0) } + [nil]
  defer { for unsafe argument in unsafe argv { unsafe free(argument) } }
  guard unsafe posix_spawnp(&process, argv[0]!, nil, nil, &argv, environ) == 0 else { return false }
  var status: Int32 = 0
  while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
  return status == 0
}
