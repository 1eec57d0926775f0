"""What an operator can have done: start, stop, hold, restart; wake and sleep for machines."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from hestia.core.status import machine_status, service_status
from hestia.words.notes import Note
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.core.machine import Machine
    from hestia.core.service import Service
    from hestia.keeper.keeper import Keeper
    from hestia.ports import HasLogs
    from hestia.words.notes import Cause
    from hestia.words.run import Run
    from hestia.words.status import MachineStatus, ServiceStatus


class Commands:
    """The use-cases of the life, for the API and the control socket. All raise Refusal."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._fleet = keeper.fleet

    # --- services

    def logs(self, id_: str) -> tuple[HasLogs, Run] | None:
        """Whom to ask for the output of what it launched, and about which run."""
        return self._keeper.logs(self._keeper.service(id_))

    def status(self, id_: str) -> ServiceStatus:
        return self._status(self._keeper.service(id_))

    def statuses(self) -> tuple[ServiceStatus, ...]:
        return tuple(self._status(service) for service in self._fleet)

    async def look(self, ids: list[str] | None = None) -> None:
        """A status looks once at what is only watched."""
        services = list(self._fleet) if ids is None else [self._keeper.service(id_) for id_ in ids]
        await self._keeper.looks.at(services)

    async def start(self, id_: str, *, cause: Cause = "command", wait: float | None = None) -> ServiceStatus:
        """Ends a hold and a cool-down. With `wait`: until it is ready, or so many seconds."""
        service = self._keeper.service(id_)
        await self._lift(service)
        service = self._keeper.service(id_)  # a reload may have taken it away meanwhile
        service.kept_cold = False
        service.cool_down_over()
        refusal = service.refusal()
        if refusal is not None and refusal.code != "cold":
            raise refusal
        service.begin(cause)
        self._fleet.settle()
        if wait is not None:
            await self._until_hot(service, wait)
        return self._status(service)

    async def _lift(self, service: Service) -> None:
        """Its own hold ends. One on everything goes on for all the others."""
        until, changed = self._fleet.held_all_until, dict[str, float | None]()
        if until is not None:
            self._fleet.held_all_until = None
            for other in self._fleet:
                if other is not service:
                    other.held_until = max(until, other.held_until or 0.0)
                    changed[f"service/{other.id}"] = other.held_until
            changed["all"] = None
        if service.held_until is not None:
            service.held_until = None
            changed[f"service/{service.id}"] = None
        if changed:  # one that leaves in the midst of it must not leave behind holds that are half ended
            await asyncio.shield(self._keeper.fence.spawn(self._write_down(changed)))

    async def _write_down(self, changed: dict[str, float | None]) -> None:
        for what, until in changed.items():
            await self._keeper.outside.records.hold(what, until)

    async def _until_hot(self, service: Service, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while service.state != "hot":
                    if service.state == "failed":
                        raise Refusal("start_failed", f"{service.id} did not start: {service.last_error}")
                    if service.state == "cold":
                        raise Refusal("stopped", f"{service.id}: the start was called off")
                    await self._keeper.change()
        except TimeoutError:
            raise Refusal("wait_timeout", f"{service.id} is not ready after {seconds:g} s; its start goes on") from None

    async def stop(self, id_: str, *, hold: float | None = None, wait: bool = False) -> ServiceStatus:
        """`hold`: for so many seconds, `inf` for ever, it stays cold."""
        service = self._keeper.service(id_)
        if hold is not None:
            service.held_until = self._until(hold)
            self._say("service.held", service=id_, until=service.held_until)
        service.stop("command" if hold is None else "hold")
        self._fleet.settle()
        if hold is not None:
            await self._keeper.outside.records.hold(f"service/{id_}", service.held_until)
        if wait:
            await self._until_cold(service)
        return self._status(service)

    async def _until_cold(self, service: Service) -> None:
        while service.state == "stopping":
            await self._keeper.change()

    async def stop_all(self, hold: float | None = None) -> tuple[ServiceStatus, ...]:
        if hold is not None:
            self._fleet.held_all_until = self._until(hold)
            self._say("service.held", until=self._fleet.held_all_until)
        for service in self._fleet:
            service.stop("command" if hold is None else "hold")
        self._fleet.settle()
        if hold is not None:
            await self._keeper.outside.records.hold("all", self._fleet.held_all_until)
        return self.statuses()

    async def restart(self, id_: str) -> ServiceStatus:
        """Stopped, then started; who comes meanwhile waits."""
        service = self._keeper.service(id_)
        await self._lift(service)
        service.cool_down_over()
        service.end_policy.make_way("command")
        return await self.start(id_)

    # --- machines

    def machines(self) -> tuple[MachineStatus, ...]:
        return tuple(self._machine_status(machine) for machine in self._fleet.machines.values())

    async def wake(self, id_: str) -> MachineStatus:
        """Ends its hold. A machine that is always awake stays so."""
        machine = self._machine(id_)
        if machine.held_until is not None:
            machine.held_until = None
            await self._keeper.outside.records.hold(f"machine/{id_}", None)
            machine = self._machine(id_)  # a reload may have taken it away meanwhile
        machine.wake("command")
        self._fleet.settle()
        return self._machine_status(machine)

    async def sleep(self, id_: str) -> MachineStatus:
        machine = self._machine(id_)
        if machine.always or not machine.life.settings.stops:
            raise Refusal("bad_request", f"nothing can put the machine {id_} to sleep")
        machine.sleep("command")
        self._fleet.settle()
        return self._machine_status(machine)

    async def hold_machine(self, id_: str, seconds: float = inf) -> MachineStatus:
        """Nothing starts on it for so long; what runs there is stopped."""
        machine = self._machine(id_)
        until = machine.held_until = self._until(seconds)
        self._say("machine.held", machine=id_, until=until)
        machine.hold(until)
        self._fleet.settle()
        await self._keeper.outside.records.hold(f"machine/{id_}", until)
        return self._machine_status(machine)

    # ---

    def _machine(self, id_: str) -> Machine:
        machine = self._fleet.machines.get(id_)
        if machine is None:
            raise Refusal("not_found", f"no machine is called {id_[:64]!a}")
        return machine

    def _until(self, seconds: float) -> float:
        return inf if seconds == inf else self._keeper.outside.wall() + seconds

    def _say(self, kind: str, *, service: str | None = None, machine: str | None = None, until: float) -> None:
        more = {"until": "forever" if until == inf else until}
        self._keeper.outside.tell(Note(kind=kind, service=service, machine=machine, cause="command", more=more))

    def _status(self, service: Service) -> ServiceStatus:
        outside = self._keeper.outside
        return service_status(service, outside.clock(), outside.wall())

    def _machine_status(self, machine: Machine) -> MachineStatus:
        return machine_status(machine)
