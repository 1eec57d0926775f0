"""What `hestia demo` writes: a walk for people on a terminal, plain lines elsewhere."""

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TextIO

COLOURS: Final[Mapping[str, str]] = {"title": "1", "command": "36", "good": "32", "bad": "31", "aside": "2"}
WIDEST: Final = 100
INDENT: Final = "  "


class Screen:
    """Where the walk is told. `pauses`: each step waits for Enter. `gone` is called when nobody can read it."""

    def __init__(
        self, out: TextIO, gone: Callable[[], None], *, colours: bool = False, pauses: bool = False, wide: int = WIDEST
    ) -> None:
        self._out = out
        self._gone = gone
        self._colours = colours
        self._wide = wide
        self.pauses = pauses

    def title(self, text: str) -> None:
        self._put(f"\n{self._paint(text, 'title')}\n")

    def words(self, text: str) -> None:
        self._put("".join(f"{line}\n" for line in textwrap.wrap(text, self._wide, break_on_hyphens=False)))

    def command(self, text: str) -> None:
        self._put(f"\n{INDENT}{self._paint(f'$ {text}', 'command')}\n")

    def lines(self, lines: Iterable[str], kind: str = "") -> None:
        self._put("".join(f"{INDENT}{self._paint(line, kind)}\n" for line in lines))

    def status(self, line: str, status: int) -> None:
        self.lines([line], "good" if 0 < status < 400 else "bad")  # noqa: PLR2004 -- where HTTP's errors begin

    def piece(self, text: str) -> None:
        """A part of a line, as it comes."""
        self._put(text)

    def _paint(self, text: str, kind: str) -> str:
        code = COLOURS.get(kind)
        return f"\x1b[{code}m{text}\x1b[0m" if code and self._colours else text

    def _put(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._gone()

    async def pause(self) -> None:
        """Wait for Enter. Who closes the input wants no more pauses."""
        if self.pauses:
            self._put(self._paint("\nEnter: on. ^C: end. ", "aside"))
            self.pauses = bool(await _line(sys.stdin.fileno()))


async def _line(descriptor: int) -> bytes:
    """What is typed next, without holding up the gateway, which lives in the same loop."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if typed.done() else typed.set_result(None))
    try:
        await typed
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 1024)


def screen_of(out: TextIO, environ: Mapping[str, str], *, pause: bool, gone: Callable[[], None]) -> Screen:
    """Colours and pauses on a terminal only."""
    terminal = out.isatty()
    return Screen(
        out,
        gone,
        colours=terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
        pauses=pause and terminal and sys.stdin is not None and sys.stdin.isatty(),
        wide=min(shutil.get_terminal_size().columns, WIDEST) if terminal else WIDEST,
    )
