/// An additive model that learns online: the sum of one cell out of each of a few small tables.
///
/// Each table is indexed by one or two signals in coarse steps, so the model is linear in the cells and
/// needs no scaling of its inputs. It is trained by stochastic gradient descent on the squared error; each
/// cell's rate falls with the number of its samples down to `rateMin`, so that it settles soon and never
/// stops following.
struct PayoffModel<let tables: Int>: Sendable {
  /// One cell of each table, counted within its table.
  typealias Cells = InlineArray<tables, UInt16>

  private struct Cell: BitwiseCopyable {
    var weight: Float
    var samples: Float = 0
  }

  private var cells: [Cell]
  /// Where each table begins.
  private var bases: InlineArray<tables, Int>

  private static var rateMin: Float { 0.01 }

  /// - Parameters:
  ///   - sizes: cells of each table.
  ///   - start: what the model says before it has learned anything.
  init(sizes: InlineArray<tables, Int>, start: Float) {
    var total = 0
    bases = InlineArray(repeating: 0)
    for table in sizes.indices {
      bases[table] = total
      total += sizes[table]
    }
    cells = Array(repeating: Cell(weight: start / Float(tables)), count: total)
  }

  /// Moves what one cell says before anything has been learned.
  mutating func shift(cell: Int, of table: Int, by amount: Float) {
    cells[bases[table] + cell].weight += amount
  }

  /// What is expected of the sample.
  func expected(_ sample: Cells) -> Float {
    var sum: Float = 0
    for table in sample.indices { sum += cells[bases[table] + Int(sample[table])].weight }
    return sum
  }

  /// Takes in how a sample turned out.
  mutating func learn(_ sample: Cells, outcome: Float) {
    let step = 2 * (outcome - expected(sample)) / Float(tables)
    for table in sample.indices {
      let index = bases[table] + Int(sample[table])
      let seen = cells[index].samples + 1
      cells[index].samples = seen
      cells[index].weight += step * max(Self.rateMin, 1 / (seen + 2))
    }
  }
}
