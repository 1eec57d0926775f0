"""Opening the database: a new one, an older one, a damaged one; and never touching a newer one.

Everything here waits for the disk, so it runs in the thread of the connection that it opens.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hestia.store.copying import keep_copy
from hestia.store.schema import MIGRATIONS
from hestia.store.state import State, read_state

BUSY_S = 1.0  # how long a statement waits for somebody else's lock; the writer tries again after it
CHECKED_WHOLE = 64 * 1024 * 1024  # a smaller file is read through at every start (measured: 0.1 s for this size)
BESIDE = ("", "-wal", "-shm")
MAGIC = b"SQLite format 3\0"
# SQLITE_ERROR while opening: a table is missing, or somebody else's has its name.
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)

Migrations = Sequence[Sequence[str]]


class NewerSchema(Exception):
    """The database belongs to a later Hestia. Its text says what to do."""


class Damaged(sqlite3.DatabaseError):
    """The file is no database, or a broken one."""


class Opening:
    """Opens one path, again and again if need be. `state` is what was read, also where nothing can be written.

    `said` collects what the log shall hear as (event, level, fields); `step` is told the name of each step that a kill
    might come after. `anew`: the last opening found another file than the one before, or made one.
    """

    def __init__(
        self, path: Path, migrations: Migrations = MIGRATIONS, step: Callable[[str], None] | None = None
    ) -> None:
        self.path = path
        self.state: State | None = None
        self.said: list[tuple[str, str, dict[str, object]]] = []
        self.anew = False
        self._file: tuple[int, int] | None = None
        self._migrations = migrations
        self._step = step or _unwatched
        self._doubtful = False

    def __call__(self) -> sqlite3.Connection:
        """A connection that has written. Raises NewerSchema, sqlite3.Error or OSError."""
        try:
            return self._open()
        except Damaged as problem:
            self._set_aside(str(problem))
            return self._open()

    def doubt(self, problem: BaseException) -> None:
        """Tell of a mistake that came later: after one that speaks of damage the next opening reads the whole file."""
        self._doubtful = self._doubtful or code_of(problem) in DAMAGE

    def taken_away(self) -> bool:
        """Whether the file that was opened last stands there no more: whatever is written to it would be lost."""
        try:
            return self._file is not None and self._file != self._identity()
        except (FileNotFoundError, NotADirectoryError):
            return True

    def _identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        self._inspect()
        self._private_file()
        database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with seeing_damage():
                self._make_ready(database)
            return database
        except BaseException:
            database.close()
            raise

    def _inspect(self) -> None:
        """Look without changing a byte: SQLite mends, empties and deletes where it may write, even what is not ours.

        What cannot be written may still be read here: what runs must be known, or it is started a second time.
        """
        if not self.path.exists() or not self.path.stat().st_size:
            return
        with self.path.open("rb") as file:
            magic = file.read(len(MAGIC))
        if magic != MAGIC:
            raise Damaged("it is no SQLite database")
        for how in ways_to_read(self.path):
            try:
                with seeing_damage(), contextlib.closing(read_only(self.path, how)) as database:
                    self._look_through(database)
                return
            except sqlite3.OperationalError:  # no permission to read, or for what a reader needs beside it
                continue

    def _look_through(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise NewerSchema(
                f"{self.path} was written by a newer Hestia (its schema is {version}, this one knows"
                f" {len(self._migrations)}): use that version, or move the file away"
            )
        if not version and database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise Damaged("it is a database, but none of Hestia's")
        if self._doubtful or self.path.stat().st_size <= CHECKED_WHOLE:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise Damaged(found)
        self._doubtful = False
        if version == len(self._migrations):
            self._keep(read_state(database))

    def _keep(self, state: State) -> None:
        """What was read first stays: later the gateway itself knows best."""
        if self.state is None:
            self.state = state

    def _private_file(self) -> None:
        """The file exists and is nobody else's to read; what SQLite puts beside it takes its mode."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if self.path.stat().st_mode & 0o077:
            with contextlib.suppress(OSError):
                self.path.chmod(0o600)

    def _make_ready(self, database: sqlite3.Connection) -> None:
        # A commit is on the platter before it counts: what a loss of power must not take is the knowledge of what runs
        # on other machines, by the hour. Events are few and written in batches, off the loop.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA journal_size_limit = 16777216")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version < len(self._migrations):
            self._migrate(database, version)
            self._keep(read_state(database))
        file = self._identity()
        self.anew, self._file = not version or file != self._file, file
        database.create_function("taken_away", 0, self.taken_away)  # so that the writer can ask in its thread
        # Only a write tells whether one can write: the file may be read-only, the disk full, somebody's lock held.
        database.execute("INSERT OR REPLACE INTO gateway (name, value) VALUES ('opened', ?)", (str(int(time.time())),))

    def _migrate(self, database: sqlite3.Connection, version: int) -> None:
        kept: Path | None = None
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            kept = self.path.with_name(f"{self.path.name}.v{version}.bak")
            keep_copy(database, kept)
            self._step("migration.copied")
        database.execute("BEGIN IMMEDIATE")
        try:
            for statements in self._migrations[version:]:
                for statement in statements:
                    database.execute(statement)
                    self._step("migration.statement")
            database.execute(f"PRAGMA user_version = {len(self._migrations)}")
            self._step("migration.committing")
            database.execute("COMMIT")
        except BaseException:
            _roll_back(database)
            raise
        self._step("migration.committed")
        if kept is not None:
            fields = {"was": version, "now": len(self._migrations), "kept": str(kept)}
            self.said.append(("store.migrated", "info", fields))

    def _set_aside(self, reason: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        kept, count = self.path.with_name(f"{self.path.name}.damaged-{stamp}"), 1
        while kept.exists():
            kept, count = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{count}"), count + 1
        # The database goes last: a kill in between leaves it damaged, and the next start sets aside what is left.
        for end in reversed(BESIDE):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{kept}{end}")
                self._step("damaged.moved")
        self.said.append(("store.damaged", "error", {"reason": reason, "kept": str(kept)}))


def _unwatched(step: str) -> None:
    """Nobody is told."""


def ways_to_read(path: Path) -> tuple[str, ...]:
    """With nothing beside it the file is all there is, and `immutable` makes no file beside it either.

    What an unclean end left beside it may hold more than the file does, its version even; where that cannot be read
    (a reader needs a -shm, and may not make one), the file alone is better than nothing.
    """
    alone = "mode=ro&immutable=1"
    return ("mode=ro", alone) if Path(f"{path}-wal").exists() else (alone,)


def read_only(path: Path, how: str) -> sqlite3.Connection:
    """A connection that writes nothing; `how` are the parameters of SQLite's URI."""
    uri = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def seeing_damage() -> Iterator[None]:
    """Inside, what SQLite says of a broken file, or of one that is not ours, is raised as Damaged."""
    try:
        yield
    except sqlite3.DatabaseError as problem:
        if code_of(problem) in DAMAGE:
            raise Damaged(str(problem)) from problem
        raise
    except (ValueError, TypeError) as problem:  # a table holds what we never wrote
        raise Damaged(f"it holds what Hestia never wrote: {problem}") from problem


def code_of(problem: BaseException) -> int | None:
    """SQLite's primary result code; None where the mistake is not SQLite's."""
    code = getattr(problem, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _roll_back(database: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if database.in_transaction:
            database.execute("ROLLBACK")
