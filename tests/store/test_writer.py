import asyncio
import contextlib
import sqlite3

import aiosqlite
import pytest

from hestia.store.backlog import Backlog, Op
from hestia.store.opening import NewerSchema, Opening
from hestia.store.schema import MIGRATIONS
from hestia.store.writer import Writer
from tests.store.doubles import Lines, rows, threads, until, whole

FAST = (0.01, 0.05)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hestia.db"


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
async def writer(path, lines):
    writer = Writer(Opening(path), lines, lambda state: None, delays=FAST)
    await writer.open()
    yield writer
    await writer.close(2)


def name(value: str, done=None, *, urgent: bool = False) -> Op:
    return Op("INSERT INTO gateway VALUES (?, '')", (value,), done, urgent)


def written(path) -> set[str]:
    return {value for (value,) in rows(path, "SELECT name FROM gateway WHERE name != 'opened'")}


class Failing:
    """The writing connection of aiosqlite, whose statements fail as if the disk did."""

    def __init__(self, monkeypatch, code: int, words: str, at: str = "COMMIT") -> None:
        self.on = True
        self.tries = 0
        execute = aiosqlite.Connection.execute

        async def failing(database, sql, parameters=None):
            if self.on and sql == at:
                self.tries += 1
                problem = sqlite3.OperationalError(words)
                problem.sqlite_errorcode = code
                raise problem
            return await execute(database, sql, parameters)

        monkeypatch.setattr(aiosqlite.Connection, "execute", failing)


async def test_what_is_put_is_on_disk_at_once(writer, path):
    writer.put(name("a"))
    assert await writer.settled(1)
    assert written(path) == {"a"}
    assert writer.figures == (0, 0, False, 1)


async def test_a_burst_is_written_in_few_transactions_and_in_its_order(path, lines):
    writer = Writer(Opening(path), lines, lambda state: None)
    for number in range(5000):
        writer.put(Op("INSERT INTO activity (id, ts, life, kind) VALUES (?, 0, 0, 'k')", (number + 1,)))
    await writer.open()
    assert await writer.settled(5)
    assert rows(path, "SELECT count(*), max(id) FROM activity") == [(5000, 5000)]
    await writer.close()


async def test_whoever_asked_hears_how_many_rows_changed(writer):
    done = asyncio.get_running_loop().create_future()
    writer.put(name("a"))
    writer.put(Op("UPDATE gateway SET value = 'x' WHERE name IN ('a', 'opened')", (), done))
    assert await done == 2


async def test_one_impossible_row_harms_no_other(writer, path, lines):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    other = loop.create_future()
    for number in range(50):
        writer.put(name(f"before {number}"))
    writer.put(Op("INSERT INTO gateway VALUES (?, NULL)", ("impossible",), done))
    writer.put(Op("INSERT INTO gateway VALUES (?, '')", ("\ud800",)))
    writer.put(Op("INSERT INTO activity (id, ts, life, kind) VALUES (?, 0, 0, 'k')", (2**70,)))
    writer.put(name("after", other))
    with pytest.raises(sqlite3.IntegrityError):
        await done
    assert await other == 1
    assert len(written(path)) == 51
    assert writer.figures.lost == 3
    assert lines.names.count("internal") == 3
    assert not writer.figures.failing


