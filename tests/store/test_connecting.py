import asyncio
import contextlib
import sqlite3
import time

import pytest

from hestia.store.connecting import connect, connected
from tests.store.doubles import threads, until


def memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


def fails() -> sqlite3.Connection:
    raise OSError("no disk")


async def test_a_connection_works_in_a_thread_of_its_own_until_it_is_closed():
    before = threads()
    async with connected(memory) as database:
        assert len(threads() - before) == 1
        assert list(await database.execute_fetchall("SELECT 1")) == [(1,)]
    await until(lambda: threads() <= before)


async def test_an_opening_that_fails_says_why_and_leaves_no_thread():
    before = threads()
    with pytest.raises(OSError, match="no disk"):
        await connect(fails)
    await until(lambda: threads() <= before)


async def test_a_mistake_inside_closes_it_too():
    before = threads()
    with pytest.raises(sqlite3.OperationalError):
        async with connected(memory) as database:
            await database.execute("nonsense")
    await until(lambda: threads() <= before)


@pytest.mark.parametrize("ticks", range(6))
@pytest.mark.parametrize("slow", (0.0, 0.05))
async def test_a_connection_that_is_cancelled_at_any_moment_leaves_no_thread(ticks, slow):
    before = threads()

    def opened() -> sqlite3.Connection:
        time.sleep(slow)
        return sqlite3.connect(":memory:", check_same_thread=False)

    async def work() -> None:
        async with connected(opened) as database:
            await database.execute("SELECT 1")

    task = asyncio.ensure_future(work())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await until(lambda: threads() <= before)
