"""What is done in each phase of a life. A work tells what came of it, and is cancelled when its phase is over."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from hestia.keeper.runs import as_its_stopper_sees_it, bare_run, base_url_of, check_of, must_be_known, new_run, not_told
from hestia.ports import HasHealth, HasOwner, LaunchFailed, Named, Noticing, Pausing, Seen, Telling, Watchable
from hestia.words.run import Told
from hestia.words.states import (
    Exited,
    Failed,
    Found,
    Launched,
    NotFound,
    NotReady,
    Phase,
    Ready,
    StopFailed,
    Stopped,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hestia.core.life import Life
    from hestia.keeper.keeper import Keeper
    from hestia.words.run import Run

    Tell = Callable[[Any], None]

MACHINE_WATCHED_EVERY = 10.0
TOLD_BEFORE_THE_END = 0.1
UNWANTED_ASKED_AGAIN = 2.0
NOT_TOLD_YET = "it has no `base_url` and no `{port}`, and no HESTIA_BASE_URL=<url> came in its output yet"


async def check(keeper: Keeper, life: Life, tell: Tell) -> None:
    """Does it answer already? Then it is used as it is; it is ours only if its launcher knows it."""
    launcher = _launcher(keeper, life)
    named = isinstance(launcher, Named)
    if named and await launcher.state(bare_run(life, keeper.outside)) == "stopped":
        tell(NotFound("its launcher says that it is stopped"))  # a paused container would still take connections
        return
    seen = await _see(keeper, life)
    if seen.reason is not None:
        tell(NotFound(seen.reason))
        return
    tell(Found(await _as_ours(keeper, life)))


async def _as_ours(keeper: Keeper, life: Life) -> Run | None:
    """It is ready. Written down and watched, if its launcher can find it by name; else it is somebody else's."""
    run = await _known(keeper, life) if life.spec.launch is not None else None
    if run is not None:
        life.run = run
        await keeper.outside.records.record(run)
        watch_end(keeper, life, run)
    keeper.set_way(life)
    return run


async def _known(keeper: Keeper, life: Life) -> Run | None:
    """What an earlier gateway wrote down is ours, also while its engine cannot be asked."""
    run = keeper.unasked_of(life)
    if run is not None:
        return run
    run = bare_run(life, keeper.outside)
    return run if await _launcher(keeper, life).state(run) == "running" else None


async def notice(keeper: Keeper, life: Life) -> None:
    """While it is cold somebody else may start it: then it is found, and falls asleep like any other."""
    launcher = _launcher(keeper, life)
    run = bare_run(life, keeper.outside)
    while isinstance(launcher, Noticing):
        await launcher.came(run)
        wanted = keeper.fleet.welcomes(life)
        if wanted and (await _see(keeper, life)).reason is None:
            keeper.fleet.tell(life, Found(await _as_ours(keeper, life)))
            return
        await asyncio.sleep(life.owner.spec.health_interval if wanted else UNWANTED_ASKED_AGAIN)


async def launch(keeper: Keeper, life: Life, tell: Tell) -> None:
    """Written down first; then started, and everything that its start tells is written down too."""
    try:
        run = life.run = keeper.unasked_of(life) or new_run(life, keeper.outside, keeper.ports_in_use())
        assert run.launch is not None  # noqa: S101 - a place without a launcher never gets here
        launcher: Any = keeper.outside.launcher_for(run.launch)
        keeper.outside.step("start.chosen")
        await keeper.outside.records.record(run)
        keeper.outside.step("start.written")
        told = await launcher.start(run, _recorder(keeper, life))
        keeper.outside.step("start.launched")
        await _keep_told(keeper, life, told)
        if not isinstance(launcher, Telling):
            must_be_known(life)
    except LaunchFailed as problem:
        tell(Failed(str(problem)))
        return
    watch_end(keeper, life, life.run)
    keeper.set_way(life)
    tell(Launched())


def _recorder(keeper: Keeper, life: Life) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def record(handle: dict[str, Any]) -> None:
        if life.run is not None:
            keeper.outside.step("start.spawned")
            life.run = replace(life.run, handle=handle)
            await keeper.outside.records.record(life.run)
            keeper.outside.step("start.recorded")

    return record


async def _keep_told(keeper: Keeper, life: Life, told: Told) -> None:
    """What a start told holds for this life, and for the one who adopts it."""
    run = life.run
    if run is None:
        return
    base_url, health_url = told.base_url or run.told.base_url, told.health_url or run.told.health_url
    all_told = Told(base_url=base_url, health_url=health_url, misheard=told.misheard or run.told.misheard)
    if all_told != run.told:
        life.run = replace(run, told=all_told)
        await keeper.outside.records.record(life.run)


async def probe(keeper: Keeper, life: Life, tell: Tell) -> None:
    """Asked again and again until it is ready, or its time is over."""
    pause = getattr(life.owner.spec, "health_interval", 1.0)
    while True:
        await _listen_to(keeper, life)
        seen = await _see_in_time(keeper, life)
        if seen.reason is None:
            stranger = await _stranger(keeper, life)
            if stranger is not None:
                tell(Failed(stranger))
                return
            keeper.set_way(life)
            keeper.outside.step("start.ready")
            tell(Ready())
            return
        tell(NotReady(seen.reason, seen.at_once))
        await asyncio.sleep(pause)


