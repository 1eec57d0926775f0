"""The Engine API of Docker and Podman: one conversation at a time, its version negotiated, its errors in words.

A conversation opens its own connections and asks for the version anew: an engine may be restarted or upgraded under
us, and some milliseconds matter to nobody who starts a container.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from hestia.ports import LaunchFailed

NEWEST = (1, 47)  # the newest version whose answers were read; Docker 29 refuses those below 1.44
CONNECT_S = 5.0
LIMIT_S = 30.0
SETTLE_S = 10.0  # how long a cancelled start waits for the engine's answer
QUIET_S = 60.0  # a stream of events that says nothing for so long: look anyway
LONGEST_BODY = 16 * 1024 * 1024
LONGEST_MESSAGE = 500
DOCKER_SOCKET = "/var/run/docker.sock"
T = TypeVar("T")


class EngineDown(LaunchFailed):
    """The engine cannot be asked, or gives no sense: nothing is known of its things."""


class EngineRefused(LaunchFailed):
    """The engine said no, with its own reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Answer(NamedTuple):
    status: int
    body: bytes


class _Message(msgspec.Struct):
    message: str = ""


def host_of(said: str | None, docker_host: str | None, runtime_dir: str | None) -> str:
    """Which engine: the place's own `host`, else DOCKER_HOST, else Docker's socket, else Podman's."""
    if said or docker_host:
        host = said or docker_host or ""
        return f"unix://{host}" if host.startswith("/") else host
    candidates = [DOCKER_SOCKET, "/run/podman/podman.sock"]
    if runtime_dir:
        candidates[1:1] = [f"{runtime_dir}/docker.sock", f"{runtime_dir}/podman/podman.sock"]
    return f"unix://{next(filter(os.path.exists, candidates), DOCKER_SOCKET)}"


def _connector(host: str) -> aiohttp.BaseConnector:
    if host.startswith("unix://"):
        return aiohttp.UnixConnector(path=host.removeprefix("unix://"))
    if host.startswith("tcp://"):  # a filter in front of the engine's socket, as many run one
        return aiohttp.TCPConnector()
    raise EngineDown(f"`{host}` is no engine that can be used: `host` is a socket, such as unix://{DOCKER_SOCKET}")


@asynccontextmanager
async def engine_at(host: str) -> AsyncIterator[Engine]:
    """A conversation with the engine at `host`. Raises EngineDown when it cannot be had."""
    connector = _connector(host)
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "hestia"},
        trust_env=False,
    )
    async with session:
        engine = Engine(session, host)
        await engine.negotiate()
        yield engine


