"""Asking the HTTP API of a gateway that runs: whole answers, and server-sent events as they come."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.gateway import Running
    from tests.support.wire import Message, Wire

CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


def raw(method: str, path: str, body: bytes | None = None, *lines: str) -> bytes:
    """A request as bytes. A body is JSON unless `lines` say what else it is."""
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", *lines]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
        if not any(line.lower().startswith("content-type") for line in lines):
            head.append("Content-Type: application/json")
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


def said(message: Message) -> Any:
    """The JSON of an answer; else its bytes."""
    kind = message.get(b"content-type") or b""
    return json.loads(message.body) if kind.endswith(b"json") and message.body else message.body


async def get(run: Running, path: str, *lines: str, method: str = "GET") -> tuple[int, Any]:
    message = await run.ask(raw(method, path, None, *lines))
    return message.status, said(message)


async def post(run: Running, path: str, body: bytes | None = None, *lines: str) -> tuple[int, Any]:
    message = await run.ask(raw("POST", path, body, *lines))
    return message.status, said(message)


async def problem(run: Running, request: bytes) -> tuple[int, str]:
    """Status and code of a refusal."""
    message = await run.ask(request)
    return message.status, said(message)["code"]


class Stream:
    """Server-sent events, read off one connection."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @property
    def head(self) -> bytes:
        return bytes(self.wire.received).partition(b"\r\n\r\n")[0]

    @property
    def text(self) -> str:
        """What came so far, without the head and the chunks' framing."""
        rest, found = bytes(self.wire.received).partition(b"\r\n\r\n")[2], b""
        while (size := CHUNK.match(rest)) and len(rest) >= size.end() + int(size[1], 16) + 2:
            found += rest[size.end() : size.end() + int(size[1], 16)]
            rest = rest[size.end() + int(size[1], 16) + 2 :]
        return found.decode()

    @property
    def blocks(self) -> list[dict[str, str]]:
        """Each event as its fields; comments and `retry` are left out."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                found.append(fields)
        return found

    @property
    def data(self) -> list[Any]:
        return [json.loads(block["data"]) for block in self.blocks]

    @property
    def kinds(self) -> list[str]:
        return [each.get("kind", "") for each in self.data]

    async def until(self, condition: Any, within: float = 5.0) -> None:
        await self.wire.until(condition, within)

    async def began(self) -> None:
        await self.wire.until(lambda: "retry:" in self.text or self.wire.ended)


@asynccontextmanager
async def streaming(run: Running, path: str, *lines: str) -> AsyncIterator[Stream]:
    """Open, with its head read."""
    wire = await run.dial()
    stream = Stream(wire)
    try:
        await wire.send(raw("GET", path, None, *lines))
        await stream.began()
        yield stream
    finally:
        wire.transport.abort()
