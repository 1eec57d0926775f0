import contextlib
import sqlite3
from math import inf

import pytest

from hestia.roof.records import StoreRecords, Telling
from hestia.store.store import Store
from hestia.telemetry.log import Log
from hestia.telemetry.users import Users
from hestia.words.notes import Note
from hestia.words.run import Run

RUN = Run(id="r1", owner="a", machine="local", launch=None, base_url="http://127.0.0.1:4000", handle={"pid": 7})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hestia.db"


def store(path):
    return Store(path, Log(lambda _: None))


async def test_what_was_recorded_is_read_by_the_next_gateway(path):
    async with store(path) as one:
        await StoreRecords(one).record(RUN)
    async with store(path) as two:
        assert two.runs() == (RUN,)


async def test_what_was_forgotten_is_not(path):
    async with store(path) as one:
        records = StoreRecords(one)
        await records.record(RUN)
        await records.forget("r1")
        await records.forget("never there")
    async with store(path) as two:
        assert two.runs() == ()


@pytest.mark.parametrize(("what", "key"), [("service/a", ("service", "a")), ("machine/desk", ("machine", "desk")), ("all", ("all", ""))])
@pytest.mark.parametrize("until", [inf, 4e9])
async def test_a_hold_is_kept_until_it_is_ended(path, what, key, until):
    async with store(path) as one:
        await StoreRecords(one).hold(what, until)
    async with store(path) as two:
        assert two.holds() == {key: until}
        await StoreRecords(two).hold(what, None)
    async with store(path) as three:
        assert three.holds() == {}


async def test_a_hold_and_its_end_are_on_disk_when_they_are_answered(path):
    async with store(path) as one:
        records = StoreRecords(one)
        await records.hold("service/a", inf)
        assert held_on_disk(path) == [("service", "a")]
        await records.hold("service/a", None)
        assert held_on_disk(path) == []


def held_on_disk(path):
    with contextlib.closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT of, id FROM holds").fetchall()


async def test_an_id_with_any_sign_of_an_id_is_kept_whole(path):
    async with store(path) as one:
        await StoreRecords(one).hold("service/a.b-c_d", inf)
        assert one.holds() == {("service", "a.b-c_d"): inf}


async def test_a_disk_that_does_not_take_it_raises_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    async with store(tmp_path / "file" / "hestia.db") as one:
        records = StoreRecords(one)
        await records.record(RUN)
        await records.hold("service/a", inf)
        await records.forget("r1")
        assert one.holds() == {("service", "a"): inf}


def test_who_kept_it_awake_is_told_with_its_end_dependents_and_users_alike():
    told = []

    class Bulletin:
        tell = staticmethod(told.append)

    telling = Telling(Bulletin(), None)
    telling.users = Users()
    telling.users.used("a", "phone", 3.0)
    telling(Note(kind="service.stopped", service="a", more={"kept_by": {"ui": 2.0}}))
    telling(Note(kind="service.stopped", service="a", more={"kept_by": {"ui": 1.0}}))
    assert [note.more["kept_by"] for note in told] == [{"ui": 2.0, "phone": 3.0}, {"ui": 1.0}]
