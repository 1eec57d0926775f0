import asyncio
import contextlib
import hashlib
import math
import random
import sqlite3
import subprocess
import sys

import msgspec
import pytest
from msgspec.structs import replace

from hestia.store.opening import NewerSchema, Opening
from hestia.store.schema import MIGRATIONS
from hestia.store.store import Store
from hestia.store.writer import NoDisk
from hestia.words.activity import Usage
from hestia.words.run import Run
from tests.house.tree import ROOT
from tests.store.doubles import Lines, entry, folder_of_nobody, rows, run, threads, until, whole
from tests.store.test_loaded import config, service

FAST = (0.01, 0.05)
NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hestia.db"


@pytest.fixture
def lines():
    return Lines()


def store_at(path, lines=None, **options) -> Store:
    return Store(path, lines or Lines(), **{"wall": lambda: NOW, "delays": FAST, **options})


@pytest.fixture
async def store(path, lines):
    async with store_at(path, lines) as store:
        yield store


@contextlib.asynccontextmanager
async def locked(store):
    """Another process holds the database, and lets it go."""
    path = store.path
    await store.settled()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def runs_on_disk(path) -> dict[str, Run]:
    found = rows(path, "SELECT run FROM places WHERE run IS NOT NULL")
    return {one.id: one for one in (msgspec.json.decode(text, type=Run) for (text,) in found)}


async def test_a_run_is_on_disk_when_recording_it_has_returned(store, path):
    one = run(handle={"pid": 5}, port=99)
    await store.record_run(one)
    assert runs_on_disk(path) == {"run-1": one}
    await store.record(one)({"pid": 6, "start": 7})
    assert runs_on_disk(path) == {"run-1": replace(one, handle={"pid": 6, "start": 7})}
    assert store.runs() == (replace(one, handle={"pid": 6, "start": 7}),)
    await store.forget_run("run-1")
    assert runs_on_disk(path) == {}
    assert store.runs() == ()


async def test_a_handle_is_added_to_what_was_last_recorded(store, path):
    one = run()
    record = store.record(one)
    await store.record_run(replace(one, port=8))
    await record({"pid": 1})
    assert runs_on_disk(path)["run-1"] == replace(one, port=8, handle={"pid": 1})


async def test_the_next_gateway_knows_all_that_this_one_kept(path):
    async with store_at(path) as store:
        await store.record_run(run("r1"))
        await store.record_run(run("r2", owner="desk", of="machine"))
        store.hold("service", "a")
        store.hold("machine", "desk", NOW + 5)
        store.hold("all", "")
        store.release("all")
        store.keep_models("a", ["m1", "m2"])
        store.keep_models("a", ["m1", "m2", "m3"])
        for number, took_s in enumerate((1.0, 5.0, 2.0), 1):
            store.add(entry(number, service="a", took_s=took_s, cause="request"), NOW)
        store.loaded(config(service("a")))
        id_ = store.gateway_id
    async with store_at(path) as store:
        assert [one.id for one in store.runs()] == ["r1", "r2"]
        assert store.holds() == {("service", "a"): math.inf, ("machine", "desk"): NOW + 5}
        assert store.models() == {"a": ("m1", "m2", "m3")}
        assert store.expected_start("a") == 2.0
        assert store.gateway_id == id_
        assert store.last_entry == 3
        assert store.first_seen() == {("service", "a"): NOW}


async def test_a_hold_that_is_over_is_no_hold(path):
    async with store_at(path) as store:
        store.hold("service", "a", NOW - 1)
        assert store.holds() == {}


async def test_only_successful_starts_of_ours_say_how_long_a_start_takes(store):
    store.add(entry(1, service="a", took_s=4.0, cause="request"), NOW)
    store.add(entry(2, service="a", took_s=0.1, cause="adoption"), NOW)
    store.add(entry(3, "service.start_failed", service="a", took_s=60.0), NOW)
    assert store.expected_start("a") == 4.0
    assert store.expected_start("b") is None


async def test_an_event_is_on_disk_within_a_second_with_all_that_it_says(store, path):
    said = entry(
        7,
        service="a",
        place=1,
        machine="m",
        state="hot",
        cause="request",
        request_id="r",
        took_s=1.5,
        more={"reason": "bad \ud800 text", ("no", "text"): 1, "thing": object},
    )
    store.add(said, NOW + 0.0014)
    await until(lambda: rows(path, "SELECT count(*) FROM activity") == [(1,)], within=1)
    [row] = rows(path, "SELECT * FROM activity")
    assert row[:11] == (7, 1_700_000_000_001, 1_700_000_000_000, "service.ready", "a", 1, "m", "hot", "request", "r", 1.5)
    assert "\\ud800" in row[11]


