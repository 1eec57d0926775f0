"""Bodies that are read before their requests go on: kept as they came, and all of them together within bounds.

Of all that is kept no more is read once `limits.body_peek_total` is used up, but for the body that began first: it may
be read on by one `limits.body_peek`, so that bodies that are all half read do not wait for each other. A body that was
read counts until its service has it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, Self

from hestia.h1.framing import Chunked, Sized, refuse_trailer
from hestia.h1.request import CHUNKED
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_WAIT: Final = 30.0
"""A body that there is no room for waits so long."""
SMALL: Final = 8192
"""A login and a command of the API take less: these need not wait until others' uploads have gone on."""


class Reads(Protocol):
    """Who reads a body. `let_in` is called when there is room for more of it."""

    @property
    def let_in(self) -> Callable[[], None]: ...


class Room:
    """What is kept of all bodies. `total` and `longest` are the configuration's; a reload replaces them."""

    __slots__ = ("_letting_in", "line", "longest", "reading", "total", "used")

    def __init__(self, total: int, longest: int) -> None:
        self.total = total
        self.longest = longest
        self.used = 0
        self.reading: dict[Reads, None] = {}
        self.line: dict[Reads, None] = {}
        self._letting_in = False

    def enter(self, intake: Reads) -> bool:
        """Whether more of it may be read now. Else it is told when it may."""
        if intake not in self.reading and not self.line and self.used < self.total:
            self.reading[intake] = None
        if self._may(intake):
            return True
        self.line.setdefault(intake)
        return False

    def _may(self, intake: Reads) -> bool:
        if intake in self.reading and intake is next(iter(self.reading)):
            return self.used < self.total + self.longest
        return self.used < self.total and intake in self.reading

    def take(self, size: int) -> None:
        self.used += size

    def leave(self, intake: Reads) -> None:
        """It is read no more; what was kept of it still counts."""
        self.line.pop(intake, None)
        if self.reading.pop(intake, self) is None:
            self._let_in()

    def give_back(self, size: int) -> None:
        self.used -= size
        self._let_in()

    def _let_in(self) -> None:
        """Whoever waits, in the order in which they came; one who is let in may bring about the next."""
        if self._letting_in:
            return
        self._letting_in = True
        try:
            oldest = next(iter(self.reading), None)
            if oldest is not None and oldest in self.line and self._may(oldest):
                del self.line[oldest]
                oldest.let_in()
            while self.line and self.used < self.total:
                first = next(iter(self.line))
                del self.line[first]
                self.reading.setdefault(first)
                first.let_in()
        finally:
            self._letting_in = False


class Intake:
    """One body. `let_in` is called when there is room for more of it."""

    __slots__ = ("_decode", "_framing", "_room", "content", "kept", "let_in", "size")

    def __init__(self, length: int, room: Room, let_in: Callable[[], None]) -> None:
        self._framing = Sized(length) if length >= 0 else Chunked(refuse_trailer)
        self._decode = Chunked(refuse_trailer, decode=True) if length == CHUNKED else None
        self._room = room
        self.kept: list[bytes] = []
        self.size = 0  # of what is kept
        self.content = 0  # of that without its framing
        self.let_in = let_in

    def may_go_on(self) -> bool:
        return self._room.enter(self)

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """More of it. Gives its content without framing and, once it has ended, what lies behind. Raises BadMessage."""
        content, rest = self._framing.feed(data)
        mine = data[: len(data) - len(rest)] if rest else data
        if self._decode is not None:
            content, _ = self._decode.feed(mine)
        self.content += len(content)
        self.kept.append(mine)
        self.size += len(mine)
        self._room.take(len(mine))
        return content, rest

    def drop(self) -> None:
        """Its request is over, or was never made."""
        self.kept.clear()
        size, self.size = self.size, 0
        self._room.leave(self)
        self._room.give_back(size)

    def hand_over(self) -> tuple[bytes, Pledge]:
        """All of it as it came, for the one who relays it. It counts until the pledge is over."""
        data = b"".join(self.kept)
        self.kept.clear()
        size, self.size = self.size, 0
        self._room.leave(self)
        return data, Pledge(self._room, size)


class Kept:
    """A body that is read by awaiting it (Hestia's own API). A block: what was kept is given back behind it."""

    __slots__ = ("_free", "_room", "_size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._free = asyncio.Event()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.leave(self)
        self._room.give_back(self._size)

    def let_in(self) -> None:
        self._free.set()

    def take(self, size: int) -> None:
        self._size += size
        self._room.take(size)

    async def may_go_on(self) -> None:
        """Returns when more of it may be read. Raises Refusal when that takes too long."""
        if self._size < SMALL:
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                while not self._room.enter(self):
                    await self._free.wait()
                    self._free.clear()
        except TimeoutError:
            raise no_room() from None


def no_room() -> Refusal:
    words = f"no room within {LONGEST_WAIT:g} s for another body that has to be read (`limits.body_peek_total`)"
    return Refusal("queue_full", words)


class Pledge:
    """What is to be given back when an exchange has delivered its body, and what ends with the exchange."""

    __slots__ = ("_room", "_size", "timer")

    def __init__(self, room: Room, size: int = 0) -> None:
        self._room = room
        self._size = size
        self.timer: asyncio.TimerHandle | None = None

    def delivered(self) -> None:
        size, self._size = self._size, 0
        if size:
            self._room.give_back(size)

    def over(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.delivered()
