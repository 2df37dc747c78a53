/// The catalog's tables, and how an older catalog becomes a current one.
///
/// ```
/// pool     one row: identity, and journal_floor = the last journal row that was folded and deleted
/// stores   one row per store
/// volumes  one row per volume; ids are never used twice (AUTOINCREMENT)
/// journal  append-only map deltas, one row per group of changes      (layout: JournalFormat)
/// pages    the planes of the extent map, 4096 words per row          (layout: MapPage)
/// scrub    at most one row: the last scrub                           (ScrubRecord)
/// scrub_findings  what it found, in order
/// ```
///
/// The map of a volume is its pages with those journal rows applied, in order, that are newer than the
/// page. Journal numbers have no gaps: `journal_floor + 1` is the first row, so a lost row is noticed.
enum Schema {
  /// Marks the file as a Gnomon catalog for SQLite and file(1): "gnom".
  static let applicationID: Int64 = 0x676e_6f6d

  /// `migrations[n]` brings a catalog of version n to version n + 1. Never change one that was released.
  static let migrations: [String] = [
    """
    CREATE TABLE pool(
      only INTEGER PRIMARY KEY CHECK (only = 1),
      uuid TEXT NOT NULL,
      created INTEGER NOT NULL,
      journal_floor INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE stores(
      id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 255),
      uuid TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL,
      path TEXT NOT NULL,
      size INTEGER NOT NULL,
      tier INTEGER NOT NULL,
      region TEXT NOT NULL,
      zone TEXT NOT NULL,
      node TEXT NOT NULL,
      cost REAL NOT NULL,
      cache TEXT NOT NULL
    ) STRICT;
    CREATE TABLE volumes(
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      uuid TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL UNIQUE,
      size INTEGER NOT NULL,
      extent INTEGER NOT NULL,
      read_only INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE journal(
      seq INTEGER PRIMARY KEY,
      checksum INTEGER NOT NULL,
      records BLOB NOT NULL
    ) STRICT;
    CREATE TABLE pages(
      key INTEGER PRIMARY KEY,
      image BLOB NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE stores ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE volumes ADD COLUMN copies INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE volumes ADD COLUMN across TEXT NOT NULL DEFAULT 'store';
    ALTER TABLE volumes ADD COLUMN protection TEXT NOT NULL DEFAULT 'sync';
    """,
    """
    ALTER TABLE volumes ADD COLUMN errors TEXT NOT NULL DEFAULT 'hold';
    """,
    """
    CREATE TABLE scrub(
      only INTEGER PRIMARY KEY CHECK (only = 1),
      scope TEXT NOT NULL,
      end TEXT NOT NULL,
      started INTEGER NOT NULL,
      ended INTEGER NOT NULL,
      whole_ended INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      extents INTEGER NOT NULL,
      copies INTEGER NOT NULL,
      bad INTEGER NOT NULL,
      unread INTEGER NOT NULL,
      healed INTEGER NOT NULL,
      unhealed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE scrub_findings(
      number INTEGER PRIMARY KEY,
      volume TEXT NOT NULL,
      extent INTEGER NOT NULL,
      store TEXT NOT NULL,
      place INTEGER NOT NULL,
      problem TEXT NOT NULL,
      outcome TEXT NOT NULL,
      reason TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE volumes ADD COLUMN pin TEXT NOT NULL DEFAULT 'none';
    ALTER TABLE volumes ADD COLUMN never TEXT NOT NULL DEFAULT 'none';
    """,
  ]

  static var version: Int64 { Int64(migrations.count) }

  /// Runs the migrations that `database` lacks, each in its own transaction.
  static func migrate(_ database: Database, with migrations: [String] = migrations) throws {
    var version = Int(try database.number("PRAGMA user_version"))
    while version < migrations.count {
      try database.transaction {
        try database.execute(migrations[version])
        try database.execute("PRAGMA user_version = \(version + 1)")
      }
      version += 1
    }
  }
}
