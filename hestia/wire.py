"""Words that `hestia` and `hestiactl` share with scripts. Standard library only: `hestiactl` imports nothing else."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` costs hestiactl a third of its start
if TYPE_CHECKING:
    from collections.abc import Mapping

# Exit codes.
DONE = 0
FAILED = 1
USAGE = 2
NOT_RUNNING = 3
NO_PERMISSION = 4
UNKNOWN = 5
UNREACHABLE = 7
TIMED_OUT = 8
INTERRUPTED = 130

# JSON-RPC 2.0: the standard errors, and the one for what the gateway itself refuses (`error.data.code` says which).
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -32000

MAX_LINE = 1024 * 1024
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of a unix socket's path that the kernel takes."""

_EXITS = {
    "unknown_service": UNKNOWN,
    "not_found": UNKNOWN,
    "unauthorized": NO_PERMISSION,
    "forbidden": NO_PERMISSION,
    "wait_timeout": TIMED_OUT,
    "bad_request": USAGE,
}
_UNITS = (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0), ("", 1.0))
_DURATION_DIGITS = 12


def exit_code(code: str) -> int:
    """What `hestiactl` answers when the gateway refused with this code of the error table."""
    return _EXITS.get(code, FAILED)


def default_sockets(environ: Mapping[str, str], home: str, data_dir: str = "") -> tuple[str, ...]:
    """Where the control socket lies when nobody says: the gateway takes the first, `hestiactl` looks at all of them.

    A gateway that a system unit started has no $XDG_RUNTIME_DIR where its operator's shell has one.
    """
    data = data_dir or f"{environ.get('XDG_STATE_HOME') or f'{home}/.local/state'}/hestia"
    runtime = environ.get("XDG_RUNTIME_DIR")
    beside = f"{data.rstrip('/')}/control.sock"
    return (f"{runtime.rstrip('/')}/hestia/control.sock", beside) if runtime else (beside,)


def duration(text: str) -> float | None:
    """`500ms`, `30s`, `15m`, `2h`, `90d` or a number of seconds, in seconds; None: it is no duration."""
    unit, factor = next(row for row in _UNITS if text.endswith(row[0]))
    number = text[: len(text) - len(unit)]
    whole, dot, part = number.partition(".")
    digits = whole + part
    if not whole or (dot and not part) or not (digits.isascii() and digits.isdigit()) or len(digits) > _DURATION_DIGITS:
        return None
    return float(number) * factor
