"""The database behind the use-cases, with a real one."""

import os
import sqlite3

import pytest

from hestia.doors.verbs_archive import StoreArchive
from hestia.doors.verbs_params import BadParams
from hestia.roof.config import load_text
from hestia.store.reader import Reader, Wanted
from hestia.store.store import Store
from hestia.telemetry.log import Log
from hestia.words.activity import entry_of, rfc3339
from hestia.words.notes import Note
from hestia.words.refusal import Refusal

NOW = 1_777_636_800.0
CONFIG = """
services:
  ollama: null
  demo: {base_url: "http://127.0.0.1:9", cost_per_hour: 2, launch: {kind: process, command: [server]}}
  watched: {base_url: "http://127.0.0.1:8"}
"""


class World:
    def __init__(self, folder):
        self.now = NOW
        self.config = load_text(CONFIG).config
        self.store = Store(folder / "hestia.db", Log(lambda _: None), wall=lambda: self.now)
        self.archive = StoreArchive(self.store, Reader(self.store.path, self.store.settled), lambda: self.config, dict, wall=lambda: self.now)
        self.last = 0

    def tell(self, kind, **more):
        self.last += 1
        self.store.add(entry_of(Note(kind=kind, **more), self.last, rfc3339(self.now)), self.now)


@pytest.fixture
async def world(tmp_path):
    one = World(tmp_path)
    async with one.store:
        one.store.loaded(one.config)
        yield one


async def test_activity_is_newest_first_and_a_bad_cursor_is_a_bad_parameter(world):
    world.tell("service.starting", service="demo")
    world.tell("service.ready", service="demo")
    page = await world.archive.activity(Wanted(limit=1))
    assert ([each.kind for each in page.activity], page.next is not None) == (["service.ready"], True)
    with pytest.raises(BadParams):
        await world.archive.activity(Wanted(cursor="nonsense"))


async def test_the_report_knows_which_services_may_sleep(world):
    world.tell("service.ready", service="demo", state="hot", cause="request")
    world.now += 3600
    world.tell("service.stopped", service="demo", state="cold", cause="idle")
    world.now += 3600
    report = await world.archive.report(NOW, None)
    rows = {row.id: row for row in report.services}
    assert round(rows["demo"].hours_hot, 2) == 1.0
    assert rows["watched"].hours_asleep is None
    assert [row.id for row in report.machines] == ["local"]


async def test_the_report_without_a_time_is_of_all_that_is_known(world):
    world.now += 7200
    assert (await world.archive.report(None, None)).since == rfc3339(NOW)
    with pytest.raises(BadParams):
        await world.archive.report(NOW + 10, NOW)


async def test_a_backup_is_a_whole_database_and_replaces_nothing(world, tmp_path):
    world.tell("service.ready", service="demo")
    target = tmp_path / "copy.db"
    assert await world.archive.backup(str(target)) == target.stat().st_size > 0
    with sqlite3.connect(target) as copy:
        assert copy.execute("SELECT kind FROM activity").fetchall() == [("service.ready",)]
    with pytest.raises(Refusal, match="exists already"):
        await world.archive.backup(str(target))


async def test_a_backup_that_cannot_be_written_says_why(world):
    with pytest.raises(Refusal) as caught:
        await world.archive.backup("/no/such/folder/copy.db")
    assert (caught.value.code, "no backup could be written" in caught.value.detail) == ("bad_request", True)


async def test_a_database_that_cannot_be_read_is_said(world):
    world.tell("service.ready", service="demo")
    await world.store.settled()
    os.rename(world.store.path, f"{world.store.path}.gone")
    with pytest.raises(Refusal) as caught:
        await world.archive.activity(Wanted())
    assert (caught.value.code, "database cannot be used" in caught.value.detail) == ("internal", True)
    os.rename(f"{world.store.path}.gone", world.store.path)
