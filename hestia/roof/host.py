"""The machine that we run on: file descriptors, the event loop, names, our id, and what the loop itself reports."""

import asyncio
import contextlib
import fcntl
import os
import resource
import socket
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log

SPARE_DESCRIPTORS = 96
ADMIN_RESERVE = 16
QUIET_S = 1.0
LIKELY_ENOUGH = 1 << 20


def hold_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed: else a socket would get its number, and our log lines."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def raise_descriptors() -> int:
    """Lift the soft limit of open files to the hard one. Returns what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = LIKELY_ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= goal:
        return min(soft, LIKELY_ENOUGH) if soft != resource.RLIM_INFINITY else LIKELY_ENOUGH
    with contextlib.suppress(OSError, ValueError):  # macOS says no to some figures below its hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
        return goal
    return soft


def connection_limit(wanted: int, descriptors: int) -> int:
    """How many clients fit: each may need a second descriptor for its upstream, and some are ours."""
    return max(min(wanted, (descriptors - SPARE_DESCRIPTORS) // 2), 1)


def loop_factory(environ: Mapping[str, str]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop when it is installed (12 to 19 % more requests a second), unless HESTIA_LOOP=asyncio."""
    asked = environ.get("HESTIA_LOOP", "auto")
    if asked not in {"auto", "asyncio", "uvloop"}:
        raise ValueError(f"HESTIA_LOOP={asked!r} is none of auto, asyncio, uvloop")
    if asked == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 -- an extra: it may be missing
    except ImportError:
        if asked == "uvloop":
            raise ValueError(
                "HESTIA_LOOP=uvloop, but uvloop is not installed: pip install hestia-gateway[speed]"
            ) from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def own_names() -> tuple[str, ...]:
    """This machine's names, as clients may spell them in `Host`. No look-up: the network may be away."""
    name = socket.gethostname().lower()
    return tuple(dict.fromkeys(each for each in (name, name.partition(".")[0]) if each))


def lock(data_dir: str) -> IO[str] | None:
    """Two gateways on one data folder would launch and stop each other's programs. Raises CannotStart.

    A folder that cannot be written is no reason not to serve: then there is nothing to share either.
    """
    path = Path(data_dir) / "lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError:
        return None
    with contextlib.suppress(OSError):  # another user's, or a file system without modes
        os.fchmod(file.fileno(), 0o600)  # whoever may open it may hold it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        words = f"another gateway (pid {pid}) uses the data folder {data_dir}: end it, or choose another `data_dir`"
        raise CannotStart(words) from None
    except OSError:  # a file system without locks
        return file
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


class LoopReports:
    """The loop's exception handler: what it reports becomes one log line, and a flood of them one line a second.

    Without file descriptors asyncio's accept loop reports up to `backlog` times a round: 2 MB of log a second.
    """

    def __init__(self, log: Log, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._said_at = float("-inf")
        self._unsaid = 0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and "accept" in str(context.get("message", "")):
            self._accept_failed(error)
            return
        trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        self._log.event("internal", "error", message=str(context.get("message", "")), trace=trace)

    def _accept_failed(self, error: OSError) -> None:
        self._unsaid += 1
        now = self._now()
        if now - self._said_at < QUIET_S:
            return
        self._log.event("gateway.accept_failed", "error", detail=error.strerror or str(error), repeated=self._unsaid)
        self._said_at = now
        self._unsaid = 0
