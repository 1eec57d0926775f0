"""Who asks in `hestia demo`: each command is shown as somebody would type it, done, and its real answer shown."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

import aiohttp

from hestia.cli.demo_home import PACKAGE, Home
from hestia.cli.demo_screen import Screen

LONGEST_S: Final = 60.0
SHOWN: Final = ("Content-Type", "Retry-After", "Server-Timing")
"""The headers of an answer that say something here."""
LINES: Final = 4
COLUMNS: Final = 160
ON: Final = "..."
NO_ANSWER: Final = (aiohttp.ClientError, TimeoutError)


class Answer(NamedTuple):
    status: int
    reason: str
    headers: Mapping[str, str]
    text: str
    took: float


class Visitor:
    """Somebody with `curl` and `hestiactl`."""

    def __init__(self, home: Home, screen: Screen, session: aiohttp.ClientSession) -> None:
        self.home = home
        self.screen = screen
        self._session = session

    async def curl(self, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Ask, and show the answer."""
        self.screen.command(self.spelled(path, headers or {}, body, "-i"))
        answer = await self.ask(path, headers=headers, body=body)
        self.screen.status(f"HTTP/1.1 {answer.status} {answer.reason}", answer.status)
        self.screen.lines(f"{name}: {answer.headers[name]}" for name in SHOWN if name in answer.headers)
        self.screen.lines(["", *_cut(answer.text)])
        self.screen.lines([f"[{duration(answer.took)}]"], "aside")
        return answer

    async def ask(self, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Ask, and show nothing. Status 0: there was no answer, and the text says why."""
        begin = monotonic()
        try:
            async with self._asking(path, headers, body) as answer:
                text = await answer.text()
                return Answer(answer.status, answer.reason or "", answer.headers, text, monotonic() - begin)
        except NO_ANSWER as error:
            return Answer(0, "no answer", {}, f"{type(error).__name__}: {error}", monotonic() - begin)

    @contextlib.asynccontextmanager
    async def _asking(
        self, path: str, headers: Mapping[str, str] | None, body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method = "GET" if body is None else "POST"
        async with self._session.request(method, self.home.url + path, headers=headers, json=body) as answer:
            yield answer

    async def chat(self, path: str, body: Any) -> tuple[int, int]:
        """A stream of OpenAI's events, its words shown as they come. The status, and how many events came."""
        self.screen.command(self.spelled(path, {}, body, "-N"))
        begin, first, events, status = monotonic(), 0.0, 0, 0
        with contextlib.suppress(*NO_ANSWER):
            async with self._asking(path, None, body) as answer:
                status = answer.status
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        first = first or monotonic() - begin
                        self._event(line.decode().strip(), first_one=not events)
                        events += 1
        told = f"[{events} events; the first after {duration(first)}, the last after {duration(monotonic() - begin)}]"
        self.screen.piece("\n")
        self.screen.lines([told], "aside")
        return status, events

    def _event(self, line: str, *, first_one: bool) -> None:
        """The first as it is, then only its words."""
        if first_one:
            self.screen.lines([_short(line), "", "and the words of those that follow, as they come:", ""])
            self.screen.piece("  ")
        if "{" in line:
            delta = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]
            self.screen.piece(delta.get("content", ""))

    def spelled(self, path: str, headers: Mapping[str, str], body: Any, *flags: str) -> str:
        """As a shell wants it."""
        sent = headers if body is None else {**headers, "Content-Type": "application/json"}
        words = ["curl", *flags, *(word for name, value in sent.items() for word in ("-H", f"{name}: {value}"))]
        return shlex.join([*words, *(() if body is None else ("-d", json.dumps(body))), self.home.url + path])

    async def hestiactl(self, *words: str) -> str:
        """Run it, and show what it says."""
        self.screen.command(shlex.join(["hestiactl", *words]))
        said = await _output(("-m", "hestia.ctl.main", *words), {"HESTIA_SOCKET": str(self.home.control_socket)})
        self.screen.lines(_short(line) for line in said.splitlines())
        return said


async def _output(words: tuple[str, ...], env: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **env},
        cwd=PACKAGE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            return (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def session() -> aiohttp.ClientSession:
    """Never through a proxy of the environment; a connection for each request, as `curl` does it."""
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(LONGEST_S))


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _cut(text: str) -> list[str]:
    """The begin of a body; of a page only its title."""
    title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    if title is not None:
        return [f"<title>{title[1]}</title>", f"{ON} a page of {len(text)} characters"]
    lines = text.splitlines()
    return [*map(_short, lines[:LINES]), *([ON] if len(lines) > LINES else [])]


def _short(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - len(ON)] + ON
