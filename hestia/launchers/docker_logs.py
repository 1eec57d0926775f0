"""What a container printed: frames taken apart, lines cut out, all of it bounded."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from hestia.launchers.docker_container import Container, State
from hestia.launchers.engine_api import Engine
from hestia.ports import LaunchFailed

LONGEST_LINE = 8192
LONGEST_READ = 4 * 1024 * 1024
HEADER = 8  # one byte which stream, three of zero, four of length
START_NOTED_WITHIN_S = 1.0
_PARAMS = {"stdout": "1", "stderr": "1"}
STREAMS = 2  # 0 to 2: standard input, output and error


class Lines:
    """Bytes of a log in, lines out. With a terminal they come plain, else in frames, where each of the two streams has
    its own unfinished line. A line that does not end is cut and its rest dropped.
    """

    def __init__(self, tty: bool) -> None:
        self._tty = tty
        self._held = bytearray()
        self._begun = [bytearray() for _ in range(STREAMS + 1)]

    def feed(self, data: bytes) -> list[str]:
        if self._tty:
            return self._cut(1, data)
        self._held += data
        found: list[str] = []
        at = 0
        while len(self._held) - at >= HEADER:
            length = int.from_bytes(self._held[at + 4 : at + HEADER], "big")
            stream = self._held[at]
            if stream > STREAMS or length > LONGEST_READ:
                raise LaunchFailed("the engine's log is damaged")
            if len(self._held) - at - HEADER < length:
                break
            found += self._cut(stream, bytes(self._held[at + HEADER : at + HEADER + length]))
            at += HEADER + length
        del self._held[:at]
        return found

    def rest(self) -> list[str]:
        """What had no line end."""
        found = [_text(begun) for begun in self._begun if begun]
        for begun in self._begun:
            begun.clear()
        return found

    def _cut(self, stream: int, data: bytes) -> list[str]:
        *whole, last = data.split(b"\n")
        begun = self._begun[stream]
        found = []
        for part in whole:
            _add(begun, part)
            found.append(_text(begun))
            begun.clear()
        _add(begun, last)
        return found


def _add(begun: bytearray, part: bytes) -> None:
    begun += part[: LONGEST_LINE - len(begun)]


def _text(line: bytearray) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


class Source(NamedTuple):
    """Whose log."""

    path: str
    tty: bool = False


async def last_lines(engine: Engine, source: Source, last: int, since: str | None = None) -> list[str]:
    """The end of its log, oldest first; with `since` no more than what came from then on."""
    params = _PARAMS | {"tail": str(last)} | ({"since": since} if since else {})
    lines, kept, size = Lines(source.tty), deque[str](maxlen=last), 0
    async with aclosing(engine.chunks(source.path, params)) as chunks:
        async for chunk in chunks:
            kept.extend(lines.feed(chunk))
            size += len(chunk)
            if size > LONGEST_READ:
                break
    kept.extend(lines.rest())
    return list(kept)


async def following(engine: Engine, source: Source, since: str | None) -> AsyncGenerator[str, None]:
    """Its lines as they come, until it ends: from now on, or from `since` on. The reader's pace is ours."""
    params = _PARAMS | {"follow": "1", "tail": "all" if since else "0"} | ({"since": since} if since else {})
    lines = Lines(source.tty)
    # Docker sends not even its head before the first line: no limit.
    async with aclosing(engine.chunks(source.path, params, limit=None)) as chunks:
        async for chunk in chunks:
            for line in lines.feed(chunk):
                yield line
    for line in lines.rest():
        yield line


def log_of(container: Container) -> Source:
    return Source(f"{container.path}/logs", container.config.tty)


def this_life_since(state: State) -> str | None:
    """From when on its log belongs to its last life, as the engine wants it; None when it never ran.

    The engine notes a start after it, even after the end of a short life: the first lines may be older. While it runs,
    the end that is noted is that of the life before.
    """
    begun, ended = _seconds(state.started_at), _seconds(state.finished_at)
    if begun is None:
        return None
    since = begun - START_NOTED_WITHIN_S
    return f"{max(since, ended) if state.running and ended is not None else since:.6f}"


def _seconds(moment: str) -> float | None:
    """Since 1970. None for what never came: it is said to have been in the year 1."""
    try:
        then = dt.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None
    return then if then > 0 else None