async def _see_in_time(keeper: Keeper, life: Life) -> Seen:
    """A check that hangs to the end of the start is told as such, not as what was seen before."""
    limit = inf if life.due is None else life.due - keeper.outside.clock()
    limit -= min(TOLD_BEFORE_THE_END, life.settings.start_timeout / 10)
    try:
        async with asyncio.timeout(limit if 0 < limit < inf else None):
            return await _see(keeper, life, started=True)
    except TimeoutError:
        return Seen(f"no answer within {limit:.1f}s", at_once=False)


async def _listen_to(keeper: Keeper, life: Life) -> None:
    """What was launched may tell its address at any time."""
    launcher = _launcher(keeper, life)
    if life.run is not None and isinstance(launcher, Telling):
        await _keep_told(keeper, life, launcher.told(life.run))


async def _see(keeper: Keeper, life: Life, *, started: bool = False) -> Seen:
    """Its check, and what `ready_rule` says beside it."""
    seen = await _check(keeper, life, started=started)
    said = await keeper.uses.not_ready(life) if seen.reason is None else None
    return seen if said is None else Seen(said)


async def _check(keeper: Keeper, life: Life, *, started: bool) -> Seen:
    """Its own check; without one the engine's; else whether it answers at all."""
    launcher = _launcher(keeper, life)
    asked = check_of(life, keeper.outside)
    if asked is not None and asked.statuses is not None:
        return await keeper.outside.probe(asked)
    if life.run is not None and isinstance(launcher, HasHealth):
        reason = await launcher.health(life.run)
        if reason != "":
            return Seen(reason)
    if life.settings.machine:
        return await _machine_state(keeper, life, launcher, started=started)
    return await keeper.outside.probe(asked) if asked is not None else Seen(not_told(life) or NOT_TOLD_YET)


async def _machine_state(keeper: Keeper, life: Life, launcher: Any, *, started: bool) -> Seen:
    """Ready when its launcher says so, or where that cannot know, once its start has returned."""
    if launcher is None:
        return Seen()
    state = await launcher.state(life.run or bare_run(life, keeper.outside))
    if state == "running" or (state == "unknown" and started):
        return Seen()
    return Seen(f"its launcher says that it is {state}")


async def _stranger(keeper: Keeper, life: Life) -> str | None:
    """While a launched process starts, its own readiness counts. Whose it is takes a look at all there are."""
    launcher = _launcher(keeper, life)
    url = base_url_of(life)
    if life.run is None or url is None or not isinstance(launcher, HasOwner):
        return None
    who = await asyncio.to_thread(launcher.stranger, life.run, url)
    return f"{url} belongs to somebody else ({who}): the port is taken" if who is not None else None


async def watch(keeper: Keeper, life: Life, tell: Tell) -> None:
    """Hot ones are looked at, unless their launcher tells of their end."""
    pause = getattr(life.owner.spec, "watch_interval", MACHINE_WATCHED_EVERY)
    asked = check_of(life, keeper.outside)
    if not pause or asked is None or (life.settings.dies_by_exit and life.run is not None) or not life.settings.checked:
        return
    while True:
        await asyncio.sleep(pause)
        seen = await keeper.outside.probe(asked)
        tell(Ready() if seen.reason is None else NotReady(seen.reason, seen.at_once, seen.refused))


async def stop(keeper: Keeper, life: Life, tell: Tell) -> None:
    """Ends what was launched, and what is left of it."""
    known = life.run or (bare_run(life, keeper.outside) if life.dozes else None)
    run = as_its_stopper_sees_it(known) if known is not None else None
    dozes = False
    if run is not None and run.launch is not None and life.settings.stops:
        try:
            launcher: Any = keeper.outside.launcher_for(run.launch)
            pauses = isinstance(launcher, Pausing)
            for_good = pauses and life.stop_cause != "idle"
            dozes = pauses and not for_good and launcher.pauses(run)
            keeper.outside.step("stop.begun")
            await (launcher.end(run) if for_good else launcher.stop(run))
            keeper.outside.step("stop.done")
        except LaunchFailed as problem:
            tell(StopFailed(str(problem)))
            return
    tell(Stopped(dozes))


def watch_end(keeper: Keeper, life: Life, run: Run | None) -> None:
    """From now on its end is told, whatever phase it is in."""
    launcher = _launcher(keeper, life)
    if run is not None and isinstance(launcher, Watchable):
        keeper.watch_run(run.id, _until_gone(keeper, life, run, launcher))


async def _until_gone(keeper: Keeper, life: Life, run: Run, launcher: Watchable) -> None:
    reason = await launcher.gone(run)
    if life.run is not None and life.run.id == run.id:
        keeper.fleet.tell(life, Exited(reason))


def _launcher(keeper: Keeper, life: Life) -> Any:
    spec = life.run.launch if life.run is not None else life.spec.launch
    return keeper.outside.launcher_for(spec) if spec is not None else None


async def nothing(_keeper: Keeper, _life: Life, _tell: Tell) -> None:
    """This phase has no work of its own."""


WORKS = {
    Phase.CHECKING: check,
    Phase.LAUNCHING: launch,
    Phase.PROBING: probe,
    Phase.HOT: watch,
    Phase.STOPPING: stop,
    Phase.CLEARING: stop,
}
