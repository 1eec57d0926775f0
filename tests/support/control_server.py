"""A control socket before a fake house, on a loop in a thread of its own, and `hestiactl` run against it as a program."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hestia.doors.control import Control
from hestia.doors.verbs import Verbs
from hestia.fence import Fence
from tests.support.house import fake_house

ROOT = Path(__file__).parents[2]
WITHIN = 20.0


class Served:
    """What a test sees of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.house: Any = None
        self.failures: list[BaseException] = []
        self.loop: asyncio.AbstractEventLoop
        self._up = threading.Event()
        self._done: asyncio.Event

    def do(self, act: Callable[..., Any], *args: Any) -> Any:
        """Call something on the server's loop."""

        async def doing() -> Any:
            return act(*args)

        return asyncio.run_coroutine_threadsafe(doing(), self.loop).result(WITHIN)

    def until(self, true: Callable[[], Any]) -> None:
        async def waiting() -> None:
            async with asyncio.timeout(WITHIN):
                while not true():
                    await asyncio.sleep(0.005)

        asyncio.run_coroutine_threadsafe(waiting(), self.loop).result(WITHIN + 1)

    def end(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self._done.set)

    async def serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self.house = fake_house()
        fence = Fence(self.failures.append)
        control = Control(self.path, Verbs(self.house, fence), self.failures.append)
        await control.open()
        await control.serve()
        self._up.set()
        ending = asyncio.ensure_future(self.house.gateway.ended.wait())
        await asyncio.wait({ending, asyncio.ensure_future(self._done.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await asyncio.sleep(0.05)  # exchanges finish
        await control.close()
        await fence.close()


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    one = Served(f"{folder}/control.sock")
    thread = threading.Thread(target=lambda: asyncio.run(one.serve()))
    thread.start()
    assert one._up.wait(WITHIN)
    try:
        yield one
    finally:
        one.end()
        thread.join(WITHIN)
    assert not thread.is_alive()
    assert one.failures == []


def environ(**more: str) -> dict[str, str]:
    """What the program needs of this machine, and nothing that says where a gateway is."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "HOME": "/nowhere", **more}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hestia.ctl.main", *words]


def run(*words: str, socket: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """`hestiactl` to its end."""
    env = {"HESTIA_SOCKET": socket, **env} if socket else env
    return subprocess.run(command(*words), env=environ(**env), capture_output=True, text=True, timeout=WITHIN, check=False, stdin=subprocess.DEVNULL)


def begin(*words: str, socket: str, **more: Any) -> subprocess.Popen[str]:
    """`hestiactl`, running."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more
    return subprocess.Popen(command(*words), env=environ(HESTIA_SOCKET=socket), text=True, **pipes)
