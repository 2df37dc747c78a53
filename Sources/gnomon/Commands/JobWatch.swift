import Glibc
import HTTPService
import Primitives

/// Waits for a job, and shows meanwhile how far it is: one line that is written again and again on a
/// terminal, else a line whenever something has changed.
struct JobWatch {
  private let run: Invocation
  private let client: APIClient
  private var progress: ProgressLine
  private static let pollMicroseconds: UInt32 = 200_000

  init(_ run: Invocation, _ client: APIClient) {
    self.run = run
    self.client = client
    progress = ProgressLine(run.context)
  }

  /// - Returns: `failure` if something was not moved.
  mutating func wait(for number: Int) throws -> ExitStatus {
    var job = try client.job(number)
    while !job.state.isOver {
      progress.show(Self.line(job))
      usleep(Self.pollMicroseconds)
      job = try client.job(number)
    }
    progress.clear()
    return finish(job)
  }

  private func finish(_ job: JobInfo) -> ExitStatus {
    run.show(job) {
      let words = job.state == .cancelled ? "Cancelled" : "Done"
      return "\(words): \(job.what): \(job.done) moved, \(job.failed) failed, "
        + "\(ByteSize(rawValue: job.movedBytes)) copied in \(Command.duration(job.seconds)).\n"
    }
    if let complaint = job.complaint {
      run.context.errors.write("gnomon: job \(job.number): \(Table.printable(complaint))\n")
    }
    return job.complaint == nil && job.state == .done ? .ok : .failure
  }

  private static func line(_ job: JobInfo) -> String {
    var parts = [
      "job \(job.number) \(job.state.rawValue): \(job.done) moved", "\(job.failed) failed",
      "\(ByteSize(rawValue: job.movedBytes)) copied", "\(ByteSize(rawValue: job.bytesPerSecond))/s",
    ]
    if let left = job.leftBytes { parts.append("\(ByteSize(rawValue: left)) left") }
    if let seconds = job.leftSeconds { parts.append(Command.duration(seconds)) }
    if let complaint = job.complaint { parts.append(Table.printable(complaint)) }
    return parts.joined(separator: ", ")
  }
}