async def test_an_id_that_is_taken_loses_no_event(store, path):
    store.add(entry(7, service="a"), NOW)
    store.add(entry(7, service="b"), NOW)
    await store.settled()
    assert rows(path, "SELECT service FROM activity ORDER BY id") == [("a",), ("b",)]


async def test_usage_is_added_up_by_minute(store, path):
    store.add_usage([Usage(service="a", minute=5, requests=2, errors=1, bytes_in=3, bytes_out=4, seconds=0.5)])
    store.add_usage([Usage(service="a", minute=5, requests=1, seconds=0.25), Usage(service="a", place=1, minute=5)])
    await store.settled()
    assert rows(path, "SELECT * FROM usage ORDER BY place") == [
        ("a", 0, 5, 3, 1, 3, 4, 0.75),
        ("a", 1, 5, 0, 0, 0, 0, 0.0),
    ]


async def test_a_run_is_kept_in_memory_when_the_disk_fails_and_the_log_says_what_that_means(store, path, lines):
    loop = asyncio.get_running_loop()
    async with locked(store):
        began = loop.time()
        await store.record_run(run())
        assert 0.9 <= loop.time() - began <= 1.5
        assert lines.of("store.unrecorded")["service"] == "a"
        assert [one.id for one in store.runs()] == ["run-1"]
        await until(lambda: store.failing)
        began = loop.time()
        await store.record_run(run("run-2"))
        assert loop.time() - began <= 1.1  # the disk has failed for long: nobody waits for it again and again
    await until(lambda: set(runs_on_disk(path)) == {"run-1", "run-2"})
    await until(lambda: "store.recovered" in lines.names)


async def test_a_run_that_ended_while_the_disk_failed_is_not_on_disk_afterwards(store, path):
    async with locked(store):
        await store.record_run(run())
        await store.forget_run("run-1")
    assert await store._writer.settled(5)
    assert runs_on_disk(path) == {}


@pytest.mark.parametrize("ticks", range(8))
async def test_a_recording_that_is_cancelled_is_written_or_was_never_asked_for(store, path, ticks):
    task = asyncio.ensure_future(store.record_run(run()))
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await store._writer.settled(2)
    assert {one.id for one in store.runs()} == set(runs_on_disk(path)) == ({"run-1"} if ticks else set())
    await store.forget_run("run-1")
    assert runs_on_disk(path) == {}


async def test_a_place_that_cannot_be_written_does_not_keep_the_gateway_from_starting(lines):
    with folder_of_nobody() as folder:
        path = folder / "hestia.db"
        async with store_at(path) as store:
            await store.record_run(run("before"))
        folder.chmod(0o500)
        async with store_at(path, lines) as store:
            assert [one.id for one in store.runs()] == ["before"]
            assert store.gateway_id
            assert lines.names[0] == "store.failing"
            store.add(entry(1), NOW)
            assert store.figures.pending
            folder.chmod(0o700)
            await until(lambda: not store.figures.failing)
            await until(lambda: rows(path, "SELECT count(*) FROM activity") == [(1,)])
        assert "store.recovered" in lines.names


async def test_what_a_disk_knew_that_came_late_is_added_to_what_was_learnt_meanwhile(tmp_path, lines):
    kept = tmp_path / "kept"
    async with store_at(kept / "hestia.db") as store:
        await store.record_run(run("old"))
        store.hold("service", "a")
        store.hold("service", "b")
    (tmp_path / "data").touch()
    async with store_at(tmp_path / "data" / "hestia.db", lines) as store:
        assert store.runs() == ()
        id_ = store.gateway_id
        store.hold("service", "b", NOW + 1)
        await store.record_run(run("new"))
        (tmp_path / "data").unlink()
        kept.rename(tmp_path / "data")
        await until(lambda: not store.figures.failing)
        assert {one.id for one in store.runs()} == {"old", "new"}
        assert store.holds() == {("service", "a"): math.inf, ("service", "b"): NOW + 1}
        assert store.gateway_id == id_
        await store._writer.settled(2)
        assert set(runs_on_disk(tmp_path / "data" / "hestia.db")) == {"old", "new"}


