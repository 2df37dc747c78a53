import Glibc
import Platform
import Testing

@Suite struct ProcessIdentityTests {
  @Test func thisProcessRunsAndItsNumbersNextUserIsAnother() {
    let this = ProcessIdentity.current
    #expect(this.number == getpid() && this.startTicks > 0 && this.isRunning)
    #expect(!ProcessIdentity(number: this.number, startTicks: this.startTicks + 1).isRunning)
    #expect(!ProcessIdentity(number: 999_999_999, startTicks: this.startTicks).isRunning)
  }
}
