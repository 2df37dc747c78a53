/// A step on the way to durability at which a test can have the process die.
///
/// What must hold wherever it dies: the pool opens again and its check finds nothing; what a client was told
/// is durable is there; every other block is old or new, whole, and no volume shows another's data; no slot
/// is referenced twice or lost. The comment of a case says what must hold there in particular.
///
/// Compiled in only with FAULT_INJECTION, which debug builds define; a release build pays nothing. Then
/// `GNOMON_FAILPOINT=NAME[:COUNT]` in the environment has the process kill itself (SIGKILL) at the COUNTth
/// pass of the step, and `GNOMON_FAILPOINT=survey` has it list all steps and their passes on standard error
/// when it exits.
public enum Failpoint: String, CaseIterable, Sendable {
  // MARK: Requests

  /// A write is about to be given to the kernel. Nothing of it is on the store; the old block is there.
  case writeQueued = "write-queued"
  /// The kernel has transfers that have not completed. Their blocks are old or new, each for itself.
  case transfersSubmitted = "transfers-submitted"
  /// A write is complete, not durable, and not answered. Its blocks are old or new.
  case writeCompleted = "write-completed"
  /// A write with FUA is durable and not answered. Its blocks are new, which nobody has been promised.
  case durableWriteCompleted = "durable-write-completed"
  /// The blocks that a write covers in part have been read. Nothing is written: they are old.
  case edgesRead = "edges-read"
  /// A stretch of a zero in place is written. Its blocks are old or zeros.
  case stretchZeroed = "stretch-zeroed"
  /// Replies are about to be sent. What they promise holds, although nobody has heard of it.
  case repliesQueued = "replies-queued"
  /// Replies have been sent. What they promise holds.
  case repliesSent = "replies-sent"

  // MARK: Allocation and unmapping

  /// An unmapped extent has been given a slot, in memory only. The slot is free.
  case slotTaken = "slot-taken"
  /// A slot is prepared in part. It is free, with a hole or with zeros in it.
  case slotPreparing = "slot-preparing"
  /// A slot reads as zeros, and no map refers to it. It is free.
  case slotPrepared = "slot-prepared"
  /// An extent is mapped in memory; the catalog does not know. The extent reads as zeros, its slot is free.
  case extentMapped = "extent-mapped"
  /// An extent is unmapped in memory; the catalog does not know. The extent has its old content.
  case extentUnmapped = "extent-unmapped"

  // MARK: Flush rounds

  /// The map changes of a flush are cut and its stores known; nothing has been synchronized.
  case roundBegun = "round-begun"
  /// One store is synchronized, perhaps not all. The catalog has none of the round's changes.
  case storeSynchronized = "store-synchronized"
  /// All data of the round is durable, and none of its map changes is: the extents are as before it.
  case roundSynchronized = "round-synchronized"
  /// The catalog's thread has the changes, the catalog has not.
  case commitBegun = "commit-begun"
  /// A part of a long list of changes is in the journal, uncommitted. None of them shows after the next
  /// start.
  case journalRowWritten = "journal-row-written"
  /// The changes are committed, and nobody has been told. They all show; their data is durable already.
  case commitDone = "commit-done"
  /// The redirector knows of the commit, and has answered nobody. No slot that it retired is used again yet.
  case roundCommitted = "round-committed"
  /// A flush that another redirector led is about to be answered. What it covers is durable.
  case flushDelivered = "flush-delivered"

  // MARK: Copies

  /// Copies of an extent are about to differ; the catalog does not know, and nothing was written. Copies at
  /// rest are equal.
  case activityBegun = "activity-begun"
  /// Copies of an extent are equal again, and the catalog has its shadows for worthless: that costs a copy.
  case activityEnded = "activity-ended"
  /// An extent has been given a shadow, in memory only. The shadow's slot is free.
  case shadowPlaced = "shadow-placed"
  /// A part of a shadow is written, not compared, and perhaps not durable. Nobody reads it.
  case shadowWritten = "shadow-written"
  /// A shadow lacks nothing any more, perhaps not durably. The catalog has it as lacking everything.
  case shadowFilled = "shadow-filled"
  /// A shadow has missed a write, which the catalog has heard of if the extent is not active.
  case shadowMissed = "shadow-missed"
  /// A shadow has become the live copy, in memory only. What the old one lacks has been acknowledged to
  /// nobody, or can not be read from it.
  case copiesExchanged = "copies-exchanged"
  /// An extent has lost a shadow, in memory only. The catalog has it, and its slot is used for nothing else.
  case shadowDropped = "shadow-dropped"
  /// An extent is sealed, in memory only. The catalog has no checksum of it.
  case extentSealed = "extent-sealed"
  /// A write has come to a sealed extent, and waits. The catalog has the checksum, which is right.
  case extentUnsealed = "extent-unsealed"

  // MARK: Slots on their way back

