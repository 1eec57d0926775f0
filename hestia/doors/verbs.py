"""The use-cases: one table of what can be asked of the gateway. The control socket and the HTTP API answer from it.

A verb takes its parameters as a struct and answers with a struct, or with a Stream of further things as they happen.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, NamedTuple, Self

import msgspec
from msgspec import Struct

from hestia import __version__
from hestia.doors import verbs_answers as answers
from hestia.doors import verbs_params as params
from hestia.doors.verbs_house import House, Subscription
from hestia.doors.verbs_params import BadParams, hold_seconds, moment, seconds
from hestia.doors.verbs_routes import routes_of
from hestia.fence import Fence
from hestia.rules.marks import ConfigError
from hestia.rules.nearest import nearest
from hestia.store.reader import Wanted
from hestia.telemetry.bulletin import Missed
from hestia.words.activity import Activity, Report
from hestia.words.events import EVENTS
from hestia.words.refusal import Refusal
from hestia.words.status import MachineStatus, ServiceList, ServiceStatus


class UnknownVerb(Exception):
    """No use-case has this name."""


class Rejected(Refusal):
    """A configuration that cannot be put in force: nothing has changed."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("bad_request", "the configuration was not changed:\n" + "\n".join(mistakes))
        self.mistakes = mistakes


class Stream(NamedTuple):
    """An answer that goes on: `first` now, then each item as it comes. Whoever takes it closes `items`."""

    first: Struct
    items: AsyncIterator[Any]


class Verb(NamedTuple):
    """One use-case."""

    name: str
    params: type[Struct]
    result: type[Any]
    act: Callable[[House, Any], Awaitable[Any]]
    says: str
    finishes: bool = False
    """It goes on when whoever asked leaves."""


class Verbs:
    """The use-cases of one gateway. Reloads come one after the other, whoever asks for them."""

    def __init__(self, house: House, fence: Fence) -> None:
        self._house = house
        self._fence = fence
        self._one_reload = asyncio.Lock()

    async def call(self, name: str, given: Mapping[str, Any]) -> Struct | Stream:
        """Do it. Raises UnknownVerb, BadParams or another Refusal. Whoever is cancelled here stops waiting, no more."""
        verb = VERBS.get(name)
        if verb is None:
            raise UnknownVerb(name)
        try:
            asked = msgspec.convert(given, verb.params)
        except msgspec.ValidationError as error:
            raise BadParams(str(error)) from None
        waits = getattr(asked, "wait", False)  # what was begun goes on by itself: who only waits for it may leave
        return await (self._to_the_end(verb, asked) if verb.finishes and not waits else self._act(verb, asked))

    async def _act(self, verb: Verb, asked: Struct) -> Struct | Stream:
        done: Struct | Stream = await verb.act(self._house, asked)
        return done

    async def _to_the_end(self, verb: Verb, asked: Struct) -> Struct | Stream:
        """What would be worse half done than done goes on when its caller leaves."""
        done: asyncio.Future[Struct | Stream] = asyncio.get_running_loop().create_future()
        self._fence.spawn(self._into(done, verb, asked))
        return await done

    async def _into(self, done: asyncio.Future[Struct | Stream], verb: Verb, asked: Struct) -> None:
        try:
            async with self._one_reload if verb.name in RELOADS else contextlib.nullcontext():
                result = await self._act(verb, asked)
        except BaseException as problem:
            if done.done():  # nobody waits any more: the fence logs what is a mistake of ours
                if isinstance(problem, Refusal):
                    return
                raise
            done.set_exception(Refusal("stopped", "the gateway ends") if _is_cancel(problem) else problem)
            if _is_cancel(problem):
                raise
        else:
            if not done.done():
                done.set_result(result)


def _is_cancel(problem: BaseException) -> bool:
    return isinstance(problem, asyncio.CancelledError)


async def _hello(house: House, _: params.Nothing) -> answers.Hello:
    return answers.Hello(
        version=__version__,
        pid=os.getpid(),
        started=_stamp(house.gateway.started),
        listen=tuple(house.gateway.addresses),
        config=house.settings.source,
        methods=tuple(VERBS),
    )


async def _list(house: House, _: params.Nothing) -> ServiceList:
    await house.keeper.look([each.id for each in house.keeper.statuses()])
    return ServiceList(services=house.keeper.statuses())


async def _status(house: House, asked: params.Of) -> ServiceStatus:
    house.keeper.status(asked.id)  # an unknown one is refused before anything is probed
    await house.keeper.look([asked.id])
    return house.keeper.status(asked.id)


async def _start(house: House, asked: params.Start) -> ServiceStatus:
    if asked.timeout is not None and not asked.wait:
        raise BadParams("timeout is for a start that is waited for: add wait")
    house.keeper.status(asked.id)
    if not asked.wait:
        return await house.keeper.start(asked.id)
    config = house.settings.config.services.get(asked.id)
    longest = config.queue_timeout if config is not None and config.queue_timeout is not None else DEFAULT_WAIT_S
    wait = longest if asked.timeout is None else min(seconds(asked.timeout, "timeout"), longest)
    return await house.keeper.start(asked.id, wait=wait)


