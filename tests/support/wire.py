"""Raw sockets for tests: one Protocol for both ends, a scripted upstream, and a strict little reader of messages.

Nothing here shares code with the gateway: what it reads is judged by different eyes.
Nothing sleeps for an effect: every wait is for a condition, under one deadline.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

DEADLINE = 5.0
FIN, RST, HALF = "fin", "rst", "half"  # in a script: close, reset, close the writing side only

_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n")
_REQUEST = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-\xff]+) HTTP/1\.([01])\r\n")
_STATUS = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) ?([\t -~\x80-\xff]*)\r\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)((?:;[\t -~\x80-\xff]*)?)\r\n")


class MalformedError(Exception):
    """Bytes that no strict reader takes for a message."""


class BrokenError(Exception):
    """The connection ended inside a message; `.got` are the bytes of it that came."""

    def __init__(self, got: bytes) -> None:
        super().__init__(f"the connection ended after {got[-200:]!r}")
        self.got = got


@dataclass
class Message:
    """One complete request or answer."""

    start: tuple[bytes, ...]
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    framing: str = "none"
    raw: bytes = b""

    @property
    def status(self) -> int:
        return int(self.start[0])

    @property
    def method(self) -> bytes:
        return self.start[0]

    @property
    def target(self) -> bytes:
        return self.start[1]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        found = self.all(name)
        return found[0] if found else None


def _fields(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], int] | None:
    found = []
    while not data.startswith(b"\r\n", at):
        end = data.find(b"\n", at)
        if end < 0:
            return None
        line = data[at : end + 1]
        if _LINE.fullmatch(line) is None:
            raise MalformedError(line)
        name, _, value = line[:-2].partition(b":")
        found.append((name, value.strip(b" \t")))
        at = end + 1
    return found, at + 2


def _chunks(data: bytes, at: int, message: Message) -> int | None:
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            return None
        size = _CHUNK.fullmatch(data, at, end + 1)
        if size is None:
            raise MalformedError(data[at : end + 1])
        count = int(size[1], 16)
        if count == 0:
            tail = _fields(data, end + 1)
            if tail is None:
                return None
            message.trailers, at = tail
            return at
        at = end + 1 + count
        if len(data) < at + 2:
            return None
        if data[at : at + 2] != b"\r\n":
            raise MalformedError(data[at : at + 2])
        message.body += data[end + 1 : at]
        at += 2


def _body(data: bytes, at: int, message: Message, *, ended: bool, until_close: bool) -> int | None:
    lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise MalformedError(data[:at])
    if codings:
        if codings[0] != b"chunked":
            raise MalformedError(codings[0])
        message.framing = "chunked"
        return _chunks(data, at, message)
    if lengths:
        if not lengths[0].isdigit():
            raise MalformedError(lengths[0])
        message.framing, end = "length", at + int(lengths[0])
    elif until_close:
        if not ended:
            return None
        message.framing, end = "close", len(data)
    else:
        return at
    if len(data) < end:
        return None
    message.body = data[at:end]
    return end


def read_message(data: bytes, answer_to: bytes | None = None, *, ended: bool = False) -> Message | None:
    """The first message of the bytes, or None while it is incomplete. `answer_to`: the method, when it is an answer."""
    end = data.find(b"\n") + 1
    if not end:
        return None
    start = (_REQUEST if answer_to is None else _STATUS).fullmatch(data, 0, end)
    if start is None:
        raise MalformedError(data[:end])
    head = _fields(data, end)
    if head is None:
        return None
    message = Message(start.groups(), head[0])
    at: int | None = head[1]
    assert at is not None
    if answer_to is None:
        at = _body(data, at, message, ended=ended, until_close=False)
    elif answer_to != b"HEAD" and message.status not in (204, 304) and message.status >= 200:
        at = _body(data, at, message, ended=ended, until_close=True)
    if at is None:
        return None
    message.raw = data[:at]
    return message


class Wire(asyncio.Protocol):
    """One end of a connection: keeps every byte that came, and what became of the other side."""

    def __init__(self, made: Callable[[Wire], None] | None = None) -> None:
        self.received = bytearray()
        self.at = 0  # how far `message` has read
        self.eof = False
        self.lost = False
        self.error: Exception | None = None
        self._made = made
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    # -- what the loop calls
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> bool:
        self.eof = True
        self._changed.set()
        return self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost, self.error = True, exc
        self._changed.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- what a test calls
    @property
    def ended(self) -> bool:
        return self.eof or self.lost

    @property
    def reset(self) -> bool:
        return isinstance(self.error, ConnectionResetError)

    @property
    def unread(self) -> bytes:
        return bytes(self.received[self.at :])

    async def until(self, condition: Callable[[], object], within: float = DEADLINE) -> None:
        """Wait until the condition holds; it is looked at whenever bytes or an end arrive."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited {within} s in vain; received {bytes(self.received[-300:])!r}") from None

    async def count(self, size: int) -> bytes:
        """The next bytes, so many."""
        await self.until(lambda: len(self.received) >= self.at + size or self.ended)
        if len(self.received) < self.at + size:
            raise BrokenError(self.unread)
        self.at += size
        return bytes(self.received[self.at - size : self.at])

    async def through(self, mark: bytes) -> bytes:
        """The next bytes up to the mark and with it."""
        await self.until(lambda: self.received.find(mark, self.at) >= 0 or self.ended)
        end = self.received.find(mark, self.at)
        if end < 0:
            raise BrokenError(self.unread)
        return await self.count(end + len(mark) - self.at)

    async def message(self, answer_to: bytes | None = None, within: float = DEADLINE) -> Message:
        """The next whole message; BrokenError when the connection ends before that."""
        found: list[Message] = []

        def whole() -> bool:
            message = read_message(self.unread, answer_to, ended=self.eof and not self.reset)
            if message is not None:
                found.append(message)
            return message is not None or self.ended

        await self.until(whole, within)
        if not found:
            raise BrokenError(self.unread)
        self.at += len(found[0].raw)
        return found[0]

    async def answer(self, method: bytes = b"GET", within: float = DEADLINE) -> Message:
        """The next final answer; interim ones are passed over."""
        while True:
            message = await self.message(method, within)
            if message.status >= 200 or message.status == 101:
                return message

    async def end(self, within: float = DEADLINE) -> bytes:
        """Everything until the other side closes."""
        await self.until(lambda: self.ended, within)
        return self.unread

    async def send(self, data: bytes) -> None:
        self.transport.write(data)
        async with asyncio.timeout(DEADLINE):
            await self._writable.wait()

    async def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Each piece in a segment of its own, read by the other side (same loop, loopback) before the next leaves."""
        for piece in pieces:
            if self.lost or (self.eof and self.transport.is_closing()):
                return
            self.transport.write(piece)
            await turns(3)

    def half_close(self) -> None:
        self.transport.write_eof()

    def close(self) -> None:
        self.transport.close()

    def rst(self) -> None:
        """End with a reset instead of a FIN."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    async def play(self, steps: Iterable[bytes | str]) -> None:
        """Send bytes, each step a segment of its own; FIN, RST and HALF do what they say."""
        for step in steps:
            if self.lost:
                return
            if isinstance(step, bytes):
                self.transport.write(step)
                await turns(3)
            else:
                {FIN: self.close, RST: self.rst, HALF: self.half_close}[step]()