  /// Slots wait for a grace period; the catalog has forgotten them. They are free after the next start.
  case slotsRetired = "slots-retired"
  /// All requests that could touch retired slots have ended. The slots still have their old content.
  case gracePassed = "grace-passed"
  /// Holes are punched in some of the slots. Nothing refers to any of them.
  case slotsDiscarded = "slots-discarded"
  /// Placement has the slots again: whoever gets one finds zeros, whatever it held.
  case slotsReleased = "slots-released"
  /// Slots of a volume that was deleted or cut are about to be given back. The catalog has forgotten them.
  case droppedSlotsReleasing = "dropped-slots-releasing"

  // MARK: The catalog

  /// A map page has the journal's newer records, uncommitted. Page and journal are as before.
  case pageFolded = "page-folded"
  /// The folded part of the journal is deleted, uncommitted. Journal and pages are as before.
  case journalCut = "journal-cut"
  /// Some pages of a pass are committed, the journal still has all of it. Records that a page has seen must
  /// not be applied to it again.
  case checkpointStepDone = "checkpoint-step-done"
  /// The pages are committed, and the journal begins behind them. The map is the same as before.
  case checkpointDone = "checkpoint-done"
  /// SQLite's log is about to be copied into the database. The log has everything.
  case logFolding = "log-folding"
  /// SQLite's log has been copied. The database has everything.
  case logFolded = "log-folded"

  // MARK: Volumes

  /// A volume's row is written, uncommitted. There is no such volume.
  case volumeAdding = "volume-adding"
  /// A volume is in the catalog, and is not exported yet. It exists, empty.
  case volumeAdded = "volume-added"
  /// What lies beyond a smaller volume's new end in its last extent is zeroed, perhaps not durably. The
  /// volume has its old size; the tail is old or zeros.
  case tailZeroed = "tail-zeroed"
  /// The tail reads as zeros, durably. The volume has its old size.
  case tailCleared = "tail-cleared"
  /// A volume's new size is written and its map cut, uncommitted. It has its old size and map.
  case volumeResizing = "volume-resizing"
  /// The new size is committed, nobody has been told. What lay beyond the end never comes back.
  case volumeResized = "volume-resized"
  /// A volume's row is deleted, uncommitted. The volume exists with all its data.
  case volumeDeleting = "volume-deleting"
  /// The catalog has forgotten a volume, and not its map pages. The volume is gone; its slots are free.
  case volumeDeleted = "volume-deleted"
  /// Some map pages of a deleted volume are gone. The next start goes on.
  case pagesPurged = "pages-purged"

  // MARK: Stores

  /// A new store has a file without a label. Nothing refers to it, and it may be made again there.
  case storeFileMade = "store-file-made"
  /// One copy of a new store's label is durable. No catalog knows the store.
  case labelWritten = "label-written"
  /// A new store is complete. No catalog knows it.
  case storeMade = "store-made"
  /// A store's row is written, uncommitted. The pool does not have it.
  case storeAdding = "store-adding"
  /// A store is in the catalog, and the data path does not know it. The next start opens it, empty.
  case storeAdded = "store-added"
  /// A store's row is deleted, uncommitted. The pool still has it.
  case storeRemoving = "store-removing"
  /// The catalog has forgotten an empty store. The pool opens without it.
  case storeRemoved = "store-removed"

  // MARK: A new pool

  /// All stores are made, and there is no catalog: no pool.
  case poolStoresMade = "pool-stores-made"
  /// The catalog is complete under another name: no pool.
  case catalogDrafted = "catalog-drafted"
  /// The catalog has its name, perhaps not durably. If it has, the pool is complete.
  case catalogLinked = "catalog-linked"

  // MARK: Files beside the catalog

  /// What is kept beside the catalog is written under another name. Nothing needs it, old or new.
  case keptFileDrafted = "kept-file-drafted"
  /// It has replaced the old one, perhaps not durably.
  case keptFileReplaced = "kept-file-replaced"

  // MARK: Start and stop

  /// The pool is locked, nothing is read. The kernel drops the lock.
  case poolLocked = "pool-locked"
  /// A store's abilities have been tried in its scratch area. Nothing else was touched.
  case storeProbed = "store-probed"
  /// Catalog, stores and maps are loaded; nobody is served yet.
  case mapsLoaded = "maps-loaded"
  /// Every client has its answers and is gone. Nothing new is promised.
  case drained = "drained"
  /// The last flush is done. Everything that was acknowledged is durable, flushed by a client or not.
  case lastFlushDone = "last-flush-done"
  /// The catalog is closed, and the locks are still held. The pool is as after a clean stop.
  case catalogClosed = "catalog-closed"

  /// Passes the step: returns, unless the process was told to die here.
  @inlinable
  @inline(__always)
  public func pass() {
    #if FAULT_INJECTION
    FailpointTrigger.shared.passed(self)
    #endif
  }
}
