"""JSON-RPC 2.0 over lines: one line in, at most one line out, and what goes on after it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from hestia.doors.verbs import Rejected, Stream, UnknownVerb, Verbs, close_stream
from hestia.doors.verbs_params import BadParams
from hestia.wire import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, REFUSED
from hestia.words.refusal import Refusal

MOST_IN_BATCH = 100
Id = str | int | float | None


class Opened(NamedTuple):
    """A stream that goes on after its answer: notifications carry the request's id."""

    id: Id
    method: str
    stream: Stream


class Reply(NamedTuple):
    """The line to send (None: nothing is due) and the streams that begin after it."""

    line: bytes | None
    opened: list[Opened]


class Rpc:
    """Answers lines from the table of use-cases. It holds nothing between two lines."""

    def __init__(self, verbs: Verbs, failed: Callable[[BaseException], None]) -> None:
        self._verbs = verbs
        self._failed = failed

    async def answer(self, line: bytes) -> Reply:
        """Do what a line asks for. It never raises but when it is cancelled."""
        opened: list[Opened] = []
        try:
            asked = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Reply(error_line(PARSE_ERROR, f"the line is no JSON: {error}"), opened)
        if not isinstance(asked, list):
            one = await self._one(asked, opened)
            return Reply(None if one is None else encoded(one), opened)
        if not 0 < len(asked) <= MOST_IN_BATCH:
            return Reply(error_line(INVALID_REQUEST, f"a batch holds 1 to {MOST_IN_BATCH} requests"), opened)
        answers = [answer for each in asked if (answer := await self._one(each, opened)) is not None]
        return Reply(encoded(answers) if answers else None, opened)

    async def _one(self, asked: Any, opened: list[Opened]) -> dict[str, Any] | None:
        wrong = _wrong(asked)
        if wrong is not None:
            given = asked.get("id") if isinstance(asked, dict) else None
            return _error(given if _is_id(given) else None, INVALID_REQUEST, wrong)
        told = "id" not in asked
        answer = await self._called(asked, opened, told=told)
        return None if told else answer

    async def _called(self, asked: dict[str, Any], opened: list[Opened], *, told: bool) -> dict[str, Any]:
        id_, name = asked.get("id"), asked["method"]
        params = asked.get("params", {})
        if not isinstance(params, dict):
            return _error(id_, INVALID_PARAMS, "params must be an object with names")
        try:
            done = await self._verbs.call(name, params)
            if isinstance(done, Stream):
                first = msgspec.Raw(msgspec.json.encode(done.first))
                await self._begin(Opened(id_, name, done), opened, told=told)
                return {"jsonrpc": "2.0", "id": id_, "result": first}
            return {"jsonrpc": "2.0", "id": id_, "result": msgspec.Raw(msgspec.json.encode(done))}
        except UnknownVerb:
            return _error(id_, METHOD_NOT_FOUND, f"there is no method {name[:64]!r}: `hello` lists those that are")
        except Refusal as refusal:
            return _refused(id_, refusal)
        except Exception as problem:  # noqa: BLE001 -- a door: a mistake of ours is logged, and answered
            self._failed(problem)
            return _error(id_, INTERNAL_ERROR, "a mistake in Hestia: its log has the trace", {"code": "internal"})

    async def _begin(self, one: Opened, opened: list[Opened], *, told: bool) -> None:
        if told:  # a notification has no id that its items could name
            await close_stream(one.stream.items)
        else:
            opened.append(one)


def _wrong(asked: Any) -> str | None:
    if not isinstance(asked, dict):
        return "a request is an object"
    if asked.get("jsonrpc") != "2.0":
        return 'a request says "jsonrpc": "2.0"'
    if not isinstance(asked.get("method"), str):
        return "a request names its method as text"
    if "id" in asked and not _is_id(asked["id"]):
        return "an id is text, a number or null"
    return None


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _refused(id_: Id, refusal: Refusal) -> dict[str, Any]:
    data: dict[str, Any] = {"code": refusal.code, "status": refusal.status}
    if refusal.retry_after is not None:
        data["retry_after"] = refusal.retry_after
    if isinstance(refusal, Rejected):
        data["mistakes"] = refusal.mistakes
    return _error(id_, INVALID_PARAMS if isinstance(refusal, BadParams) else REFUSED, refusal.detail, data)


def _error(id_: Id, code: int, message: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def error_line(code: int, message: str, data: dict[str, Any] | None = None) -> bytes:
    """An error that answers no request in particular."""
    return encoded(_error(None, code, message, data))


def item_line(one: Opened, item: Any) -> bytes:
    """One thing that a stream brought."""
    return _told(one, {"follow": one.id, "data": item})


def end_line(one: Opened) -> bytes:
    """The stream is over, and it was not its reader who ended it."""
    return _told(one, {"follow": one.id, "end": True})


def _told(one: Opened, params: dict[str, Any]) -> bytes:
    return encoded({"jsonrpc": "2.0", "method": one.method, "params": params})


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
