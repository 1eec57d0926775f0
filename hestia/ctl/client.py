"""One connection to the gateway's control socket: a line out, a line back."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat

from hestia.wire import MAX_SOCKET_PATH, NO_PERMISSION, UNREACHABLE, default_sockets, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Self

CONNECT_S = 5.0
ANSWER_S = 5.0
LATER_S = 15.0
HELLO = b'{"jsonrpc":"2.0","id":0,"method":"hello"}\n'
LONGEST_LINE = 64 << 20  # beyond every answer of a gateway; whatever else answers must not fill the memory
NO_METHOD = -32601
NO_PARAMS = -32602


class Failed(Exception):
    """It did not work: what the operator reads, and the exit code."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


class Refused(Failed):
    """The gateway said no; `kind` is the code of its error table."""

    def __init__(self, error: dict[str, Any]) -> None:
        data = error.get("data")
        self.kind = str(data.get("code", "")) if isinstance(data, dict) else ""
        number = error.get("code")
        known = self.kind or {NO_METHOD: "bad_request", NO_PARAMS: "bad_request"}.get(number or 0, "")
        super().__init__(str(error.get("message", "no reason given")), exit_code(known))


class Where:
    """The path of the control socket, and who said so."""

    __slots__ = ("path", "said")

    def __init__(self, path: str, said: str) -> None:
        self.path = path
        self.said = said


def find(flag: str | None, environ: Mapping[str, str]) -> Where:
    """--socket, else $HESTIA_SOCKET, else the first usual place where something lies."""
    if flag is not None:
        return Where(flag, "--socket")
    named = environ.get("HESTIA_SOCKET")
    if named:
        return Where(named, "$HESTIA_SOCKET")
    usual = default_sockets(environ, environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 -- pathlib: 9 ms
    return Where(next((path for path in usual if os.path.lexists(path)), usual[0]), "")


class Client:
    """A context manager; every failure is a Failed."""

    def __init__(self, where: Where, *, answer_s: float = ANSWER_S) -> None:
        self._where = where
        self._answer_s = answer_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._held = b""
        self._last = 0
        self.answered = False
        """It has said something: from now on silence means that it works."""

    def __enter__(self) -> Self:
        try:
            if not self._where.path or len(os.fsencode(self._where.path)) > MAX_SOCKET_PATH:
                raise OSError(errno.ENAMETOOLONG, "no path of a unix socket")
            self._socket.settimeout(CONNECT_S)
            self._socket.connect(self._where.path)
        except (OSError, ValueError) as error:
            self._socket.close()
            raise unreachable(self._where, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def call(self, method: str, params: dict[str, Any] | None = None, *, within: float | None = LATER_S) -> Any:
        """The result. `within` None: as long as it takes. A gateway that says nothing at all is given up soon."""
        self.send(method, params or {})
        return self.answer(within)

    def send(self, method: str, params: dict[str, Any]) -> None:
        self._last += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}).encode() + b"\n"
        if self._last == 1 and method != "hello":
            line = HELLO + line  # answered at once, however long the other takes: so silence is told from work
        try:
            self._socket.settimeout(self._answer_s)
            self._socket.sendall(line)
        except TimeoutError as error:
            raise unreachable(self._where, error) from None
        except OSError:
            return  # it closed already, and may have said why: the answer is read

    def answer(self, within: float | None) -> Any:
        """What was asked last. Raises TimeoutError when the caller's own patience ends first."""
        while True:
            said = self._said(within)
            if said.get("id", self._last) not in {self._last, None} or "method" in said:
                continue
            if "error" in said:
                error = said["error"]
                raise Refused(error if isinstance(error, dict) else {"message": str(error)})
            return said.get("result")

    def items(self) -> Iterator[Any]:
        """What a stream brings, until it ends."""
        while True:
            params = self._said(None).get("params") or {}
            if params.get("end"):
                return
            if "data" in params:
                yield params["data"]

    def closed(self) -> None:
        """Wait until the gateway has closed: it ends."""
        try:
            self._socket.settimeout(None)
            while self._socket.recv(65536):
                pass
        except OSError:
            return

    def _said(self, within: float | None) -> dict[str, Any]:
        while True:
            bound = within if self.answered or (within is not None and within < self._answer_s) else self._answer_s
            line = self._line(bound)
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                raise self._stranger() from None
            self.answered = True
            if isinstance(said, dict):
                return said

    def _stranger(self) -> Failed:
        return Failed(f"what answers at {self._where.path} is no Hestia gateway", UNREACHABLE)

    def _line(self, within: float | None) -> bytes:
        chunks = [self._held]
        length = len(self._held)
        self._socket.settimeout(within)
        while b"\n" not in chunks[-1]:
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError as error:
                self._held = b"".join(chunks)
                raise Slow(self._where) from error
            except OSError:
                data = b""
            if not data:
                raise Failed(
                    f"the gateway at {self._where.path} closed the connection: it ended, see its log", UNREACHABLE
                )
            chunks.append(data)
            length += len(data)
            if length > LONGEST_LINE:
                raise self._stranger()
        line, _, self._held = b"".join(chunks).partition(b"\n")
        return line


class Slow(Failed):
    """No answer yet."""

    def __init__(self, where: Where) -> None:
        super().__init__(
            f"the gateway at {where.path} is not answering: it takes connections and says nothing. See its log",
            UNREACHABLE,
        )


def unreachable(where: Where, error: Exception) -> Failed:
    """One of four: no permission, wrong path, not running, not answering."""
    number = error.errno if isinstance(error, OSError) else None
    said = f" (from {where.said})" if where.said else ""
    if number in {errno.EACCES, errno.EPERM}:
        words = "it belongs to another user: run this as that user or root, or set `control_group`"
        return Failed(f"no permission for the control socket {where.path}{said}: {words}", NO_PERMISSION)
    if isinstance(error, TimeoutError | BlockingIOError):
        return Slow(where)
    wrong = _wrong_path(where, number)
    if wrong:
        usual = "give the gateway's `control_socket` as --socket or $HESTIA_SOCKET"
        return Failed(f"wrong path: {where.path}{said} {wrong}; {usual}", UNREACHABLE)
    left = "nobody listens at" if os.path.lexists(where.path) else "there is no"
    return Failed(f"the gateway is not running: {left} {where.path}{said}. Start it with `hestia serve`", UNREACHABLE)


def _wrong_path(where: Where, number: int | None) -> str:
    if number == errno.ENAMETOOLONG:
        return f"is no path of a unix socket: it has 1 to {MAX_SOCKET_PATH} bytes"
    try:
        mode = os.stat(where.path).st_mode  # noqa: PTH116 -- pathlib: 9 ms
    except (OSError, ValueError):
        folder = os.path.dirname(where.path) or "."  # noqa: PTH120
        return "lies in a folder that does not exist" if where.said and not os.path.isdir(folder) else ""  # noqa: PTH112
    return "" if stat.S_ISSOCK(mode) else "is no socket"
