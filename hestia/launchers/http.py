"""The `http` kind: three requests to somebody's API (Proxmox, Home Assistant, a cloud) start, stop and tell.

Without a `status` request nobody can be asked. Then the state is what this run did: running from the start that it
asked for until it is forgotten; a readiness check tells the rest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakValueDictionary

import msgspec

from hestia.launchers.json_api import Answer, NoAnswer, ask, said, settled, without
from hestia.launchers.told import hear_all
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import HttpCall, HttpLaunch, HttpStatus, JsonTest
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record, RunState

ASKED, DONE = "asked", "done"  # the handle: a start was sent; it was answered as a success
BAD_REQUEST, SERVER_ERROR = 400, 500
GONE = frozenset({404, 410})
CANNOT_TELL = frozenset({401, 403, 407, 408, 429})
REMEMBERED = 1000
LONG_SEGMENT = 16  # a part of a path that may be a token, as of a webhook


class Pace(NamedTuple):
    """How often and for how long the status is asked, in seconds."""

    poll: float = 1.0
    address: float = 3600.0  # for an address that is told; the caller's own limit comes first
    gone: float = 120.0
    answer: float = 30.0
    state: float = 5.0


PACE = Pace()


class Look(NamedTuple):
    """What the status request found; `reason` says why nothing is known."""

    state: RunState
    told: Told = Told()
    reason: str = ""


class Turn:
    """Whose turn it is at a place, and what the start before this one was told."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.done: tuple[str, Told] | None = None


class HttpLauncher:
    """Start, stop and state by requests. Values of headers, bodies and queries appear in no text."""

    def __init__(self, *, pace: Pace = PACE) -> None:
        self._pace = pace
        self._turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
        self._ended: dict[str, None] = {}  # runs that were stopped, for those without a status request

    async def start(self, run: Run, record: Record) -> Told:
        """Asks the status first, if there is one. Cancelled while it asks to start, it first has the answer."""
        launch = _launch(run)
        turn = self._turn(run)
        async with turn.lock:
            if turn.done is not None and turn.done[0] == run.id:
                return turn.done[1]
            told = await self._started(run, launch, record)
            turn.done = (run.id, told)
        return await self._with_address(run, launch, told)

    async def stop(self, run: Run) -> None:
        """Sends the stop, and waits until the status says that it is gone, if there is one."""
        launch = _launch(run, stop=True)
        turn = self._turn(run)
        async with turn.lock:
            turn.done = None
            if run.handle or run.stop_with is not None or await self._was_found(launch):
                await self._stopped(launch)
                self._ended[run.id] = None
                while len(self._ended) > REMEMBERED:
                    del self._ended[next(iter(self._ended))]

    async def state(self, run: Run) -> RunState:
        try:
            launch = _launch(run)
        except LaunchFailed:
            return "unknown"
        if launch.status is None:
            return "running" if "http" in run.handle and run.id not in self._ended else "stopped"
        return (await self._look(launch.status, self._pace.state)).state

    def _turn(self, run: Run) -> Turn:
        key = f"{run.of}/{run.owner}/{run.number}"
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = Turn()
        return turn

    async def _started(self, run: Run, launch: HttpLaunch, record: Record) -> Told:
        if launch.status is not None:
            look = await self._look(launch.status, self._pace.answer)
            if look.state == "unknown":
                raise LaunchFailed(look.reason)
            if look.state == "running":
                await record({"http": DONE})
                return _merged(look.told, run.told)
        elif run.handle.get("http") == DONE and run.id not in self._ended:
            return run.told
        self._ended.pop(run.id, None)
        await record({"http": ASKED})
        try:
            answer = _expected(launch.start, await settled(self._ask(launch.start, "POST", self._pace.answer)))
        except NoAnswer as problem:
            if problem.status is not None and BAD_REQUEST <= problem.status < SERVER_ERROR:
                await record({})  # refused: there is nothing to stop
            raise LaunchFailed(str(problem)) from problem
        await record({"http": DONE})
        return told_in(answer)

    async def _with_address(self, run: Run, launch: HttpLaunch, told: Told) -> Told:
        """A rented VM may tell its address only when it is there: then the status is asked until it does."""
        if run.of == "machine" or run.base_url is not None or told.base_url is not None:
            return told
        if launch.status is None:
            raise LaunchFailed("the start's answer has no HESTIA_BASE_URL, and base_url is not set")
        clock = asyncio.get_running_loop().time
        end = clock() + self._pace.address
        while clock() < end:
            look = await self._look(launch.status, self._pace.answer)
            if look.told.base_url is not None:
                return look.told
            await asyncio.sleep(self._pace.poll)
        raise LaunchFailed(f"no answer had a HESTIA_BASE_URL within {self._pace.address:g}s, and base_url is not set")

    async def _was_found(self, launch: HttpLaunch) -> bool:
        """A start writes its handle down before it asks; without one there is only what was found running.

        Where that cannot be told, nothing is stopped: it may be somebody else's.
        """
        if launch.status is None:
            return False
        look = await self._look(launch.status, self._pace.answer)
        if look.state == "unknown":
            raise LaunchFailed(f"{look.reason}; Hestia did not start it, so it was not stopped")
        return look.state == "running"

    async def _stopped(self, launch: HttpLaunch) -> None:
        """It is sent whatever the status says: a start that was accepted may come to pass later."""
        if launch.stop is None:
            raise LaunchFailed("launch.stop is not set: Hestia cannot stop it (stop_with can name another launcher)")
        try:
            _expected(launch.stop, await self._ask(launch.stop, "POST", self._pace.answer))
        except NoAnswer as problem:
            if problem.status not in GONE and not await self._is_gone(launch):
                raise LaunchFailed(str(problem)) from problem
        clock = asyncio.get_running_loop().time
        end = clock() + self._pace.gone
        while launch.status is not None and not await self._is_gone(launch):
            if clock() >= end:
                raise LaunchFailed(f"its status does not say that it is gone, {self._pace.gone:g}s after the stop")
            await asyncio.sleep(self._pace.poll)

    async def _is_gone(self, launch: HttpLaunch) -> bool:
        return launch.status is not None and (await self._look(launch.status, self._pace.answer)).state == "stopped"

    async def _look(self, call: HttpStatus, limit: float) -> Look:
        try:
            answer = await self._ask(call, "GET", limit)
            state = _state(call, answer)
        except NoAnswer as problem:
            return Look("unknown", reason=str(problem))
        if state == "unknown":
            return Look(state, reason=_words(call, "GET", answer))
        return Look(state, told_in(answer))

    async def _ask(self, call: HttpCall, method: str, limit: float) -> Answer:
        headers, body = _material(call)
        try:
            return await ask(call.method or method, call.url, headers=headers, body=body, limit=limit)
        except NoAnswer as problem:
            raise NoAnswer(f"{_where(call, method)}: {problem}") from None


