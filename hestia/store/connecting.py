"""A connection of aiosqlite whose thread never outlives a failed opening unseen.

aiosqlite tells its thread to stop when the opening fails, and does not wait: the thread may then find the loop closed.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiosqlite

ROWS_AT_ONCE = 64


async def connect(open_database: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """Run `open_database` in a thread of its own, which ends with `close`. Raises what it raises, thread and all gone.

    Cancelled, the thread ends by itself as soon as it can.
    """
    problems: list[Exception] = []

    def opened() -> sqlite3.Connection:
        try:
            return open_database()
        except Exception as problem:  # noqa: BLE001 -- carried over to the loop and raised there
            problems.append(problem)
            return sqlite3.connect(":memory:")

    database = await aiosqlite.Connection(opened, ROWS_AT_ONCE)
    if problems:
        await database.close()
        raise problems[0]
    return database


@asynccontextmanager
async def connected(open_database: Callable[[], sqlite3.Connection]) -> AsyncIterator[aiosqlite.Connection]:
    """A connection that is closed at the end, whatever happens."""
    database = await connect(open_database)
    try:
        yield database
    finally:
        await database.close()
