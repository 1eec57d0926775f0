"""A client that sees every byte: it says what came, and how it ended, and never asks again by itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

LIMIT_S = 40.0
PIECE = 65536


class Refused(Exception):
    """Nobody listens: nothing was asked."""


class Unanswered(Exception):
    """The connection ended before a byte of an answer."""


class Broken(Exception):
    """The connection ended in the middle of an answer."""


class Silent(Exception):
    """No answer for far too long."""


@dataclass
class Answer:
    """A whole answer."""

    status: int
    fields: dict[str, str]
    body: bytes = b""

    @property
    def code(self) -> str:
        """The gateway's own refusals have one."""
        if self.fields.get("content-type") != "application/problem+json":
            return ""
        with suppress(ValueError):
            return str(json.loads(self.body).get("code", ""))
        return "?"


@dataclass
class Request:
    """What is sent. With `pieces` the body is chunked, and each is sent after `pause` seconds."""

    id: str
    method: str
    target: str
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    pause: float = 0.0
    more: tuple[str, ...] = ()

    def head(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost", f"X-Request-ID: {self.id}", *self.more]
        if self.pieces:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method in {"POST", "PUT"}:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode()


class Line:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.usable = True

    @classmethod
    async def open(cls, port: int, receive: int = 0) -> Line:
        sock = socket.socket()
        sock.setblocking(False)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError as problem:
            sock.close()
            raise Refused(str(problem)) from None
        reader, writer = await asyncio.open_connection(sock=sock, limit=2 * (receive or PIECE))
        return cls(reader, writer)

    @property
    def is_over(self) -> bool:
        """The other side closed it while nothing was asked."""
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()

    async def send(self, request: Request) -> None:
        with suppress(ConnectionError):  # an answer may have come before the end of the body
            self.writer.write(request.head() + (b"" if request.pieces else request.body))
            for piece in request.pieces:
                await asyncio.sleep(request.pause)
                self.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await self.writer.drain()
            if request.pieces:
                self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()

    async def answer(self, method: str, *, slowly: float = 0.0) -> Answer:
        """The next one. `slowly`: so many seconds pass between two reads."""
        try:
            async with asyncio.timeout(LIMIT_S):
                head = await self._head()
                return await self._body(method, head, slowly)
        except TimeoutError:
            self.usable = False
            raise Silent(f"no end of an answer within {LIMIT_S:g} s") from None

    async def _head(self) -> Answer:
        while True:
            try:
                raw = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as cut:
                self.usable = False
                raise (Broken("in the head") if cut.partial else Unanswered("closed")) from None
            except ConnectionError as problem:
                self.usable = False
                raise Unanswered(repr(problem)) from None
            first, *lines = raw.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            status = int(first.split(" ")[1])
            if status >= 200 or status == 101:
                return Answer(status, fields)

    async def _body(self, method: str, answer: Answer, slowly: float) -> Answer:
        got = bytearray()
        try:
            if method == "HEAD" or answer.status in {101, 204, 304}:
                pass
            elif answer.fields.get("transfer-encoding") == "chunked":
                await self._chunks(got)
            else:
                await self._exactly(int(answer.fields["content-length"]), got, slowly)
        except (asyncio.IncompleteReadError, ConnectionError) as problem:
            self.usable = False
            raise Broken(f"after {len(got)} bytes: {problem!r}") from None
        if answer.fields.get("connection", "").lower() == "close":
            self.usable = False
        answer.body = bytes(got)
        return answer

    async def _chunks(self, got: bytearray) -> None:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            got += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def _exactly(self, size: int, got: bytearray, slowly: float) -> None:
        while len(got) < size:
            piece = await self.reader.read(min(PIECE, size - len(got)))
            if not piece:
                raise asyncio.IncompleteReadError(bytes(got), size)
            got += piece
            if slowly:
                await asyncio.sleep(slowly)

    def close(self) -> None:
        self.usable = False
        self.writer.close()

    def reset(self) -> None:
        """Vanish without a word."""
        self.usable = False
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()