@pytest.mark.parametrize("at", ("BEGIN IMMEDIATE", "COMMIT"))
@pytest.mark.parametrize(
    ("code", "words"),
    (
        (sqlite3.SQLITE_FULL, "database or disk is full"),
        (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
        (sqlite3.SQLITE_IOERR, "disk I/O error"),
        (sqlite3.SQLITE_BUSY, "database is locked"),
    ),
)
async def test_a_failing_disk_is_said_once_and_all_is_written_when_it_recovers(
    writer, path, lines, monkeypatch, code, words, at
):
    disk = Failing(monkeypatch, code, words, at)
    for number in range(20):
        writer.put(name(str(number)))
    await until(lambda: disk.tries >= 3)
    assert writer.figures == (20, 0, True, 0)
    assert writer.reason == words
    assert lines.of("store.failing") == {"detail": words, "pending": 20}
    disk.on = False
    assert await writer.settled(2)
    assert written(path) == {str(number) for number in range(20)}
    assert writer.figures == (0, 0, False, 20)
    assert lines.names == ["store.failing", "store.recovered"]


async def test_a_disk_that_fails_for_long_is_tried_in_growing_steps_and_not_in_a_circle(path, lines, monkeypatch):
    writer = Writer(Opening(path), lines, lambda state: None, delays=(0.05, 0.1, 0.2))
    await writer.open()
    disk = Failing(monkeypatch, sqlite3.SQLITE_IOERR, "disk I/O error")
    writer.put(name("a"))
    await until(lambda: disk.tries >= 1)
    await asyncio.sleep(0.5)
    assert 2 <= disk.tries <= 6
    disk.on = False
    await writer.close()


async def test_something_urgent_has_the_disk_tried_at_once(path, lines, monkeypatch):
    writer = Writer(Opening(path), lines, lambda state: None, delays=(60.0,))
    await writer.open()
    disk = Failing(monkeypatch, sqlite3.SQLITE_IOERR, "disk I/O error")
    writer.put(name("event"))
    await until(lambda: disk.tries == 1)
    disk.on = False
    writer.put(name("urgent", urgent=True))
    assert await writer.settled(2)
    assert written(path) == {"event", "urgent"}
    await writer.close()


async def test_events_beyond_the_bound_are_counted_and_said(path, lines, monkeypatch):
    writer = Writer(Opening(path), lines, lambda state: None, backlog=Backlog(10), delays=FAST)
    await writer.open()
    disk = Failing(monkeypatch, sqlite3.SQLITE_FULL, "full")
    for number in range(25):
        writer.put(name(str(number)))
    await until(lambda: disk.tries)
    assert writer.figures[:2] == (10, 15)
    assert lines.names.count("store.lost") == 1
    disk.on = False
    assert await writer.settled(2)
    assert sum(fields["lost"] for said, _, fields in lines.events if said == "store.lost") == 15
    assert len(written(path)) == 10
    await writer.close()


async def test_a_lock_of_another_process_is_waited_out(writer, path, lines):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writer.put(name("a"))
        await until(lambda: writer.figures.failing)
        assert "locked" in writer.reason
        other.execute("COMMIT")
    assert await writer.settled(5)
    assert written(path) == {"a"}


async def test_a_full_disk_is_no_end(writer, path, lines):
    await until(lambda: writer._database is not None)
    await writer._database.execute("PRAGMA max_page_count = 1")  # SQLite's own full disk: as many pages as there are
    writer.put(Op("INSERT INTO gateway VALUES ('big', ?)", ("x" * 1_000_000,)))
    await until(lambda: "store.failing" in lines.names)
    assert "full" in lines.of("store.failing")["detail"]
    assert await writer.settled(5)  # the next opening has room again
    assert written(path) == {"big"}


async def test_a_file_limit_is_a_full_disk_too(writer, path, lines):
    import resource

    size, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        writer.put(Op("INSERT INTO gateway VALUES ('big', ?)", ("x" * 1_000_000,)))
        await until(lambda: "store.failing" in lines.names)
        await until(lambda: writer.figures.failing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    assert await writer.settled(5)
    assert written(path) == {"big"}
    assert whole(path)


async def test_a_database_that_is_damaged_while_it_is_used_is_set_aside(writer, path, lines, monkeypatch):
    disk = Failing(monkeypatch, sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    inspect = Opening._inspect

    def spoilt(opening):
        if disk.on:
            disk.on = False
            path.write_bytes(b"nonsense" * 1000)
        inspect(opening)

    monkeypatch.setattr(Opening, "_inspect", spoilt)
    writer.put(name("a"))
    assert await writer.settled(5)
    assert "store.damaged" in lines.names
    assert written(path) == {"a"}


async def test_a_folder_that_comes_later_is_used_then(tmp_path, lines):
    path = tmp_path / "file" / "hestia.db"
    path.parent.touch()
    known = []
    writer = Writer(Opening(path), lines, known.append, delays=FAST)
    await writer.open()
    writer.put(name("a"))
    assert writer.figures.failing
    assert known == []
    path.parent.unlink()
    assert await writer.settled(5)
    assert written(path) == {"a"}
    assert len(known) == 1
    await writer.close()


async def test_a_newer_schema_stops_the_start_and_leaves_no_thread(path, lines):
    Opening(path, (*MIGRATIONS, ("CREATE TABLE further (x)",)))().close()
    before = threads()
    with pytest.raises(NewerSchema):
        await Writer(Opening(path), lines, lambda state: None).open()
    await until(lambda: threads() <= before)


async def test_the_close_writes_what_waits_and_ends_the_thread(path, lines):
    before = threads()
    writer = Writer(Opening(path), lines, lambda state: None)
    await writer.open()
    for number in range(3000):
        writer.put(name(str(number)))
    await writer.close()
    assert [file.name for file in path.parent.iterdir()] == ["hestia.db"]
    assert len(written(path)) == 3000
    await until(lambda: threads() <= before)
    await writer.close()


async def test_a_close_with_a_failing_disk_ends_in_time_and_says_what_is_lost(path, lines, monkeypatch):
    before = threads()
    writer = Writer(Opening(path), lines, lambda state: None, delays=FAST)
    await writer.open()
    Failing(monkeypatch, sqlite3.SQLITE_IOERR, "disk I/O error")
    done = asyncio.get_running_loop().create_future()
    writer.put(name("a", done))
    async with asyncio.timeout(3):
        await writer.close(0.2)
    assert lines.of("store.lost") == {"lost": 1, "detail": "disk I/O error"}
    assert done.done()
    writer.put(name("too late"))
    assert writer.figures.lost == 2
    await until(lambda: threads() <= before)


@pytest.mark.parametrize("ticks", range(0, 12, 2))
async def test_a_close_that_is_cancelled_ends_the_thread_too(path, lines, ticks):
    before = threads()
    writer = Writer(Opening(path), lines, lambda state: None)
    await writer.open()
    writer.put(name("a"))
    task = asyncio.ensure_future(writer.close())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await writer.close()
    await until(lambda: threads() <= before)


@pytest.mark.parametrize("ticks", range(5))
async def test_an_opening_that_is_cancelled_leaves_no_thread(path, lines, ticks):
    before = threads()
    writer = Writer(Opening(path), lines, lambda state: None)
    task = asyncio.ensure_future(writer.open())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await writer.close()
    await until(lambda: threads() <= before)


async def test_a_mistake_of_our_own_is_said_and_the_writing_goes_on(writer, path, lines, monkeypatch):
    transaction = Writer._transaction
    broken = [RuntimeError("a bug")]

    async def once_broken(self, database):
        if broken:
            raise broken.pop()
        await transaction(self, database)

    monkeypatch.setattr(Writer, "_transaction", once_broken)
    writer.put(name("a"))
    assert await writer.settled(2)
    assert "a bug" in lines.of("internal")["message"]
    assert written(path) == {"a"}
