"""`hestia demo`: a gateway of its own, a walk through what it does, and then it is yours until ^C."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hestia.cli.demo_home import Home, demo_home
from hestia.cli.demo_screen import Screen, screen_of
from hestia.cli.demo_visitor import Visitor, session
from hestia.cli.demo_walk import walk
from hestia.roof.listen import CannotStart
from hestia.wire import DONE, FAILED, INTERRUPTED, USAGE

ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CUT_SHORT: Final = 128  # a shell's way: 128 and the signal's number


def run_tour(listen: str, *, pause: bool, once: bool) -> int:
    """Exits 130 when it is ended before the walk is over, 1 when a step did not show what it says."""
    try:
        return asyncio.run(_tour(listen, pause=pause, once=once))
    except CannotStart as error:
        print(f"hestia: {error}", file=sys.stderr)
        return USAGE if error.usage else FAILED


class Ending:
    """The first signal ends the demo in order; the second at once, and then its servers see that it is gone."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._told = False
        self.folder: Path | None = None

    def end(self) -> None:
        if not self._told:
            self._told = True
            self._task.cancel()

    def signalled(self, number: int) -> None:
        if self._told:
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)
            os._exit(CUT_SHORT + number)
        self.end()

    def nobody_reads(self) -> None:
        """The terminal or the pipe is gone: what is still written goes nowhere."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.end()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """But for those that somebody chose to ignore: `nohup`, `&` in a script."""
        loop = asyncio.get_running_loop()
        heard = [number for number in ENDS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heard:
            loop.add_signal_handler(number, self.signalled, number)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)


async def _tour(listen: str, *, pause: bool, once: bool) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 -- asyncio.run made one
    ending = Ending(task)
    screen = screen_of(sys.stdout, os.environ, pause=pause, gone=ending.nobody_reads)
    code = INTERRUPTED
    with ending.signals():
        try:
            async with demo_home(listen, ending.end) as home:
                ending.folder = home.folder
                _greet(home, screen)
                async with session() as asking:
                    code = DONE if await walk(Visitor(home, screen, asking)) else FAILED
                _say_where(home, screen, once=once)
                await (asyncio.sleep(0) if once else asyncio.Event().wait())
        except asyncio.CancelledError:
            screen.piece("\n")
        screen.words("All that was launched is ended, and the folder is removed.")
    return code


def _greet(home: Home, screen: Screen) -> None:
    screen.title("Hestia's demo")
    screen.words(
        f"A gateway of its own listens on {home.url}. What it needs lies in {home.folder} and is removed at the end:"
        f" {home.config.name} is worth a look, and {home.log.name} is its log. To use hestiactl from another terminal:"
    )
    screen.command(f"export HESTIA_SOCKET={shlex.quote(str(home.control_socket))}")


def _say_where(home: Home, screen: Screen, *, once: bool) -> None:
    screen.title("That is all")
    screen.words(f"The dashboard is at {home.url}/dashboard/ as long as the gateway runs; `hestiactl top` is the same.")
    screen.words("It ends now." if once else "It goes on until you end it with ^C.")