class Engine:
    """The calls. `ask` is for short ones; `chunks` and `wakes` are streams, to be closed by their reader."""

    def __init__(self, session: aiohttp.ClientSession, host: str) -> None:
        self._session = session
        self._host = host
        self._root = f"http://{host.removeprefix('tcp://')}" if host.startswith("tcp://") else "http://engine"

    async def negotiate(self) -> None:
        with self._translated(CONNECT_S):
            async with asyncio.timeout(CONNECT_S), self._session.get(f"{self._root}/_ping") as answer:
                said = answer.headers.get("Api-Version", "")
                if not answer.ok:
                    raise EngineDown(f"the engine at {self._host} answers {answer.status} to a ping")
        if not re.fullmatch(r"1\.\d{1,3}", said):
            raise EngineDown(f"what answers at {self._host} is no Docker or Podman")
        version = min((1, int(said.partition(".")[2])), NEWEST)
        self._root += f"/v{version[0]}.{version[1]}"

    async def ask(
        self, method: str, path: str, params: Mapping[str, str] = {}, json: Any = None, limit: float | None = LIMIT_S
    ) -> Answer:
        """One call, its body read. A status from 400 on raises EngineRefused with the engine's words."""
        with self._translated(limit):
            async with (
                asyncio.timeout(limit),
                self._session.request(method, self._url(path, params), json=json, allow_redirects=False) as answer,
            ):
                body = await _bounded(answer.content)
        if not answer.ok:
            raise EngineRefused(answer.status, _words(body) or f"the engine answered {answer.status}")
        return Answer(answer.status, body)

    async def get(self, path: str, type_: type[T], params: Mapping[str, str] = {}) -> T:
        """One object, read as what it must be."""
        answer = await self.ask("GET", path, params)
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EngineDown(f"the engine at {self._host} answered something that is no {path}: {error}") from error

    async def chunks(
        self, path: str, params: Mapping[str, str], quiet: float | None = None, limit: float | None = LIMIT_S
    ) -> AsyncGenerator[bytes, None]:
        """What the engine sends, as it comes, to its end; b"" first, once it has answered, and after each `quiet`."""
        with self._translated(limit):
            async with asyncio.timeout(limit):
                answer = await self._session.get(self._url(path, params), allow_redirects=False)
        async with answer:
            if not answer.ok:
                with self._translated(LIMIT_S):
                    async with asyncio.timeout(LIMIT_S):
                        body = await _bounded(answer.content)
                raise EngineRefused(answer.status, _words(body) or f"the engine answered {answer.status}")
            yield b""
            while not answer.content.at_eof():
                yield await self._some(answer.content, quiet)

    async def _some(self, content: aiohttp.StreamReader, quiet: float | None) -> bytes:
        with self._translated(None):
            try:
                async with asyncio.timeout(quiet):
                    return await content.readany()
            except TimeoutError:
                return b""

    async def wakes(self, filters: Mapping[str, list[str]], quiet: float | None = None) -> AsyncGenerator[None, None]:
        """A reason to look: at once, at each event, and now and then. What an event says is not trusted, only that
        it came: after a cut some are missing, and Podman's differ. Ends when the engine ends it.
        """
        said = msgspec.json.encode(filters).decode()
        async with aclosing(self.chunks("/events", {"filters": said}, quiet=quiet or QUIET_S)) as chunks:
            async for _ in chunks:
                yield

    def _url(self, path: str, params: Mapping[str, str]) -> URL:
        return URL(self._root + path, encoded=True).with_query(params or None)

    @contextmanager
    def _translated(self, limit: float | None) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise EngineDown(f"the engine at {self._host} gave no answer within {limit or CONNECT_S:g}s") from error
        except (OSError, aiohttp.ClientError, ValueError) as error:
            raise EngineDown(f"the engine at {self._host} {_why(error, self._host)}") from error


async def carried_through(call: Coroutine[Any, Any, Answer]) -> None:
    """The engine goes on with a start although its client leaves, and a stop that overtakes it would find nothing to
    stop: so who is cancelled here waits for the answer first, for a bounded time.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=SETTLE_S)
        raise
    finally:
        task.cancel()
        if task.done() and not task.cancelled():
            task.exception()  # looked at: asyncio would report it as forgotten


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise ValueError("too much")
    return bytes(body)


def _words(body: bytes) -> str:
    """The engine's own reason, on one line and not without end."""
    try:
        text = msgspec.json.decode(body, type=_Message).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace")
    return " ".join(text[: 2 * LONGEST_MESSAGE].split())[:LONGEST_MESSAGE]


def _why(error: Exception, host: str) -> str:
    podman = "podman" in host
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.EACCES, errno.EPERM}:
        group = (
            ""
            if podman
            else ": add the user that runs Hestia to its group (`usermod -aG docker USER`), then log in anew"
        )
        return f"may not be used: no permission for its socket{group}"
    if number in {errno.ENOENT, errno.ECONNREFUSED}:
        start = "systemctl --user start podman.socket" if podman else "systemctl start docker"
        what = "its socket does not exist" if number == errno.ENOENT else "nothing listens there"
        return f"is not running: {what}. Try `{start}`"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror.lower()}"
    return f"broke off or does not speak HTTP ({type(error).__name__})"
