"""What an earlier gateway launched: adopted where it still runs and is still wanted, ended where it is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hestia.keeper.runs import as_its_stopper_sees_it, digest
from hestia.keeper.works import watch_end
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.notes import Note
from hestia.words.states import Adopt, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hestia.core.life import Life
    from hestia.keeper.keeper import Keeper
    from hestia.words.run import Run


async def adopt(keeper: Keeper, runs: Iterable[Run]) -> None:
    """Before the first request, machines first. One that cannot be asked now is asked again later: nothing is done."""
    runs = list(runs)
    await adopt_all(keeper, [run for run in runs if run.of == "machine"])
    await adopt_all(keeper, [run for run in runs if run.of != "machine"])


async def adopt_all(keeper: Keeper, runs: Iterable[Run]) -> None:
    """All at once: a start must not wait for one slow engine after the other, nor for one end after the other."""
    async with asyncio.TaskGroup() as tasks:
        for run in runs:
            tasks.create_task(_settle_fenced(keeper, run))
    keeper.fleet.settle()


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
    try:
        await keeper.outside.launcher_for(stopped.launch).stop(stopped)
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
