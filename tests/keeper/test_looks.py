"""What is only watched is looked at now and then, and at once for a status; many who ask are one check."""

import asyncio
import time

from hestia.ports import Seen
from tests.keeper.stage import staged

WATCHED = {"launch": None, "base_url": "http://w.test", "start_timeout": "50ms", "watch_interval": "10s"}


async def test_a_status_looks_once_a_second_at_what_is_only_watched():
    async with staged({"a": WATCHED}) as stage:
        await stage.until(lambda: stage.checks)
        before = len(stage.checks)
        for _ in range(5):
            await stage.commands.look(["a"])
        assert len(stage.checks) - before == 0
        assert stage.state() == "cold"
        stage.answers["http://w.test"] = Seen()
        stage.ahead += 2
        await stage.commands.look()
        assert stage.state() == "hot"
        assert stage.life().way == "http://w.test"


async def test_many_looks_at_once_are_one_check():
    async with staged({"a": {**WATCHED, "watch_interval": 0}}) as stage:
        await asyncio.gather(*(stage.commands.look(["a"]) for _ in range(10)))
        assert len(stage.checks) == 1


async def test_a_look_comes_back_when_the_check_takes_too_long():
    async with staged({"a": {**WATCHED, "watch_interval": 0}}) as stage:
        stage.keeper.outside = stage.keeper.outside._replace(probe=lambda _check: asyncio.sleep(30))
        began = time.monotonic()
        await stage.keeper.looks.at([stage.service()], patience=0.05)
        assert time.monotonic() - began < 1


async def test_the_watch_finds_what_somebody_else_starts():
    async with staged({"a": {**WATCHED, "watch_interval": "10s"}}) as stage:
        stage.keeper.tick()
        await stage.until(lambda: stage.checks)
        stage.answers["http://w.test"] = Seen()
        stage.ahead += 11
        await stage.until(lambda: not stage.keeper.looks._under_way)
        stage.keeper.tick()
        await stage.reaches("hot")
        assert [note.cause for note in stage.notes if note.kind == "service.ready"] == ["found"]
