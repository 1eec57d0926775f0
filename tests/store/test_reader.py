import contextlib
import sqlite3

import pytest

from hestia.rules.report import Thing
from hestia.store.reader import MOST, Reader, Wanted
from hestia.store.store import Store
from hestia.store.writer import NoDisk
from hestia.words.activity import Entry, Usage
from tests.store.doubles import Lines, entry

NOW = 1_700_000_000.0


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "hestia.db", Lines(), wall=lambda: NOW) as store:
        yield store


@pytest.fixture
def reader(store):
    return Reader(store.path, store.settled)


def ids(page) -> list[int]:
    return [each.id for each in page.activity]


async def pages(reader, **wanted) -> list[list[int]]:
    found, cursor = [], None
    while True:
        page = await reader.activity(Wanted(cursor=cursor, **wanted))
        found.append(ids(page))
        if page.next is None:
            return found
        cursor = page.next


async def test_an_entry_comes_back_as_it_was_told(store, reader):
    said = Entry(
        id=5,
        ts="2023-11-14T22:13:20.123Z",
        kind="service.ready",
        service="a",
        place=1,
        machine="m",
        state="hot",
        cause="request",
        request_id="r",
        took_s=1.5,
        more={"reason": "x"},
    )
    store.add(said, NOW + 0.123)
    assert (await reader.activity(Wanted())).activity == (said,)


async def test_what_was_just_told_is_found(store, reader):
    for number in range(1, 50):
        store.add(entry(number), NOW)
        assert ids(await reader.activity(Wanted(limit=1))) == [number]


async def test_pages_are_newest_first_and_leave_nothing_out_and_name_nothing_twice(store, reader):
    for number in range(1, 26):  # several of one moment, and a clock that was set back
        store.add(entry(number), NOW + (number // 4) * (1 if number < 20 else -1))
    together = [id_ for page in await pages(reader, limit=4) for id_ in page]
    assert sorted(together) == list(range(1, 26))
    assert together == ids(await reader.activity(Wanted()))
    assert [len(page) for page in await pages(reader, limit=5)] == [5] * 5


async def test_a_page_stays_what_it_is_while_new_entries_come(store, reader):
    for number in range(1, 11):
        store.add(entry(number), NOW)
    first = await reader.activity(Wanted(limit=4))
    store.add(entry(11), NOW)
    assert ids(await reader.activity(Wanted(limit=4, cursor=first.next))) == [6, 5, 4, 3]


@pytest.mark.parametrize(
    ("wanted", "found"),
    (
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"service": "a"}, [4, 3, 2, 1]),
        ({"kind": "k1"}, [5, 3, 1]),
        ({"service": "a", "kind": "k1"}, [3, 1]),
        ({"service": "absent"}, []),
        ({"since": NOW + 3}, [6, 5, 4, 3]),
        ({"until": NOW + 3}, [2, 1]),
        ({"since": NOW + 2, "until": NOW + 3}, [2]),
        ({"since": NOW + 2.0004, "service": "a", "kind": "k0"}, [4, 2]),
        ({"limit": 2, "service": "a"}, [4, 3]),
    ),
)
async def test_filters_hold_together_since_is_inclusive_and_until_is_not(store, reader, wanted, found):
    for number in range(1, 7):
        store.add(entry(number, f"k{number % 2}", service="a" if number < 5 else "b"), NOW + number)
    assert ids(await reader.activity(Wanted(**wanted))) == found


async def test_the_last_page_is_the_last_also_when_it_is_full(store, reader):
    for number in range(1, 5):
        store.add(entry(number), NOW)
    assert (await reader.activity(Wanted(limit=4))).next is None


@pytest.mark.parametrize("cursor", ("", "x", "5", "5-", "-5", "1-2-3", "1;DROP TABLE activity-1", "9" * 30 + "-1", "١-١"))
async def test_a_cursor_that_no_page_gave_is_a_mistake_of_the_asker(reader, cursor):
    with pytest.raises(ValueError, match="cursor"):
        await reader.activity(Wanted(cursor=cursor))


@pytest.mark.parametrize("limit", (0, -1, MOST + 1))
async def test_a_limit_that_is_impossible_is_a_mistake_of_the_asker(reader, limit):
    with pytest.raises(ValueError, match="limit"):
        await reader.activity(Wanted(limit=limit))


async def test_usage_is_summed_by_place_over_the_minutes_that_the_time_touches(store, reader):
    for minute in range(10, 15):
        store.add_usage([Usage(service="a", minute=minute, requests=1, seconds=0.5), Usage(service="b", minute=minute, place=1)])
    assert await reader.usage() == (
        Usage(service="a", minute=10, requests=5, seconds=2.5),
        Usage(service="b", place=1, minute=10),
    )
    [one, _] = await reader.usage(since=11 * 60 + 30, until=13 * 60)
    assert one.requests == 2
    [one, _] = await reader.usage(since=0, until=12 * 60 + 1)
    assert one.requests == 3


async def test_a_report_is_made_of_activity_and_usage(store, reader):
    store.add(entry(1, "service.starting", service="a", state="starting", cause="request"), NOW - 7200)
    store.add(entry(2, service="a", state="hot"), NOW - 7200)
    store.add_usage([Usage(service="a", minute=int(NOW // 60) - 5, requests=4)])
    things = [Thing(id="a", cost_per_hour=2.0)]
    made = await reader.report(things, [], since=NOW - 10800, until=NOW, now=NOW, life=store.life, using={})
    [one] = made.services
    assert (one.hours_hot, one.hours_asleep, one.requests, one.starts, one.saving) == (2, 1, 4, 1, 2)


async def test_nothing_is_ever_written_by_reading(store, reader):
    await store.settled()
    async with reader._reading() as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.execute("DELETE FROM activity")


async def test_a_read_goes_on_while_another_process_holds_the_lock(store, reader):
    store.add(entry(1), NOW)
    await store.settled()
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert ids(await reader.activity(Wanted())) == [1]


async def test_a_database_that_cannot_be_read_is_said(tmp_path):
    async def settle() -> None:
        """Nothing waits."""

    for path in (tmp_path / "absent.db", tmp_path):
        with pytest.raises(NoDisk):
            await Reader(path, settle).activity(Wanted())
        with pytest.raises(NoDisk):
            await Reader(path, settle).report([], [], since=0, until=1, now=1, life=1, using={})
    assert not (tmp_path / "absent.db").exists()
