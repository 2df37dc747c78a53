import Glibc
import Platform

/// The physical device beneath a file or block device, as sysfs tells it.
enum BackingDevice: Equatable {
  /// A device with hardware of its own: `/dev/sda`.
  case device(String)
  /// There is none, or not one: why, as the end of a sentence.
  case none(String)

  /// How many layers (partitions, volume managers, encryption) are looked through.
  private static let layersMax = 8

  /// Finds the device of an open file or device.
  init(beneath descriptor: Int32, sysfs: String = "/sys") {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      self = .none("it can not be looked at: \(SystemError.text(of: errno))")
      return
    }
    let isDevice = status.st_mode & S_IFMT == S_IFBLK
    self.init(number: isDevice ? status.st_rdev : status.st_dev, sysfs: sysfs)
  }

  /// Finds the device beneath the one of this number.
  init(number: dev_t, sysfs: String) {
    // As in gnu_dev_major(3) and gnu_dev_minor(3).
    let major = (number >> 8 & 0xfff) | (number >> 32 & ~0xfff)
    let minor = (number & 0xff) | (number >> 12 & ~0xff)
    guard var path = Self.resolved("\(sysfs)/dev/block/\(major):\(minor)") else {
      self = .none("its file system lies on no single device")
      return
    }
    for _ in 0..<Self.layersMax {
      if Self.exists(path + "/partition") {
        path = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        continue
      }
      let beneath = Self.entries(of: path + "/slaves")
      if beneath.count > 1 {
        self = .none("it lies on \(beneath.count) devices: \(beneath.sorted().joined(separator: ", "))")
        return
      }
      guard let next = beneath.first, let resolved = Self.resolved(path + "/slaves/" + next) else { break }
      path = resolved
    }
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    self = path.contains("/devices/virtual/") ? .none("\(name) is a virtual device") : .device("/dev/" + name)
  }

  private static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  private static func resolved(_ path: String) -> String? {
    guard let text = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }

  private static func entries(of path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