async def test_a_newer_database_ends_the_start(path):
    Opening(path, (*MIGRATIONS, ("CREATE TABLE further (x)",)))().close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(NewerSchema, match="newer Hestia"):
        await store_at(path).open()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(store, path):
    secret = await store.create_key("laptop", ["a", "b"])
    [key] = store.keys()
    assert (key.name, key.services, key.created) == ("laptop", ("a", "b"), NOW)
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in path.read_bytes().decode(errors="replace")
    assert rows(path, "SELECT name, sha256 FROM keys") == [("laptop", key.sha256)]
    with pytest.raises(KeyError):
        await store.create_key("laptop")
    assert await store.revoke_key("laptop")
    assert not await store.revoke_key("laptop")
    assert (store.keys(), rows(path, "SELECT * FROM keys")) == ((), [])


async def test_a_key_that_cannot_be_kept_is_not_given_out(store, path, monkeypatch):
    monkeypatch.setattr("hestia.store.store.CERTAIN_S", 0.2)
    async with locked(store):
        with pytest.raises(NoDisk):
            await store.create_key("laptop")
        assert store.keys() == ()
    assert await store._writer.settled(5)
    assert rows(path, "SELECT * FROM keys") == []


async def test_a_key_that_is_revoked_while_the_disk_fails_opens_nothing_and_is_deleted_later(store, path):
    await store.create_key("laptop")
    async with locked(store):
        with pytest.raises(NoDisk, match="opens nothing now"):
            await store.revoke_key("laptop")
        assert store.keys() == ()
    assert await store._writer.settled(5)
    assert rows(path, "SELECT * FROM keys") == []


async def test_what_is_older_than_the_retention_goes_in_small_transactions(path, monkeypatch):
    monkeypatch.setattr("hestia.store.store.PRUNED_AT_ONCE", 100)
    async with store_at(path, retention=60.0) as store:
        for number in range(350):
            store.add(entry(number + 1), NOW - 61)
        store.add(entry(1000), NOW - 60)
        store.add_usage([Usage(service="a", minute=int(NOW // 60) - age, requests=1) for age in range(4)])
        await store.settled()
        assert await store.prune() == 352
        assert rows(path, "SELECT id FROM activity") == [(1000,)]
        assert len(rows(path, "SELECT * FROM usage")) == 2


async def test_a_backup_is_a_whole_copy_of_all_that_was_told(store, path, tmp_path):
    await store.record_run(run())
    for number in range(500):
        store.add(entry(number + 1), NOW)
    target = tmp_path / "backup.db"
    await store.backup(target)
    assert whole(target)
    assert rows(target, "SELECT count(*) FROM activity") == [(500,)]
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        await store.backup(target)


async def test_a_backup_while_the_disk_fails_is_refused(store, path, tmp_path, monkeypatch):
    monkeypatch.setattr("hestia.store.store.CERTAIN_S", 0.2)
    async with locked(store):
        store.add(entry(1), NOW)
        with pytest.raises(NoDisk, match="not everything is on disk"):
            await store.backup(tmp_path / "backup.db")


async def test_the_close_leaves_no_thread_and_nothing_unwritten(path):
    before = threads()
    store = store_at(path)
    await store.open()
    for number in range(2500):
        store.add(entry(number + 1), NOW)
    await store.close()
    await until(lambda: threads() <= before)
    assert rows(path, "SELECT count(*) FROM activity") == [(2500,)]


@pytest.mark.parametrize("seed", range(10))
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(path, seed):
    """Each seed kills three writers of one database."""
    chance = random.Random(seed)
    told, begun, ended = 0, set(), set()
    for _ in range(3):
        program = [sys.executable, "-m", "tests.store.killed", str(path), str(told + 1)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            first = child.stdout.readline()
            timer = chance.uniform(0, 0.15)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timer)
            child.kill()
            for line in (first, *child.stdout):
                if line.endswith("\n"):
                    word, what = line.split()
                    if word == "told":
                        told = int(what)
                    else:
                        {"began": begun, "ended": ended}[word].add(what)
        assert whole(path)
        assert rows(path, "SELECT coalesce(max(id), 0) FROM activity")[0][0] >= told
        # The last one may have begun, or ended, without our hearing of it.
        on_disk = set(runs_on_disk(path))
        assert len(on_disk - (begun - ended)) + len((begun - ended) - on_disk) <= 1
        begun, ended = on_disk, set()