async def _stop(house: House, asked: params.Stop) -> ServiceStatus | ServiceList:
    hold = hold_seconds(asked.hold)
    if asked.all == (asked.id is not None):
        raise BadParams("name one service as id, or all: true")
    if asked.id is not None:
        return await house.keeper.stop(asked.id, hold=hold, wait=asked.wait)
    await house.keeper.stop_all(hold)
    if asked.wait:
        for each in house.keeper.statuses():  # all of them stop already: one wait after the other costs no time
            await house.keeper.stop(each.id, wait=True)
    return ServiceList(services=house.keeper.statuses())


async def _restart(house: House, asked: params.Of) -> ServiceStatus:
    return await house.keeper.restart(asked.id)


async def _logs(house: House, asked: params.Logs) -> answers.Lines | Stream:
    house.keeper.status(asked.id)
    found = house.keeper.logs(asked.id)
    if found is None:
        raise Refusal("not_found", f"{asked.id} has no log: Hestia did not launch it, or its launcher keeps no output")
    log, run = found
    last = answers.Lines(lines=tuple(await log.lines(run, asked.lines)) if asked.lines else ())
    return Stream(last, log.follow(run)) if asked.follow else last


async def _machines(house: House, _: params.Nothing) -> answers.MachineList:
    return answers.MachineList(machines=house.keeper.machines())


async def _wake(house: House, asked: params.Of) -> MachineStatus:
    return await house.keeper.wake(asked.id)


async def _sleep(house: House, asked: params.Of) -> MachineStatus:
    return await house.keeper.sleep(asked.id)


async def _hold_machine(house: House, asked: params.Hold) -> MachineStatus:
    hold = hold_seconds(asked.hold)
    if hold is None:
        raise BadParams("hold must be true or a duration; machines.wake ends a hold")
    return await house.keeper.hold_machine(asked.id, hold)


async def _inflight(house: House, _: params.Nothing) -> answers.InflightList:
    found = sorted(house.exchanges.inflight(), key=lambda each: each.since, reverse=True)
    return answers.InflightList(inflight=tuple(found))


async def _cancel(house: House, asked: params.Of) -> answers.Cancelled:
    if not house.exchanges.cancel(asked.id):
        raise Refusal("not_found", f"no request {asked.id[:64]!r} is under way: `hestiactl ps` lists those that are")
    return answers.Cancelled(request_id=asked.id)


async def _follow(house: House, asked: params.Follow) -> Stream:
    if asked.service is not None:
        house.keeper.status(asked.service)
    return Stream(answers.Following(), Following(house.events.subscribe(asked.after), asked.service))


class Following:
    """Entries as they happen, of one service or all. No generator: closing one that was never begun closes nothing."""

    def __init__(self, entries: Subscription, service: str | None) -> None:
        self._entries = entries
        self._service = service

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            entry = await self._entries.__anext__()
            if isinstance(entry, Missed):
                return {"kind": "events.missed", "missed": entry.entries}
            if self._service is None or entry.service == self._service:
                return entry

    async def aclose(self) -> None:
        self._entries.close()


async def close_stream(items: AsyncIterator[Any]) -> None:
    """Whoever took a Stream says that it is done with it."""
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


async def _activity(house: House, asked: params.Entries) -> Activity:
    if asked.kind is not None and asked.kind not in EVENTS:
        near = nearest(asked.kind, EVENTS)
        raise BadParams(f"nothing is of the kind {asked.kind[:64]!a}" + (f"; did you mean {near}?" if near else ""))
    now = time.time()
    wanted = Wanted(
        service=asked.service,
        kind=asked.kind,
        since=moment(asked.since, "since", now),
        until=moment(asked.until, "until", now),
        limit=asked.limit,
        cursor=asked.cursor,
    )
    return await house.archive.activity(wanted)


async def _report(house: House, asked: params.Between) -> Report:
    now = time.time()
    return await house.archive.report(moment(asked.since, "since", now), moment(asked.until, "until", now))


async def _metrics(house: House, asked: params.About) -> Any:
    if asked.service is not None:
        house.keeper.status(asked.service)
    return house.figures.metrics(asked.service)


async def _config_show(house: House, _: params.Nothing) -> answers.Shown:
    settings = house.settings
    return answers.Shown(
        file=settings.source, settings=tuple(settings.effective()), routes=tuple(routes_of(settings.config))
    )


async def _config_check(house: House, _: params.Nothing) -> answers.Checked:
    return await house.settings.check()


async def _reload(house: House, _: params.Nothing) -> answers.Reloaded:
    try:
        return await house.settings.reload()
    except ConfigError as error:
        raise Rejected(tuple(map(str, error.mistakes))) from error


async def _strategies(house: House, _: params.Nothing) -> answers.StrategyList:
    return answers.StrategyList(strategies=house.strategies.infos())


async def _strategies_again(house: House, _: params.Nothing) -> answers.StrategiesReloaded:
    told = await house.strategies.reload()
    return answers.StrategiesReloaded(
        loaded=told.loaded, removed=told.removed, problems=told.problems, strategies=house.strategies.infos()
    )


