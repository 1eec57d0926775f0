"""Server-sent events: an answer that goes on until one of the two leaves.

A slow reader costs the transport's buffer and one item, for nothing is taken from the stream before the last one went
out; what a stream does with readers that are too slow is its own affair. One that takes nothing at all is ended by the
sweep of its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from hestia.doors.guest import Asked

Render = Callable[[Any], bytes]

KEEP_ALIVE_S = 15.0
"""Silence for longer than proxies' and browsers' patience looks like a dead connection."""
HEADERS: Final[Mapping[str, str]] = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
HELLO = b"retry: 2000\n\n"  # also makes the head go out at once
STILL_HERE = b": still here\n\n"


def message(data: object, *, id_: int | None = None, event: str | None = None) -> bytes:
    """One event. JSON holds no line end, so nothing in the data can begin another field."""
    head = (b"" if id_ is None else b"id: %d\n" % id_) + (b"" if event is None else b"event: %b\n" % event.encode())
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"


class Streams:
    """The streams that are open. They end when the gateway begins to close: nobody waits for them."""

    def __init__(self, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self.keep_alive_s = keep_alive_s
        self._ends: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._ends)

    def close(self) -> None:
        for end in self._ends:
            if not end.done():
                end.set_result(None)

    async def answer(
        self, request: Asked, first: Iterable[bytes], items: AsyncIterator[Any], render: Render
    ) -> web.StreamResponse:
        """`first`, and then each item as it comes, until the items, the client or the gateway end."""
        response = web.StreamResponse(headers=HEADERS)
        end = asyncio.get_running_loop().create_future()
        self._ends.add(end)
        try:
            await response.prepare(request)
            await response.write(b"".join((HELLO, *first)))
            await self._pump(response, items, render, end)
        finally:
            self._ends.discard(end)
        return response

    async def _pump(
        self, response: web.StreamResponse, items: AsyncIterator[Any], render: Render, end: asyncio.Future[None]
    ) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(response, items, render))
            ticker = group.create_task(self._tick(response))
            await asyncio.wait({reader, end}, return_when=asyncio.FIRST_COMPLETED)
            reader.cancel()
            ticker.cancel()

    async def _tick(self, response: web.StreamResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self.keep_alive_s)
                await response.write(STILL_HERE)


async def _read(response: web.StreamResponse, items: AsyncIterator[Any], render: Render) -> None:
    with contextlib.suppress(ConnectionError):  # the client has left: its handler is about to be cancelled
        async for item in items:
            await response.write(render(item))
