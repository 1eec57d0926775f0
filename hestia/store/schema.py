"""What the database holds, and how an older one becomes the present one.

`MIGRATIONS[n]` takes a database from version n to n + 1, in one transaction; a new one takes all of them. Once released
a migration is never changed: whatever is to be different is a further one.
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # What the configuration said when it was last loaded.
        """CREATE TABLE services (
            id TEXT PRIMARY KEY,
            idle_timeout REAL NOT NULL,
            cost_per_hour REAL,
            first_seen INTEGER NOT NULL -- milliseconds since 1970; the report counts no sleep before it
        ) WITHOUT ROWID""",
        """CREATE TABLE machines (
            id TEXT PRIMARY KEY,
            capacity TEXT NOT NULL, -- JSON
            cost_per_hour REAL,
            first_seen INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE routes (number INTEGER PRIMARY KEY, rule TEXT NOT NULL)",
        # A row without a run is a place of the configuration. One with a run is a life that was begun there and may
        # still go on: a second begin at one place never overwrites what is needed to find the first.
        """CREATE TABLE places (
            of TEXT NOT NULL, -- service or machine
            owner TEXT NOT NULL,
            number INTEGER NOT NULL,
            machine TEXT NOT NULL,
            base_url TEXT,
            run_id TEXT UNIQUE,
            run TEXT -- JSON with its own version, see words/run
        )""",
        """CREATE TABLE activity (
            id INTEGER PRIMARY KEY,
            ts INTEGER NOT NULL, -- milliseconds since 1970
            life INTEGER NOT NULL, -- the gateway's start that wrote it, likewise
            kind TEXT NOT NULL,
            service TEXT,
            place INTEGER,
            machine TEXT,
            state TEXT,
            cause TEXT,
            request_id TEXT,
            took_s REAL,
            more TEXT -- JSON; NULL for nothing more
        )""",
        # Pages are cut along (ts, id), alone or within one service, one kind, or both.
        "CREATE INDEX activity_ts ON activity (ts)",
        "CREATE INDEX activity_service ON activity (service, ts)",
        "CREATE INDEX activity_kind ON activity (kind, ts)",
        "CREATE INDEX activity_service_kind ON activity (service, kind, ts)",
        """CREATE TABLE usage (
            service TEXT NOT NULL,
            place INTEGER NOT NULL,
            minute INTEGER NOT NULL, -- since 1970
            requests INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            bytes_in INTEGER NOT NULL,
            bytes_out INTEGER NOT NULL,
            seconds REAL NOT NULL,
            PRIMARY KEY (minute, service, place)
        ) WITHOUT ROWID""",
        "CREATE TABLE models (service TEXT PRIMARY KEY, names TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE holds (
            of TEXT NOT NULL, -- service, machine or all
            id TEXT NOT NULL, -- empty for all
            until REAL, -- seconds since 1970; NULL: for ever
            PRIMARY KEY (of, id)
        ) WITHOUT ROWID""",
        """CREATE TABLE keys (
            name TEXT PRIMARY KEY,
            sha256 TEXT NOT NULL UNIQUE,
            services TEXT NOT NULL, -- JSON
            created REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE gateway (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)
VERSION = len(MIGRATIONS)