def _launch(run: Run, *, stop: bool = False) -> HttpLaunch:
    ways = (run.stop_with, run.launch) if stop else (run.launch, run.stop_with)
    for way in ways:
        if isinstance(way, HttpLaunch):
            return way
    raise LaunchFailed("no HTTP request has a part in it")


def _material(call: HttpCall) -> tuple[dict[str, str], bytes | None]:
    headers = dict(call.headers)
    if call.json is None:
        return headers, None if call.body is None else call.body.encode()
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return headers, msgspec.json.encode(call.json)


def _state(call: HttpStatus, answer: Answer) -> RunState:
    """By the field if one is named. Else an expected status is `running`, and another one is `stopped`.

    Not those which say nothing of the thing: of its access (401, 403, 407, 429), of its server (5xx).
    """
    if answer.status in CANNOT_TELL or answer.status >= SERVER_ERROR:
        return "running" if call.running is None and _is_expected(call, answer) else "unknown"
    if not _is_expected(call, answer):
        return "stopped" if call.running is None or answer.status in GONE else "unknown"
    if call.running is None:
        return "running"
    return "running" if _holds(call.running, answer.json()) else "stopped"


def _holds(test: JsonTest, found: Any) -> bool:
    for part in test.json.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return False
    # In Python 1 == True; in JSON they differ.
    return bool(found == test.equals) and isinstance(found, bool) == isinstance(test.equals, bool)


def _is_expected(call: HttpCall, answer: Answer) -> bool:
    return any(low <= answer.status <= high for low, high in call.expect)


def _expected(call: HttpCall, answer: Answer) -> Answer:
    if not _is_expected(call, answer):
        raise NoAnswer(_words(call, "POST", answer), answer.status)
    return answer


def _words(call: HttpCall, method: str, answer: Answer) -> str:
    reason = said(answer)
    words = f"{_where(call, method)} answered {answer.status}" + (f": {reason}" if reason else "")
    return without(words, _secrets(call))


def _where(call: HttpCall, method: str) -> str:
    """Without path and query: a webhook's address is its secret."""
    parts = urlsplit(call.url)
    return f"{call.method or method} {parts.scheme}://{parts.netloc}"


def _secrets(call: HttpCall) -> list[str]:
    parts = urlsplit(call.url)
    long = [part for part in parts.path.split("/") if len(part) >= LONG_SEGMENT]
    words = [word for value in call.headers.values() for word in (value, *value.split())]
    return [*words, call.body or "", parts.query, *(value for _name, value in parse_qsl(parts.query)), *long]


def told_in(answer: Answer) -> Told:
    """HESTIA_BASE_URL and HESTIA_HEALTH_URL, wherever they stand in a JSON answer; another answer tells nothing."""
    try:
        found = answer.json()
    except NoAnswer:
        return Told()
    return hear_all(f"{name}={url}" for name, url in _texts(found))


def _texts(found: Any) -> list[tuple[str, str]]:
    waiting, texts = [found], []
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            texts += [(name, text) for name, text in one.items() if isinstance(text, str)]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return texts


def _merged(told: Told, kept: Told) -> Told:
    return Told(base_url=told.base_url or kept.base_url, health_url=told.health_url or kept.health_url)