async def turns(count: int) -> None:
    """Let the loop look at its sockets so many times: loopback delivers within one."""
    for _ in range(count):
        await asyncio.sleep(0)


def in_pieces(data: bytes, alone: int = 700) -> list[bytes]:
    """Every byte alone when it is short, else the first ones so and then cut at every line and every 1,000 bytes."""
    head, rest = data[:alone], data[alone:]
    pieces = [head[i : i + 1] for i in range(len(head))]
    while rest:
        cut = rest.find(b"\n", 0, 1000) + 1 or 1000
        pieces.append(rest[:cut])
        rest = rest[cut:]
        if len(pieces) > 2 * alone:
            return [*pieces, rest]
    return pieces


async def dial(address: int | str, *, tls: ssl.SSLContext | None = None) -> Wire:
    """A client's end: a port of 127.0.0.1 or the path of a unix socket."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        return (await loop.create_unix_connection(Wire, address))[1]
    name = "localhost" if tls else None
    return (await loop.create_connection(Wire, "127.0.0.1", address, ssl=tls, server_hostname=name))[1]


class Upstream:
    """A server whose every connection runs a script; it keeps all wires with all their bytes."""

    def __init__(
        self,
        script: Callable[[Wire], Awaitable[None]] | None = None,
        *,
        path: str | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.script = script or answering
        self.path, self.tls, self.port = path, tls, port
        self.wires: list[Wire] = []
        self.errors: list[BaseException] = []
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self.path is not None:
            self._server = await loop.create_unix_server(self._wire, self.path)
        else:
            self._server = await loop.create_server(self._wire, "127.0.0.1", self.port, ssl=self.tls)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for wire in self.wires:
            wire.transport.abort()
        await asyncio.wait(self._tasks) if self._tasks else None
        await turns(2)

    def _wire(self) -> Wire:
        return Wire(self._accepted)

    def _accepted(self, wire: Wire) -> None:
        self.wires.append(wire)
        self._news.set()
        task = asyncio.get_running_loop().create_task(self._run(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, wire: Wire) -> None:
        try:
            await self.script(wire)
        except (BrokenError, MalformedError, ConnectionError, AssertionError) as error:
            self.errors.append(error)

    async def wire(self, index: int = 0, within: float = DEADLINE) -> Wire:
        """The connection of this number, waiting until it is made."""
        async with asyncio.timeout(within):
            while len(self.wires) <= index:
                self._news.clear()
                await self._news.wait()
        return self.wires[index]

    @property
    def base_url(self) -> str:
        if self.path is not None:
            return f"http+unix://{self.path}"
        return f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    @property
    def seen(self) -> bytes:
        """Every byte of every connection."""
        return b"".join(bytes(wire.received) for wire in self.wires)

    def requests(self) -> list[Message]:
        """Every whole request, by a strict reader; MalformedError when a byte of it is no request."""
        found = []
        for wire in self.wires:
            data = bytes(wire.received)
            while (message := read_message(data)) is not None:
                found.append(message)
                data = data[len(message.raw) :]
        return found


def reply(body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A sized answer as bytes."""
    head = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, head, len(body), body)


async def answering(wire: Wire) -> None:
    """Answer every request with its own method, target, `X-Token` and body."""
    while True:
        try:
            request = await wire.message(within=600)
        except BrokenError:
            wire.close()
            return
        body = b"|".join((request.method, request.target, request.get(b"x-token") or b"", request.body))
        sent = reply(body)
        wire.transport.write(sent[: -len(body)] if request.method == b"HEAD" else sent)


def saying(*steps: bytes | str, then: Callable[[Wire], Awaitable[None]] | None = None) -> Callable[[Wire], Awaitable[None]]:
    """A script: read one request, play the steps; then keep quiet, or go on with another script."""

    async def script(wire: Wire) -> None:
        await wire.message(within=600)
        await wire.play(steps)
        if then is not None:
            await then(wire)

    return script


def in_turn(*scripts: Callable[[Wire], Awaitable[None]]) -> Callable[[Wire], Awaitable[None]]:
    """A script for each new connection in turn; the last one for all that follow."""
    left = list(scripts)

    async def script(wire: Wire) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(wire)

    return script
