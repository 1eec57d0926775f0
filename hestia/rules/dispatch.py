"""The dispatcher's body (`POST /v1/requests`) read into a request: what may be asked for, and of whom.

Only configured services can be reached, whatever the fields say: `path` is joined to a service's address and never
resolved against it. What the request's grammar says of target and headers is checked by that grammar, where it is used.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hestia.rules.scalars import duration
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Container

METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
NEVER: Final = frozenset(("CONNECT", "TRACE"))
NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
MOST_HEADERS: Final = 256
BODIES: Final = (
    ("body", "application/json"),
    ("body_text", "text/plain; charset=utf-8"),
    ("body_base64", "application/octet-stream"),
)
Plain = str | int | float | bool | None


class Asked(Struct, forbid_unknown_fields=True):
    """The body as it comes."""

    method: str
    path: str
    service: str | None = None
    query: str | dict[str, Plain | list[Plain]] | None = None
    headers: dict[str, str] | None = None
    body: msgspec.Raw | UnsetType = UNSET
    body_text: str | None = None
    body_base64: str | None = None
    timeout: str | float | None = None


class Dispatched(NamedTuple):
    """A request to be relayed."""

    service: str | None
    method: bytes
    target: bytes
    host: bytes
    """What it names in `Host`: that chooses the route, and goes no further."""
    block: bytes
    """Its header lines, the body's length among them, with the empty line."""
    body: bytes
    timeout: float | None


def read_dispatch(data: bytes, never: Container[str]) -> Dispatched:
    """`never`: headers that may not be said, in lower case. Raises Refusal."""
    try:
        asked = msgspec.json.decode(data, type=Asked)
    except msgspec.ValidationError as problem:
        raise _bad(str(problem)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad("it is no JSON") from None
    body, kind = _body(asked)
    host, block = _headers(asked.headers or {}, never, body, kind)
    method = _method(asked.method)
    return Dispatched(asked.service, method, _target(asked), host, block, body or b"", _timeout(asked.timeout))


def _bad(words: str) -> Refusal:
    return Refusal("bad_request", f"the body of /v1/requests: {words}")


def _method(said: str) -> bytes:
    if METHOD.fullmatch(said) is None or said.upper() in NEVER:
        raise _bad("`method` is none that is relayed")
    return said.upper().encode()


def _target(asked: Asked) -> bytes:
    path, query = asked.path, _query(asked.query)
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise _bad("`path` begins with one `/`: it is the path at the service, and no URL")
    if query and "?" in path:
        raise _bad("`path` has a query already: give it in `query` alone")
    return _ascii("path", path) + (b"?" + query if query else b"")


def _query(said: Any) -> bytes:
    if said is None:
        return b""
    if isinstance(said, str):
        return _ascii("query", said.removeprefix("?"))
    pairs = [
        (name, _word(one))
        for name, value in said.items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    return urlencode(pairs).encode()


def _word(value: Plain) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ascii(key: str, text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError:
        raise _bad(f"`{key}` has a character beyond ASCII: percent-encode it") from None


def _headers(said: dict[str, str], never: Container[str], body: bytes | None, kind: str) -> tuple[bytes, bytes]:
    if len(said) > MOST_HEADERS:
        raise _bad(f"more than {MOST_HEADERS} `headers`")
    host, lines, typed = b"", [], False
    for name, value in said.items():
        lowered = name.lower()
        if NAME.fullmatch(name) is None or VALUE.fullmatch(value) is None:
            raise _bad(f"the header {name[:64]!a} is malformed")
        if lowered in never:
            raise _bad(f"the header {name!r} is Hestia's to write")
        if lowered == "host":
            host = value.strip(" \t").encode("latin-1")
            continue
        typed = typed or lowered == "content-type"
        lines.append(f"{name}: {value}")
    if body is not None:
        lines += [] if typed else [f"Content-Type: {kind}"]
        lines.append(f"Content-Length: {len(body)}")
    return host, "".join(line + "\r\n" for line in [*lines, ""]).encode("latin-1")


def _body(asked: Asked) -> tuple[bytes | None, str]:
    """The one body that is given, if any, and its type unless the headers say one."""
    said = isinstance(asked.body, msgspec.Raw) and bytes(asked.body) != b"null"
    given = {"body": asked.body if said else None, "body_text": asked.body_text, "body_base64": asked.body_base64}
    found = [(key, kind) for key, kind in BODIES if given[key] is not None]
    if len(found) > 1:
        raise _bad(f"{' and '.join(f'`{key}`' for key, _ in found)} exclude each other")
    if not found:
        return None, ""
    key, kind = found[0]
    try:
        return READS[key](asked), kind
    except ValueError:
        raise _bad(f"`{key}` is malformed") from None


READS: Final[Mapping[str, Callable[[Asked], bytes]]] = {
    "body": lambda asked: bytes(asked.body) if isinstance(asked.body, msgspec.Raw) else b"",
    "body_text": lambda asked: (asked.body_text or "").encode(),
    "body_base64": lambda asked: base64.b64decode(asked.body_base64 or "", validate=True),
}


def _timeout(said: str | float | None) -> float | None:
    if said is None:
        return None
    try:
        seconds = duration(said if isinstance(said, str) else f"{said:.9f}")
    except ValueError as problem:
        raise _bad(f"`timeout` {problem}") from None
    if not seconds:
        raise _bad("`timeout` must be more than 0")
    return seconds
