"""Short answers that Hestia gives in place of a cold service, as bytes; and what keeps answers for that."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hestia.h1.framing import Chunked, drop_trailer
from hestia.h1.grammar import BadMessage
from hestia.h1.problem import cors_fields
from hestia.rules.last_answers import LONGEST

if TYPE_CHECKING:
    from hestia.h1.answer import AnswerHead
    from hestia.h1.request import RequestHead
    from hestia.rules.last_answers import Kept, Key, LastAnswers
    from hestia.words.spec import Answer

Fields = list[tuple[str, str]]

STATE: Final = ("X-Hestia-State", "cold")
NO_STORE: Final = ("Cache-Control", "no-store")
NO_BODY: Final = frozenset((204, 304))
JSON: Final = ("Content-Type", "application/json")


def whole(
    status: int, fields: Fields, body: bytes, head: RequestHead, method: bytes, request_id: bytes, *, keep: bool
) -> bytes:
    """A whole answer, ready to be written; to a HEAD its head alone, with the length of the body."""
    fields = [*fields, ("X-Request-ID", request_id.decode("ascii"))]
    if status not in NO_BODY:
        fields.append(("Content-Length", str(len(body))))
    if not keep:
        fields.append(("Connection", "close"))
    elif head.minor == b"0":
        fields.append(("Connection", "keep-alive"))
    lines = [f"HTTP/1.1 {status} {_title(status)}", *(f"{name}: {value}" for name, value in fields), "", ""]
    silent = (method == b"HEAD" and not head.dispatched) or status in NO_BODY
    return "\r\n".join(lines).encode("latin-1") + (b"" if silent else body)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # one that nobody registered: the phrase may be empty (RFC 9112, 4)
        return ""


def cors(head: RequestHead, cors_origins: frozenset[str]) -> Fields:
    """What a page of an allowed origin needs to read an answer of ours."""
    origin = head.named.get(b"origin")
    return cors_fields(origin.decode("latin-1") if origin is not None else None, cors_origins)


def said_answer(
    answer: Answer,
    head: RequestHead,
    method: bytes,
    request_id: bytes,
    cors_origins: frozenset[str],
    *,
    keep: bool,
) -> bytes:
    """The `answer: {status, json}` of a `no_wake` rule; without `json` it has no body."""
    body = json.dumps(answer.json).encode() if answer.json is not None else b""
    fields = [NO_STORE, STATE, *([JSON] if body else []), *cors(head, cors_origins)]
    return whole(answer.status, fields, body, head, method, request_id, keep=keep)


def kept_answer(kept: Kept, head: RequestHead, method: bytes, request_id: bytes, now: float, *, keep: bool) -> bytes:
    """The `answer: last` of a `no_wake` rule: what the same GET got when the service was hot, and how old that is."""
    fields = [(name, value) for name, _, value in (line.decode("latin-1").partition(":") for line in kept.lines)]
    fields = [(name, value.strip(" \t")) for name, value in fields]
    return whole(200, [*fields, ("Age", str(kept.age_at(now))), STATE], kept.body, head, method, request_id, keep=keep)


def see_other(target: bytes, head: RequestHead, method: bytes, request_id: bytes, *, keep: bool) -> bytes:
    """Back to the page's own URL with a GET, after its form was posted: a reload then posts nothing again.

    By itself a path that begins with two slashes names another host, and browsers read a backslash as a slash.
    """
    back = b"/." + target if target[1:2] in {b"/", b"\\"} else target
    return whole(303, [("Location", back.decode("ascii")), NO_STORE], b"", head, method, request_id, keep=keep)


def same_get(head: RequestHead, prefix: bytes, target: bytes) -> Key:
    """What makes a GET the same for the client: its answer may name any of these."""
    return (head.own_scheme, head.own_host, prefix, target)


def request_lines(head: RequestHead) -> list[bytes]:
    """The header lines on which an answer may depend, with those that we write ourselves when we relay."""
    ours = [name + b": " + head.named[name] for name in (b"origin", b"referer") if name in head.named]
    return head.fields + ours


class Recording:
    """Listens to one exchange, and keeps its answer once it is whole. What is too long or breaks off is forgotten."""

    __slots__ = ("_answers", "_body", "_chunks", "_key", "_lines", "_request", "_size", "_status")

    def __init__(self, answers: LastAnswers, key: Key, request: list[bytes]) -> None:
        self._answers = answers
        self._key = key
        self._request = request
        self._status = 0
        self._lines: list[bytes] = []
        self._chunks: Chunked | None = None
        self._body: list[bytes] | None = None
        self._size = 0

    def begins(self, answer: AnswerHead, block: bytes, framing: bytes) -> None:
        """`block` and `framing` are the answer's head as the client gets it."""
        self._status = answer.status
        self._lines = block.split(b"\r\n")[1:]
        self._body = [] if answer.length <= LONGEST else None
        if b"chunked" in framing:
            self._chunks = Chunked(drop_trailer, decode=True)

    def more(self, data: bytes) -> None:
        """Bytes of the body, framed as the client gets them."""
        if self._body is None:
            return
        if self._chunks is not None:
            try:
                data, _ = self._chunks.feed(data)
            except BadMessage:  # the exchange breaks off by itself
                self._body = None
                return
        self._size += len(data)
        if self._size > LONGEST:
            self._body = None
        else:
            self._body.append(data)

    def ended(self, now: float) -> None:
        """The answer is complete."""
        if self._body is not None:
            self._answers.keep(self._key, self._request, self._status, self._lines, b"".join(self._body), now)
            self._body = None
