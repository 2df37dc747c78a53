import CLinux

/// Modes of fallocate(2). None of them changes the size of a file.
public enum AllocationMode {
  /// Reserve space; what was a hole reads as zeros, data stays.
  public static let reserve = gnomon_falloc_keep_size
  /// Free the range; it reads as zeros.
  public static let punchHole = gnomon_falloc_punch_hole | gnomon_falloc_keep_size
  /// Make the range read as zeros and keep it reserved.
  public static let zeroRange = gnomon_falloc_zero_range | gnomon_falloc_keep_size
}
