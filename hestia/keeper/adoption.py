"""What an earlier gateway launched: adopted where it still runs and is still wanted, ended where it is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hestia.keeper.runs import as_its_stopper_sees_it, bare_run, digest
from hestia.keeper.works import watch_end
from hestia.ports import LaunchFailed, Pausing
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.notes import Note
from hestia.words.states import Adopt, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hestia.core.life import Life
    from hestia.keeper.keeper import Keeper
    from hestia.words.run import Run

ENGINE_ASKED_S = 2.0


async def adopt(keeper: Keeper, runs: Iterable[Run]) -> None:
    """Before the first request, machines first. One that cannot be asked now is asked again later: nothing is done."""
    runs = list(runs)
    await adopt_all(keeper, [run for run in runs if run.of == "machine"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(adopt_all(keeper, [run for run in runs if run.of != "machine"]))
        for life in keeper.fleet.places():
            tasks.create_task(_see_whether_it_dozes(keeper, life))
    _obey_holds(keeper, set(keeper.fleet.services))
    for machine in keeper.fleet.machines.values():
        if machine.held_until is not None and machine.held_until > keeper.outside.wall():
            machine.hold(machine.held_until)
    keeper.fleet.settle()


async def adopt_all(keeper: Keeper, runs: list[Run]) -> None:
    """All at once: a start must not wait for one slow engine after the other, nor for one end after the other."""
    async with asyncio.TaskGroup() as tasks:
        for run in runs:
            tasks.create_task(_settle_fenced(keeper, run))
    _obey_holds(keeper, {run.owner for run in runs if run.of == "service"})
    keeper.fleet.settle()


def _obey_holds(keeper: Keeper, ids: set[str]) -> None:
    """What was still being stopped for its hold when that gateway was killed."""
    keeper.fleet.settle()  # who depends on whom is known from here on
    for service in keeper.fleet:
        awake = any(life.phase is not Phase.COLD or life.dozes for life in service.lives)
        if awake and service.id in ids and keeper.fleet.held(service) is not None:
            service.stop("hold")


async def _settle_fenced(keeper: Keeper, run: Run) -> None:
    try:
        await settle(keeper, run)
    except Exception as problem:  # noqa: BLE001 - one that is not understood keeps no gateway from starting
        keeper.outside.failed(problem)
        keeper.ask_later(run)


async def settle(keeper: Keeper, run: Run) -> None:
    """Decide what becomes of one run that was written down."""
    if run.launch is None:
        await keeper.outside.records.forget(run.id)
        return
    state = await keeper.outside.launcher_for(run.launch).state(run)
    keeper.outside.step("adoption.looked")
    life = _place_of(keeper, run)
    if state == "unknown":
        keeper.ask_later(run)
    elif state == "stopped":
        await _end(keeper, run, "")  # its leader is gone; what is left of it must not outlive it
    elif life is None:
        await _end(keeper, run, "it is no longer in the configuration")
    elif digest(life) != run.spec:
        await _end(keeper, run, "its configuration has changed")
    elif life.phase is Phase.COLD:
        _take(keeper, life, run)
    elif isinstance(run.launch, ProcessLaunch):
        await _end(keeper, run, "another one was started meanwhile")
    else:  # a container, a unit, a machine: what was started meanwhile is the same thing
        await keeper.outside.records.forget(run.id)


async def _see_whether_it_dozes(keeper: Keeper, life: Life) -> None:
    """What an earlier gateway paused is written down nowhere, but takes room: its engine tells."""
    launch = life.spec.stop_with or life.spec.launch
    machine = keeper.fleet.machines[life.machine]
    if launch is None or machine.life.phase is Phase.COLD:  # of one that sleeps nobody could end it
        return
    try:
        launcher: object = keeper.outside.launcher_for(launch)
        run = as_its_stopper_sees_it(bare_run(life, keeper.outside))
        if isinstance(launcher, Pausing) and launcher.pauses(run):
            async with asyncio.timeout(ENGINE_ASKED_S):
                paused = await launcher.paused(run)
            if paused and life.phase is Phase.COLD:
                life.dozes = life.room = True
    except TimeoutError:
        return  # its machine sleeps, and so will this
    except Exception as problem:  # noqa: BLE001 - as above
        keeper.outside.failed(problem)


def _place_of(keeper: Keeper, run: Run) -> Life | None:
    if run.of == "machine":
        machine = keeper.fleet.machines.get(run.owner)
        return machine.life if machine is not None and not machine.always else None
    service = keeper.fleet.services.get(run.owner)
    if service is None or run.number >= len(service.lives):
        return None
    return service.lives[run.number]


def _take(keeper: Keeper, life: Life, run: Run) -> None:
    owner = life.owner
    if run.of == "service":
        keeper.fleet.machines[life.machine].uses(life)
        owner.begun_before(run.request_id)
    keeper.fleet.apply(life, Adopt(run))
    keeper.set_way(life)
    watch_end(keeper, life, run)
    keeper.outside.step("adoption.taken")
    note = Note(
        kind="place.adopted",
        service=run.owner if run.of == "service" else None,
        machine=run.machine,
        place=run.number,
        cause="adoption",
    )
    keeper.outside.tell(note)


async def _end(keeper: Keeper, run: Run, why: str) -> None:
    """Nobody wants it any more. What cannot be ended stays written down, and is tried again."""
    stopped = as_its_stopper_sees_it(run)
    assert stopped.launch is not None  # noqa: S101 - looked at above
    reason = why
    launcher: Any = keeper.outside.launcher_for(stopped.launch)
    for_good = isinstance(launcher, Pausing) and why  # else it has ended, or was paused and is still wanted
    try:
        await (launcher.end(stopped) if for_good else launcher.stop(stopped))
    except LaunchFailed as problem:
        reason = f"{why}; it could not be stopped: {problem}"
        keeper.ask_later(run)
    else:
        keeper.outside.step("adoption.ended")
        await keeper.outside.records.forget(run.id)
    if why:
        service = run.owner if run.of == "service" else None
        note = Note(
            kind="place.left_over", service=service, machine=run.machine, place=run.number, more={"reason": reason}
        )
        keeper.outside.tell(note)
