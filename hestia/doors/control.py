"""The control socket: JSON-RPC lines from programs on this machine, answered from the table of use-cases.

A caller has a bounded share of everything: bytes of a line, requests at a time, time for half a line, time to read.
"""

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

from hestia.doors import control_rpc, control_socket
from hestia.doors.control_rpc import Opened, Rpc, error_line
from hestia.doors.verbs import Verbs, close_stream
from hestia.fence import Fence
from hestia.wire import INVALID_REQUEST, MAX_LINE, REFUSED

HIGH_WATER = 256 * 1024
LET_GO_S = 1.0


class Bounds(NamedTuple):
    """What callers may take."""

    callers: int = 512
    at_once: int = 16
    """Requests of one caller that are answered at the same time."""
    line_s: float = 30.0
    """From a line's first byte to its end."""
    idle_s: float = 600.0
    write_s: float = 30.0
    """A caller that does not read its answers for so long is let go."""


class Turns:
    """Requests begin one in each turn of the loop: fifty at once would keep the relay waiting for milliseconds."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, begin: Callable[[], None]) -> None:
        self._waiting.append(begin)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def clear(self) -> None:
        self._waiting.clear()

    def _next(self) -> None:
        if not self._waiting:  # the gateway ends
            return
        begin = self._waiting.popleft()
        if self._waiting:  # first: one that cannot begin must not keep those behind it for ever
            asyncio.get_running_loop().call_soon(self._next)
        begin()


class Control:
    """Opened once, closed once."""

    def __init__(
        self,
        path: str,
        verbs: Verbs,
        failed: Callable[[BaseException], None],
        *,
        group: str | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 -- it cannot be changed
    ) -> None:
        self.path = path
        self.bounds = bounds
        self.rpc = Rpc(verbs, failed)
        self.fence = Fence(failed)
        self.turns = Turns()
        self.callers: set[Caller] = set()
        self._group = group
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._listening: control_socket.Listening | None = None

    async def open(self) -> list[str]:
        """Callers may come and wait. Returns what the operator should know about the socket's folder.

        Raises CannotListen.
        """
        self._listening = control_socket.listen(self.path, self._group)
        loop = asyncio.get_running_loop()
        try:
            # asyncio takes as many callers in one turn as its `backlog` says: each costs a tenth of a millisecond
            self._server = await loop.create_unix_server(
                lambda: Caller(self), sock=self._listening.socket, backlog=1, start_serving=False
            )
        except BaseException:
            self._listening.close()
            raise
        self._listening.socket.listen(control_socket.BACKLOG)
        return self._listening.warnings

    async def serve(self) -> None:
        """They are obeyed from now on."""
        if self._server is not None and self._listening is not None:
            await self._server.start_serving()
            self._listening.socket.listen(control_socket.BACKLOG)  # the kernel's queue is another matter

    async def close(self) -> None:
        """Let everybody go: answers that are written reach who reads them within a second."""
        server, listening = self._server, self._listening
        if server is None or listening is None:
            return
        self._server = self._listening = None
        server.close()
        await self.fence.close()
        self.turns.clear()
        for caller in list(self.callers):
            caller.let_go()
        if self.callers:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_S):
                    await self._empty.wait()
        for caller in list(self.callers):
            caller.transport.abort()
        await asyncio.sleep(0)  # transports tell their protocols of their end in the loop's next round
        listening.close()

    def refuses(self, transport: asyncio.Transport) -> bytes | None:
        """The line for a caller that may not speak, or has come as one too many."""
        uid = control_socket.peer_uid(transport.get_extra_info("socket"))
        if not control_socket.may_speak(uid, group=self._group is not None):
            words = f"user {uid} may not use this control socket: see `control_group`"
            return error_line(REFUSED, words, {"code": "forbidden", "status": 403})
        if len(self.callers) >= self.bounds.callers:
            words = f"{len(self.callers)} callers are connected already"
            return error_line(REFUSED, words, {"code": "too_many_connections", "status": 503})
        return None

    def left(self, caller: "Caller") -> None:
        self.callers.discard(caller)
        if not self.callers:
            self._empty.set()


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.transport: asyncio.Transport
        self._held = bytearray()
        self._todo: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._ended = False
        """Nothing more is read: the caller has closed its side, or was refused."""
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._hangup: select.epoll | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self._writable.set()
        line = self.control.refuses(self.transport)
        if line is not None:
            self._ended = True
            self.transport.write(line)
            self.transport.close()
            return
        self.control.callers.add(self)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        begin = len(self._held)
        self._held += data
        if b"\n" in data:
            end = self._held.rfind(b"\n", begin)
            lines = bytes(self._held[:end]).split(b"\n")
            del self._held[: end + 1]
            self._cancel_timer()
            self._take(lines)
        if len(self._held) > MAX_LINE and not self._ended:
            self._too_long()
        self._go_on()

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            if len(line) > MAX_LINE:
                self._too_long()
                return
            if line.strip():
                self._todo.append(line)

    def _too_long(self) -> None:
        """Where the next request would begin is not worth reading on for: what was asked before is still answered."""
        self.transport.write(error_line(INVALID_REQUEST, f"a line has at most {MAX_LINE} bytes"))
        self._end()

    def eof_received(self) -> bool:
        """A line without its end is not obeyed; what was asked before is answered."""
        self._end()
        if not self._busy:
            return False
        self._watch_for_hangup()
        return True

    def _end(self) -> None:
        self._ended = True
        self._held.clear()
        self._cancel_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._todo.clear()
        self._drop_hangup()
        self._writable.set()
        for task in list(self._tasks):
            task.cancel()
        self.control.left(self)

    def let_go(self) -> None:
        """The gateway ends. What is written is sent; nothing more is read."""
        self._end()
        self._todo.clear()
        self.transport.close()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._flow()

    def resume_writing(self) -> None:
        self._writable.set()
        self._flow()

    @property
    def _busy(self) -> bool:
        return bool(self._running or self._todo)

    def _go_on(self) -> None:
        """Begin what is waiting, as far as this caller's share goes."""
        while self._todo and self._running < self.control.bounds.at_once and not self.transport.is_closing():
            self._running += 1
            self.control.turns.wait(partial(self._begin, self._todo.pop(0)))
        if self._ended and not self._busy:
            self.transport.close()
            return
        self._flow()

    def _flow(self) -> None:
        """Read only from who reads what it gets and has not asked too much yet; count the time of who is awaited."""
        if self._ended or self.transport.is_closing():
            return
        if self._todo or not self._writable.is_set():
            self._cancel_timer()
            self.transport.pause_reading()
            self._watch_for_hangup()
        else:
            self._drop_hangup()
            self.transport.resume_reading()
            self._watch()

    def _begin(self, line: bytes) -> None:
        task = self.control.fence.spawn(self._work(line))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        if self.transport.is_closing():  # whoever left meanwhile is obeyed all the same, but nothing is waited for
            asyncio.get_running_loop().call_soon(task.cancel)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._running -= 1
        self._go_on()

    async def _work(self, line: bytes) -> None:
        reply = await self.control.rpc.answer(line)
        try:
            if reply.line is not None:
                await self._write(reply.line)
            if reply.opened:
                await self._follow_all(reply.opened)
        finally:
            for one in reply.opened:
                await close_stream(one.stream.items)

    async def _follow_all(self, opened: list[Opened]) -> None:
        async with asyncio.TaskGroup() as group:
            for one in opened:
                group.create_task(self._follow(one))

    async def _follow(self, one: Opened) -> None:
        try:
            async for item in one.stream.items:
                await self._write(control_rpc.item_line(one, item))
        except Exception as problem:  # noqa: BLE001 -- a door: a stream that breaks ends itself alone
            self.control.fence.failed(problem)
        await self._write(control_rpc.end_line(one))

    async def _write(self, line: bytes) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(line)
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(self.control.bounds.write_s):
                await self._writable.wait()
        except TimeoutError:
            self.transport.abort()

    def _watch(self) -> None:
        """One timer: the end of a line that has begun, or some sign of life."""
        if self._busy and not self._held:
            self._cancel_timer()
        elif self._timer is None:
            bounds = self.control.bounds
            after = bounds.line_s if self._held else bounds.idle_s
            self._timer = asyncio.get_running_loop().call_later(after, self._too_late)
        elif self._held and self._timer.when() - asyncio.get_running_loop().time() > self.control.bounds.line_s:
            self._cancel_timer()
            self._watch()

    def _too_late(self) -> None:
        self._timer = None
        if self._held:
            self.transport.write(error_line(INVALID_REQUEST, "the line's end did not come in time"))
        self._end()
        self._go_on()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch_for_hangup(self) -> None:
        """After a half-close, and while too much is asked, nothing is read: the hang-up tells who waits from who left.

        Where there is no epoll, the next write tells.
        """
        if hasattr(select, "epoll") and self._hangup is None:
            self._hangup = select.epoll()
            self._hangup.register(self.transport.get_extra_info("socket").fileno(), 0)  # a hang-up is always told
            asyncio.get_running_loop().add_reader(self._hangup.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self._drop_hangup()
        self.transport.abort()

    def _drop_hangup(self) -> None:
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup.fileno())
            self._hangup.close()
            self._hangup = None
