import Testing

@testable import Daemon
@testable import Forecasting

@Suite struct ToldForecastTests {
  @Test func whatCanNotBeWrittenDownIsBounded() {
    func told(_ mean: Double, _ deviation: Double) -> [Double] {
      let told = ToldForecast(Forecast(mean: mean, standardDeviation: deviation))
      return [told.mean, told.low, told.high]
    }
    let most = ToldForecast.most
    #expect(told(100, 0) == [100, 100, 100])
    #expect(told(-3, 0) == [0, 0, 0])
    #expect(told(1e300, 1) == [most, most, most])
    #expect(told(.infinity, .infinity) == [most, 0, most])
    #expect(told(.nan, 1) == [0, 0, most])
    #expect(told(5, .infinity) == [5, 0, most])
  }
}
