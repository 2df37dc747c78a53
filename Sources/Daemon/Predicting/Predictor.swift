import Measurement
import NBDService
import Platform
import Primitives
import Synchronization

/// Keeps shadows of what will be read on the fast tier, and counts what is accessed for the slow loop. A
/// thread of its own decides; the mover carries it out.
final class Predictor: Sendable {
  let shared = PredictionShared()
  private let pool: Pool
  private let mover: Mover
  private let plan: PredictionPlan
  private let settings: Configuration.Prediction
  private let book: HeatBook?
  private let signal: Signal
  private let thread = Mutex<NativeThread?>(nil)

  /// Access records of one reactor that wait; beyond that they are dropped.
  static let accessesMax = 1 << 14

  /// - Parameters:
  ///   - plan: what the mover takes its moves from.
  ///   - book: where accesses are counted; nil if nobody wants that.
  /// - Throws: `system` if there is no descriptor left.
  init(
    _ pool: Pool, _ mover: Mover, _ plan: PredictionPlan, _ settings: Configuration.Prediction,
    _ book: HeatBook?
  ) throws(GnomonError) {
    self.pool = pool
    self.mover = mover
    self.plan = plan
    self.settings = settings
    self.book = book
    do throws(SystemError) {
      signal = try Signal()
    } catch {
      throw GnomonError(.system, "prediction can not be started", cause: error.description)
    }
  }

  /// Begins to predict. Without a thread for it, nothing is predicted.
  func start() {
    do throws(SystemError) {
      let started = try NativeThread(name: "gnomon-predict") { [self] in
        PredictionLoop(
          pool, mover.view, plan, shared, settings, book, stop: signal, wakeMover: { self.mover.lookAgain() }
        ).run()
      }
      thread.withLock { $0 = started }
    } catch {
      Log("prediction").warning("nothing is predicted: no thread can be started", ["cause": error])
    }
  }

  /// Decides no more. What it has decided is the mover's.
  func stop() {
    signal.raise()
    thread.withLock { $0 }?.join()
  }

  /// Records of accesses that were dropped because it did not keep up.
  var droppedRecords: UInt64 { pool.reactors.reduce(0) { $0 + $1.accesses.droppedCount } }
}
