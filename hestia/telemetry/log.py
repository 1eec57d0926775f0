"""The log: one JSON object a line, or one readable line on a terminal.

structlog renders events. The access line is made by hand, because it is written for every request.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Literal

import structlog

from hestia.telemetry.writer import Writer
from hestia.words.spec import Log as LogSpec

Level = Literal["debug", "info", "warning", "error"]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# What may not stand as it is in a JSON string or on a terminal; and bytes beyond ASCII: their encoding is unknown.
_UNSAFE = re.compile(rb'["\\\x00-\x1f\x7f-\xff]').search
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PATH_SHOWN = 2048
_MESSAGE_SHOWN = 500


class Log:
    """Writes events and access lines through `write`, which takes finished lines and never waits."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        level: str = "info",
        console: bool = False,
        access: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._console = console
        self._access = access
        self._clock = clock
        self._second = -1
        self._seconds = b""  # the stamp up to the second
        self._millisecond = -1
        self._stamp = b""
        self.level = level
        self.access_wanted = False
        self._logger: Any = None
        self.set_level(level)

    def follow(self, spec: LogSpec, fd: int = 2) -> None:
        """What the configuration says now."""
        self._console = wants_console(spec.format, fd)
        self._access = spec.access
        self.set_level(spec.level)

    def set_level(self, level: str) -> None:
        """Change what is written, at once."""
        if level not in LEVELS:
            message = f"log level {level!r} is none of {', '.join(LEVELS)}"
            raise ValueError(message)
        self.level = level
        self.access_wanted = self._access and LEVELS[level] <= LEVELS["info"]
        self._logger = structlog.wrap_logger(
            _Lines(self._write),
            processors=[self._add_time, _console_line if self._console else _json_line],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            cache_logger_on_first_use=False,
        )

    def event(self, name: str, level: str = "info", **fields: object) -> None:
        """One thing that happened: a fixed name (see words/events.py) and fixed keys."""
        self._logger.log(LEVELS[level], name, **fields)

    def access(
        self,
        service: str,
        status: int,
        method: bytes,
        path: bytes,
        client: str,
        request_id: bytes,
        total_s: float,
        overhead_s: float,
        bytes_in: int,
        bytes_out: int,
        outcome: str,
        trace: bytes = b"",
    ) -> None:
        """The line of one exchange, without its query. `service` and `outcome` are our own words.

        `trace` is a trace id of hex digits, or nothing.
        """
        query = path.find(b"?")
        if query >= 0:
            path = path[:query]
        who = client.encode()  # of a trusted proxy's X-Forwarded-For it may be anything
        if len(path) > _PATH_SHOWN or _UNSAFE(b"%b%b%b%b" % (path, method, request_id, who)):
            path, method, request_id, who = _escaped(path), _escaped(method), _escaped(request_id), _escaped(who)
        if trace:
            trace = (b" trace_id=%b" if self._console else b',"trace_id":"%b"') % trace
        line = (_ACCESS_CONSOLE if self._console else _ACCESS_JSON) % (
            self.stamp(),
            service.encode(),
            method,
            path,
            status,
            who,
            request_id,
            total_s * 1e3,
            overhead_s * 1e3,
            bytes_in,
            bytes_out,
            outcome.encode(),
            trace,
        )
        self._write(line)

    def stamp(self) -> bytes:
        """Now, as RFC 3339 in UTC with milliseconds. It is kept while it is the same."""
        millisecond = int(self._clock() * 1000)
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._seconds = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
            self._millisecond = millisecond
            self._stamp = b"%b%03dZ" % (self._seconds, rest)
        return self._stamp

    def dropped_line(self, count: int) -> bytes:
        """What the writer says when there is room again after it had to drop lines."""
        render = _console_line if self._console else _json_line
        fields = {"ts": self.stamp().decode(), "level": "warning", "event": "log.dropped", "lines": count}
        return render(None, "warning", fields).encode() + b"\n"

    def _add_time(self, _logger: object, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"ts": self.stamp().decode(), "level": method, "event": fields.pop("event"), **fields}


_ACCESS_JSON = (
    b'{"ts":"%b","level":"info","event":"request","service":"%b","method":"%b","path":"%b","status":%d,'
    b'"client":"%b","request_id":"%b","duration_ms":%.3f,"overhead_ms":%.3f,"bytes_in":%d,"bytes_out":%d,'
    b'"outcome":"%b"%b}\n'
)
_ACCESS_CONSOLE = (
    b"%b info    request service=%b %b %b %d client=%b request_id=%b duration_ms=%.1f overhead_ms=%.3f "
    b"bytes_in=%d bytes_out=%d outcome=%b%b\n"
)


class _Lines:
    """What structlog calls with a rendered line; it wants one method per level."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def _line(self, text: str) -> None:
        self._write(text.encode("utf-8", "backslashreplace") + b"\n")

    debug = info = warning = error = _line


def _escaped(text: bytes) -> bytes:
    """The text as the inside of a JSON string: nothing that ends a line, a string or the patience of a terminal."""
    shown = text[:_PATH_SHOWN] + (b"..." if len(text) > _PATH_SHOWN else b"")
    return _json(shown.decode("utf-8", "backslashreplace"))[1:-1].encode()


def _json(value: object) -> str:
    # ensure_ascii escapes C1 controls, line separators and direction marks too, but not DEL.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=_text).replace("\x7f", "\\u007f")


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _json_line(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
    return _json(dict(fields))


def _console_line(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
    named = dict(fields)
    head = f"{named.pop('ts')} {named.pop('level'):<7} {_plain(named.pop('event'))}"
    return " ".join([head, *(f"{_plain(key)}={_plain(value)}" for key, value in named.items())])


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else _json(value)
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def wants_console(format_: str, fd: int) -> bool:
    """True for the readable format: asked for, or `auto` on a terminal."""
    return format_ == "console" or (format_ == "auto" and os.isatty(fd))


def open_log(spec: LogSpec, fd: int = 2) -> tuple[Log, Writer]:
    """The log of a gateway on `fd`. Close the writer last: it holds lines that are not written yet."""
    writer = Writer(fd)
    log = Log(writer, level=spec.level, console=wants_console(spec.format, fd), access=spec.access)
    writer.dropped_line = log.dropped_line
    return log, writer


class _Captured(logging.Handler):
    """What libraries and the loop log, as one short line each, without traces."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().partition("\n")[0][:_MESSAGE_SHOWN]
        if record.exc_info and record.exc_info[0] is not None:
            message += f" ({record.exc_info[0].__name__})"
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._log.event("library.message", level, logger=record.name, message=message)


@contextlib.contextmanager
def capture_libraries(log: Log) -> Iterator[None]:
    """While it lasts, the standard library's root logger ends here and nowhere else."""
    root = logging.getLogger()
    before, handler = root.handlers[:], _Captured(log)
    root.handlers[:] = [handler]
    try:
        yield
    finally:
        root.handlers[:] = before