async def _keys_create(house: House, asked: params.NewKey) -> answers.KeyCreated:
    if not asked.name.isprintable():
        raise BadParams("name must be a text of visible characters")
    known = house.settings.config.services
    if not asked.services:
        raise BadParams('services names no service; "*" stands for all of them and the API')
    for id_ in asked.services:
        if id_ != "*" and id_ not in known:
            near = get_close_matches(id_[:64], known, n=1, cutoff=0.0)
            hint = f"; the nearest known id is {near[0]!r}" if near else ""
            raise Refusal("unknown_service", f"no service is called {id_[:64]!r}{hint}")
    return await house.keys.create(asked.name, asked.services)


async def _keys_list(house: House, _: params.Nothing) -> answers.KeyList:
    return answers.KeyList(keys=tuple(await house.keys.known()))


async def _keys_revoke(house: House, asked: params.Named) -> answers.KeyRevoked:
    if not await house.keys.revoke(asked.name):
        raise Refusal("not_found", f"no key in the database is called {asked.name[:64]!r}")
    return answers.KeyRevoked(name=asked.name)


async def _log_level(house: House, asked: params.LogLevel) -> answers.Level:
    if asked.level is not None:
        house.gateway.set_log_level(asked.level)
    return answers.Level(level=house.gateway.log_level)


async def _backup(house: House, asked: params.File) -> answers.Backup:
    if "\0" in asked.path or not PurePath(asked.path).is_absolute():
        raise BadParams("path must be absolute: the gateway has another working directory than you")
    return answers.Backup(path=asked.path, bytes=await house.archive.backup(asked.path))


async def _drain(house: House, _: params.Nothing) -> answers.Ending:
    return answers.Ending(leases=house.gateway.drain())


async def _shutdown(house: House, _: params.Nothing) -> answers.Ending:
    return answers.Ending(leases=house.gateway.shutdown())


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


DEFAULT_WAIT_S = 120.0
END = True  # it goes on to its end when whoever asked leaves
RELOADS = frozenset({"config.reload", "strategies.reload"})
_TABLE = (
    Verb("hello", params.Nothing, answers.Hello, _hello, "Who answers here, and what it can be asked."),
    Verb("services.list", params.Nothing, ServiceList, _list, "Every service as it is now."),
    Verb("services.status", params.Of, ServiceStatus, _status, "One service as it is now."),
    Verb("services.start", params.Start, ServiceStatus, _start, "Start a service; end its hold and cool-down.", END),
    Verb("services.stop", params.Stop, ServiceStatus, _stop, "Stop a service, or all; hold it cold.", END),
    Verb("services.restart", params.Of, ServiceStatus, _restart, "Stop a service and start it again.", END),
    Verb("services.logs", params.Logs, answers.Lines, _logs, "The last lines of what a service launched."),
    Verb("machines.list", params.Nothing, answers.MachineList, _machines, "Every machine as it is now."),
    Verb("machines.wake", params.Of, MachineStatus, _wake, "Wake a machine; end its hold.", END),
    Verb("machines.sleep", params.Of, MachineStatus, _sleep, "Put a machine to sleep.", END),
    Verb("machines.hold", params.Hold, MachineStatus, _hold_machine, "Keep a machine asleep.", END),
    Verb("inflight.list", params.Nothing, answers.InflightList, _inflight, "Requests that are relayed or wait."),
    Verb("inflight.cancel", params.Of, answers.Cancelled, _cancel, "Break one request off."),
    Verb("events.follow", params.Follow, answers.Following, _follow, "Changes as they happen."),
    Verb("activity.list", params.Entries, Activity, _activity, "What happened, newest first."),
    Verb("report", params.Between, Report, _report, "Hours hot and asleep, cost and saving."),
    Verb("metrics", params.About, Any, _metrics, "Counters and latencies."),
    Verb("config.show", params.Nothing, answers.Shown, _config_show, "The settings in force and their sources."),
    Verb("config.check", params.Nothing, answers.Checked, _config_check, "Say the mistakes of the file on disk."),
    Verb("config.reload", params.Nothing, answers.Reloaded, _reload, "Put the file on disk in force.", END),
    Verb("strategies.list", params.Nothing, answers.StrategyList, _strategies, "Every strategy and who uses it."),
    Verb(
        "strategies.reload", params.Nothing, answers.StrategiesReloaded, _strategies_again, "Read the files anew.", END
    ),
    Verb("keys.create", params.NewKey, answers.KeyCreated, _keys_create, "Make a key, shown this once.", END),
    Verb("keys.list", params.Nothing, answers.KeyList, _keys_list, "The names of the keys."),
    Verb("keys.revoke", params.Named, answers.KeyRevoked, _keys_revoke, "Take a key away.", END),
    Verb("log.level", params.LogLevel, answers.Level, _log_level, "The least level that is logged."),
    Verb("backup", params.File, answers.Backup, _backup, "Copy the database.", END),
    Verb("gateway.drain", params.Nothing, answers.Ending, _drain, "Refuse new requests, finish the rest, exit."),
    Verb("gateway.shutdown", params.Nothing, answers.Ending, _shutdown, "End the gateway."),
)
VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _TABLE}
