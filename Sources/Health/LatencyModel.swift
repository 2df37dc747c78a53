/// The latency that is usual at a load, and the most that is: a polynomial of the logarithm of the latency in
/// the logarithm of the load, with an upper prediction bound.
///
/// After Perseus (Lu et al., *Perseus: A Fail-Slow Detection Framework for Cloud Storage Systems*, FAST '23),
/// which fits latency against throughput by polynomial regression once outliers are gone, and takes the upper
/// bound of the 99.9 % prediction interval as the limit of what is normal. Here outliers are what lies more
/// than four robust standard deviations (1.4826 × the median of the absolute residuals) from the fit, in two
/// rounds.
struct LatencyModel: Sendable, Equatable {
  /// One observation, both natural logarithms: of 1 + load in MB/s, and of the latency in nanoseconds.
  struct Point: Sendable, Equatable {
    var load: Float
    var latency: Float
  }

  /// The loads that the model knows.
  let loads: ClosedRange<Double>
  private let coefficients: SIMD3<Double>
  /// The inverse of the normal equations' matrix, by columns.
  private let inverse: [SIMD3<Double>]
  private let deviation: Double
  /// Standard deviations from the fit to the bound, if the fit itself were exact.
  private let deviations: Double

  /// Points without which there is no model.
  static let pointsMin = 30
  /// No store is steadier than that: 15 % either way.
  private static let deviationMin = 0.15
  /// Of the normal distribution: one value in a thousand lies above so many standard deviations.
  private static let normalDeviations = 3.090232306167813
  private static let outlierDeviations = 4.0

  /// Fits a model; nil of fewer than `pointsMin` points.
  init?(fitting points: [Point]) {
    guard points.count >= Self.pointsMin else { return nil }
    let all = points.map { (load: Double($0.load), latency: Double($0.latency)) }
    loads = all.reduce(all[0].load...all[0].load) {
      min($0.lowerBound, $1.load)...max($0.upperBound, $1.load)
    }
    let shape = Shape(loads: loads, degree: Self.degree(of: loads))
    var kept = all
    var fit = Fit(kept, shape)
    for _ in 0..<2 {
      let residuals = kept.map { $0.latency - (shape.basis($0.load) * fit.coefficients).sum() }
      let limit = Self.outlierDeviations * max(1.4826 * Self.median(residuals.map(\.magnitude)), 0.01)
      let near = zip(kept, residuals).filter { $0.1.magnitude <= limit }.map { $0.0 }
      guard near.count < kept.count, near.count >= Self.pointsMin else { break }
      kept = near
      fit = Fit(kept, shape)
    }
    self.shape = shape
    coefficients = fit.coefficients
    inverse = fit.inverse
    deviation = max(fit.deviation, Self.deviationMin)
    deviations = Self.studentDeviations(freedom: Double(kept.count - shape.degree - 1))
  }

  private let shape: Shape

  /// The logarithms of the usual latency and of the most that is usual, at a load. A load that the model does
  /// not know is taken as the nearest that it does.
  func latency(atLoad load: Double) -> (usual: Double, most: Double) {
    let basis = shape.basis(min(max(load, loads.lowerBound), loads.upperBound))
    let usual = (basis * coefficients).sum()
    let leverage = inverse.indices.reduce(0.0) { $0 + basis[$1] * (basis * inverse[$1]).sum() }
    return (usual, usual + deviations * deviation * (1 + max(0, leverage)).squareRoot())
  }

  /// Loads that hardly differ tell nothing of a slope.
  private static func degree(of loads: ClosedRange<Double>) -> Int {
    let width = loads.upperBound - loads.lowerBound
    return width < 0.3 ? 0 : width < 1 ? 1 : 2
  }

  /// Student's t for one value in a thousand above it, by the expansion around the normal distribution
  /// (Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.5): to within 0.1 % from 25 degrees
  /// on.
  private static func studentDeviations(freedom: Double) -> Double {
    let z = normalDeviations
    let z3 = z * z * z
    let first = (z3 + z) / 4 / freedom
    let second = (5 * z3 * z * z + 16 * z3 + 3 * z) / 96 / (freedom * freedom)
    return z + first + second
  }

  private static func median(_ values: [Double]) -> Double {
    values.sorted()[values.count / 2]
  }
}

extension LatencyModel {
  /// The polynomial's terms, over loads brought to −1…1 so that their powers stay apart.
  private struct Shape: Sendable, Equatable {
    let center: Double
    let scale: Double
    let degree: Int

    init(loads: ClosedRange<Double>, degree: Int) {
      center = (loads.lowerBound + loads.upperBound) / 2
      scale = max((loads.upperBound - loads.lowerBound) / 2, 1e-6)
      self.degree = degree
    }

    func basis(_ load: Double) -> SIMD3<Double> {
      let place = (load - center) / scale
      return SIMD3(1, degree >= 1 ? place : 0, degree >= 2 ? place * place : 0)
    }
  }

  /// Least squares by the normal equations: three unknowns at most.
  private struct Fit {
    var coefficients: SIMD3<Double>
    var inverse: [SIMD3<Double>]
    var deviation: Double

    init(_ points: [(load: Double, latency: Double)], _ shape: Shape) {
      var matrix = [SIMD3<Double>](repeating: .zero, count: 3)
      var right = SIMD3<Double>.zero
      for point in points {
        let basis = shape.basis(point.load)
        for column in 0..<3 { matrix[column] += basis * basis[column] }
        right += basis * point.latency
      }
      // Keeps apart what the points do not; the terms that the degree leaves out come to exactly 0.
      for column in 0..<3 { matrix[column][column] += 1e-9 * Double(points.count) }
      inverse = Self.inverted(matrix)
      coefficients = inverse[0] * right[0] + inverse[1] * right[1] + inverse[2] * right[2]
      var squares = 0.0
      for point in points {
        let residual = point.latency - (shape.basis(point.load) * coefficients).sum()
        squares += residual * residual
      }
      deviation = (squares / Double(points.count - shape.degree - 1)).squareRoot()
    }

    /// The inverse of a symmetric positive definite matrix, by the cross products of its columns.
    private static func inverted(_ matrix: [SIMD3<Double>]) -> [SIMD3<Double>] {
      let rows = [
        cross(matrix[1], matrix[2]), cross(matrix[2], matrix[0]), cross(matrix[0], matrix[1]),
      ]
      let determinant = (matrix[0] * rows[0]).sum()
      return rows.map { $0 / determinant }
    }

    private static func cross(_ left: SIMD3<Double>, _ right: SIMD3<Double>) -> SIMD3<Double> {
      SIMD3(
        left.y * right.z - left.z * right.y, left.z * right.x - left.x * right.z,
        left.x * right.y - left.y * right.x)
    }
  }
}
