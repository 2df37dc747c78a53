import CSQLite
import Glibc
import Synchronization

/// A SQLite VFS over a `SimulatedDisk`, registered under a name of its own for as long as this object lives.
@safe
final class SimulatedFileSystem {
  /// What connections open their files in.
  let name: String
  let disk: SimulatedDisk
  private let vfs: UnsafeMutablePointer<sqlite3_vfs>
  private let nameMemory: UnsafeMutablePointer<CChar>

  private static let made = Atomic<Int>(0)

  init(_ disk: SimulatedDisk) {
    self.disk = disk
    name = "gnomon-simulation-\(Self.made.add(1, ordering: .relaxed).newValue)"
    unsafe nameMemory = strdup(name)
    unsafe vfs = .allocate(capacity: 1)
    var table = unsafe sqlite3_vfs()
    unsafe table.iVersion = 1
    unsafe table.szOsFile = Int32(SimulatedFile.bytes)
    unsafe table.mxPathname = 512
    unsafe table.zName = UnsafePointer(nameMemory)
    unsafe table.pAppData = Unmanaged.passUnretained(disk).toOpaque()
    unsafe Self.fill(&table)
    unsafe vfs.initialize(to: table)
    let code = unsafe sqlite3_vfs_register(vfs, 0)
    precondition(code == SQLITE_OK)
  }

  deinit {
    unsafe sqlite3_vfs_unregister(vfs)
    unsafe vfs.deallocate()
    unsafe free(nameMemory)
  }

  private static func fill(_ table: inout sqlite3_vfs) {
    unsafe table.xOpen = { vfs, path, file, flags, outFlags in
      let disk = unsafe SimulatedFileSystem.disk(of: vfs)
      unsafe file!.pointee.pMethods = nil
      guard let path = unsafe path else { return SQLITE_CANTOPEN }
      let creating = flags & SQLITE_OPEN_CREATE != 0
      guard let opened = unsafe disk.open(String(cString: path), creating: creating) else {
        return SQLITE_CANTOPEN
      }
      unsafe SimulatedFile.open(file!, opened, of: disk)
      if let outFlags = unsafe outFlags { unsafe outFlags.pointee = flags }
      return SQLITE_OK
    }
    unsafe table.xDelete = { vfs, path, _ in
      let disk = unsafe SimulatedFileSystem.disk(of: vfs)
      return unsafe disk.delete(String(cString: path!))?.code ?? SQLITE_OK
    }
    unsafe table.xAccess = { vfs, path, _, result in
      let disk = unsafe SimulatedFileSystem.disk(of: vfs)
      unsafe result!.pointee = disk.exists(String(cString: path!)) ? 1 : 0
      return SQLITE_OK
    }
    unsafe table.xFullPathname = { _, path, count, result in
      unsafe strncpy(result!, path!, Int(count))
      return SQLITE_OK
    }
    // Salts of the log only: they decide nothing.
    unsafe table.xRandomness = { _, count, result in
      unsafe memset(result!, 0x5a, Int(count))
      return count
    }
    unsafe table.xSleep = { _, microseconds in microseconds }
    unsafe table.xCurrentTime = { _, result in
      // 2000-01-01 as a Julian day.
      unsafe result!.pointee = 2_451_544.5
      return SQLITE_OK
    }
    unsafe table.xGetLastError = { _, _, _ in 0 }
  }

  private static func disk(of vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> SimulatedDisk {
    unsafe Unmanaged<SimulatedDisk>.fromOpaque(vfs!.pointee.pAppData).takeUnretainedValue()
  }
}

/// An open file as SQLite sees it: its `sqlite3_file`, followed by a reference to this object.
private final class SimulatedFile {
  let disk: SimulatedDisk
  let file: SimulatedDisk.File

  static let bytes = unsafe MemoryLayout<sqlite3_file>.stride + MemoryLayout<UnsafeRawPointer>.stride

  init(_ file: SimulatedDisk.File, of disk: SimulatedDisk) {
    self.file = file
    self.disk = disk
  }

  static func open(
    _ handle: UnsafeMutablePointer<sqlite3_file>, _ file: SimulatedDisk.File, of disk: SimulatedDisk
  ) {
    let object = SimulatedFile(file, of: disk)
    let place = unsafe UnsafeMutableRawPointer(handle) + MemoryLayout<sqlite3_file>.stride
    unsafe place.storeBytes(of: Unmanaged.passRetained(object).toOpaque(), as: UnsafeMutableRawPointer.self)
    unsafe handle.pointee.pMethods = UnsafePointer(methods)
  }

  private static func reference(_ handle: UnsafeMutablePointer<sqlite3_file>?) -> Unmanaged<SimulatedFile> {
    let place = unsafe UnsafeRawPointer(handle!) + MemoryLayout<sqlite3_file>.stride
    return unsafe Unmanaged<SimulatedFile>.fromOpaque(place.load(as: UnsafeRawPointer.self))
  }

  private static func at(_ handle: UnsafeMutablePointer<sqlite3_file>?) -> SimulatedFile {
    unsafe reference(handle).takeUnretainedValue()
  }

  /// Version 1: no shared memory, no mapping. Never freed.
  nonisolated(unsafe) private static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
    var table = sqlite3_io_methods()
    table.iVersion = 1
    unsafe table.xClose = { handle in
      unsafe SimulatedFile.reference(handle).release()
      return SQLITE_OK
    }
    unsafe table.xRead = { handle, memory, count, offset in
      let open = unsafe SimulatedFile.at(handle)
      let buffer = unsafe UnsafeMutableRawBufferPointer(start: memory, count: Int(count))
      guard let done = unsafe open.disk.read(open.file, Int(offset), into: buffer) else {
        return SimulatedDisk.Failure.read.code
      }
      guard done < buffer.count else { return SQLITE_OK }
      unsafe buffer[done...].initializeMemoryToZero()
      return SQLITE_IOERR | 2 << 8
    }
    unsafe table.xWrite = { handle, memory, count, offset in
      let open = unsafe SimulatedFile.at(handle)
      let buffer = unsafe UnsafeRawBufferPointer(start: memory, count: Int(count))
      return unsafe open.disk.write(open.file, Int(offset), buffer)?.code ?? SQLITE_OK
    }
    unsafe table.xTruncate = { handle, count in
      let open = unsafe SimulatedFile.at(handle)
      return open.disk.resize(open.file, to: Int(count))?.code ?? SQLITE_OK
    }
    unsafe table.xSync = { handle, _ in
      let open = unsafe SimulatedFile.at(handle)
      return open.disk.synchronize(open.file)?.code ?? SQLITE_OK
    }
    unsafe table.xFileSize = { handle, result in
      unsafe result!.pointee = sqlite3_int64(SimulatedFile.at(handle).file.live.count)
      return SQLITE_OK
    }
    unsafe table.xLock = { _, _ in SQLITE_OK }
    unsafe table.xUnlock = { _, _ in SQLITE_OK }
    unsafe table.xCheckReservedLock = { _, result in
      unsafe result!.pointee = 0
      return SQLITE_OK
    }
    unsafe table.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
    unsafe table.xSectorSize = { _ in Int32(SimulatedDisk.sectorBytes) }
    unsafe table.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
    let memory = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
    unsafe memory.initialize(to: table)
    return unsafe memory
  }()
}

extension Slice<UnsafeMutableRawBufferPointer> {
  fileprivate func initializeMemoryToZero() {
    _ = unsafe UnsafeMutableRawBufferPointer(rebasing: self).initializeMemory(as: UInt8.self, repeating: 0)
  }
}
