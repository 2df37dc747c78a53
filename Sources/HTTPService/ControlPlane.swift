public import Primitives

/// What the control API can do; the daemon implements it.
///
/// Requests that arrive here have passed `Validation`. Names are unique per pool: an operation on an
/// unknown name throws `notFound`, creating a known one `conflict`.
public protocol ControlPlane: Sendable {
  func pool() async throws(GnomonError) -> PoolInfo
  func status() async throws(GnomonError) -> Status

  /// All stores, sorted by name.
  func stores() async throws(GnomonError) -> [StoreInfo]
  func addStore(_ request: StoreRequest) async throws(GnomonError) -> StoreInfo
  /// Refused with `conflict` while the store holds extents.
  func removeStore(name: String) async throws(GnomonError)

  /// The health of all stores, sorted by name.
  func health() async throws(GnomonError) -> [StoreHealthInfo]

  /// Begins to move everything off a store, or lets it be used again.
  func changeStore(name: String, _ change: StoreChange) async throws(GnomonError) -> StoreInfo

  /// All volumes, sorted by name.
  func volumes() async throws(GnomonError) -> [VolumeInfo]
  func createVolume(_ request: VolumeRequest) async throws(GnomonError) -> VolumeInfo
  /// Grows, or with `force` shrinks; without it mapped extents beyond the new end are refused.
  func resizeVolume(name: String, sizeBytes: UInt64, force: Bool) async throws(GnomonError) -> VolumeInfo
  /// Changes how a volume is kept; what is not said stays.
  func setVolume(name: String, _ change: VolumeSettings) async throws(GnomonError) -> VolumeInfo
  /// Where the extents lie; at most `ExtentList.runsMax` runs.
  func extents(volume name: String, _ extents: ExtentSet) async throws(GnomonError) -> ExtentList
  /// Refused with `conflict` while a client has the volume open.
  func deleteVolume(name: String) async throws(GnomonError)

  /// The load of a volume or store in a window that ends now.
  func load(of subject: LoadSubject, windowSeconds: UInt64) async throws(GnomonError) -> LoadInfo
  /// What is expected of a load.
  func forecast(of subject: LoadSubject, _ request: ForecastRequest) async throws(GnomonError) -> ForecastInfo
  /// Where in a volume requests were served, up to now.
  func heatMap(volume name: String, spanSeconds: UInt64) async throws(GnomonError) -> HeatMapInfo

  /// Jobs that there are, and have been.
  func jobs() async throws(GnomonError) -> JobList
  /// Begins a job; refused with `conflict` if none of its moves can be made.
  func beginJob(_ request: MoveRequest) async throws(GnomonError) -> JobInfo
  /// How the scrub under way is doing, and what the last one came to.
  func scrub() async throws(GnomonError) -> ScrubInfo
  /// Begins a scrub; refused with `conflict` while one is under way.
  func beginScrub(_ request: ScrubRequest) async throws(GnomonError) -> ScrubInfo
  /// Has the scrub under way end; refused with `conflict` if there is none.
  func stopScrub() async throws(GnomonError) -> ScrubInfo

  /// What prediction has done.
  func prediction() async throws(GnomonError) -> PredictionInfo
  /// What the tier policy has to move now.
  func tierPlan() async throws(GnomonError) -> TierPlanInfo
  /// Begins to move that; refused with `conflict` if extents stay where they are.
  func beginTierRound() async throws(GnomonError) -> TierPlanInfo
  /// Why the extent of a byte lies where it does.
  func why(volume name: String, offset: UInt64) async throws(GnomonError) -> WhyInfo
  /// Hints that have not expired.
  func hints() async throws(GnomonError) -> HintList
  /// Takes a hint; refused with `invalid` if it is out of range or in the past.
  func addHint(_ request: HintRequest) async throws(GnomonError) -> HintInfo
  func deleteHint(_ number: Int) async throws(GnomonError)

  /// Has a job end; what it has moved stays moved.
  func cancelJob(_ number: Int) async throws(GnomonError) -> JobInfo
}
