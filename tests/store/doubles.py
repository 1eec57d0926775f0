"""What the tests of the store share: a log that remembers, a program to be killed, a folder that is read-only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from hestia.words.activity import Entry
from hestia.words.run import Run

NOBODY = 65534


class Lines:
    """A log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def event(self, name: str, level: str = "info", **fields: object) -> None:
        self.events.append((name, level, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.events]

    def of(self, name: str) -> dict[str, object]:
        return next(fields for said, _, fields in self.events if said == name)


def run(id_: str = "run-1", owner: str = "a", **fields) -> Run:
    return Run(id=id_, owner=owner, machine="local", launch=None, **fields)


def entry(number: int, kind: str = "service.ready", **fields) -> Entry:
    return Entry(id=number, ts="", kind=kind, **fields)


def rows(path: Path, sql: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute(sql).fetchall()


def whole(path: Path) -> bool:
    return rows(path, "PRAGMA integrity_check") == [("ok",)]


async def until(true: Callable[[], object], within: float = 10.0) -> None:
    """Wait for an effect."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.is_alive() and not thread.daemon}


@contextlib.contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder in which permissions hold: as root we give up being root meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="hestia-store-"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder, ignore_errors=True)


