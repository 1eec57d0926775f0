"""What is done to the gateway, its services and its files while the clients ask. Each says what it excuses, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from pathlib import Path

from tests.gauntlet.faults_house import House
from tests.gauntlet.faults_ledger import BROKEN, REFUSED, RIGHT, TUNNEL_CUT, UNANSWERED, Asked, Ledger, read_diaries
from tests.gauntlet.faults_services import STRATEGY, process
from tests.gauntlet.faults_traffic import Client, Traffic, bytes_of

JUMPS = (3600.0, -3600.0, 86400.0, -86400.0 * 30, 90.0, -1.5)
UPSTREAM_DIED = (BROKEN, "upstream_failed", "upstream_unreachable", TUNNEL_CUT, "sent again")
GATEWAY_DIED = (BROKEN, UNANSWERED, REFUSED, TUNNEL_CUT)
GATEWAY_CLOSED = ("stopped", "not taken", REFUSED, TUNNEL_CUT)  # but nothing that it has taken is broken off


class Acts:
    """Each method is one fault from begin to end."""

    def __init__(self, house: House, ledger: Ledger, traffic: Traffic, seed: int = 1) -> None:
        self.house, self.ledger, self.traffic = house, ledger, traffic
        self.chance = random.Random(seed)
        self.serial = 0
        self._file = asyncio.Lock()  # one writes the configuration at a time

    async def ask(self, kind: str, service: str, what: str = "bytes?10", *expects: str, target: str = "") -> Asked:
        """One request of the fault's own, whose ending it knows."""
        size = int(what.partition("?")[2])
        client = Client(self.traffic, self.chance)
        one = await client.ask(kind, service, what, expects=expects or (RIGHT,), check=bytes_of(size), target=target)
        client.drop()
        return one

    # -- to processes

    def running(self, service: str) -> int | None:
        """Its process, if one lives."""
        for pid in reversed(read_diaries(self.house.folder / "diaries").pids.get(service, [])[-2:]):
            with contextlib.suppress(OSError):
                if f" {service} ".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "):
                    return pid
        return None

    async def upstream_killed(self) -> None:
        pid = self.running("prey")
        if pid is None:
            return
        excused = self.ledger.fault("upstream killed (SIGKILL)", {"prey"}, *UPSTREAM_DIED, slack=0.3)
        with excused, contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def upstream_frozen(self) -> None:
        pid = self.running("frozen")
        if pid is None:
            return
        with self.ledger.fault("upstream stopped for a while (SIGSTOP)"), contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(self.chance.uniform(0.2, 1.5))
            finally:
                os.kill(pid, signal.SIGCONT)

    # -- to launchers

    async def launcher_hangs(self) -> None:
        """Past its `start_timeout`, each time: those who wait are told why, and later ones are served again."""
        hangs = self.house.folder / "hung.hangs"
        with self.ledger.fault("launcher hangs", {"hung"}, "start_failed", "stopped", slack=4.0):
            hangs.touch()
            async with self.house.doorway.passing():
                await self.house.verb("services.stop", id="hung", wait=True)
            asked = await self.ask("hung", "hung", "bytes?10", "start_failed")
            hangs.unlink()
        if asked.ending == RIGHT:
            self.ledger.wrong.append("a start that hangs made the service ready")

    async def launcher_hangs_once(self) -> None:
        """The next attempt does not: nobody is to notice but by the time."""
        once, starts = self.house.folder / "stuck.once", self.starts("stuck")
        once.touch()
        while once.exists() and self.traffic.gate.is_set() and self.traffic.on():
            await asyncio.sleep(0.02)
        with contextlib.suppress(FileNotFoundError):
            once.unlink()
            return  # nobody started it before all had to pause
        self.ledger.faults["launcher hangs at the first attempt"] += 1
        async with asyncio.timeout(60):
            while self.starts("stuck") == starts and self.traffic.gate.is_set():
                await asyncio.sleep(0.1)

    def starts(self, service: str) -> int:
        return read_diaries(self.house.folder / "diaries").starts[service]

    # -- by the operator

    async def stopped(self) -> None:
        async with self.house.doorway.passing():
            with self.ledger.fault("service stopped by command", {"halted"}, "stopped"):
                await self.house.verb("services.stop", id="halted", wait=self.chance.random() < 0.5)

    async def cancelled(self) -> None:
        async with self.house.doorway.passing():
            told = (await self.house.verb("inflight.list"))["result"]["inflight"]
            ids = {each["request_id"] for each in told if each["service"] == "halted"}
            for one in [one for one in self.ledger.asked[-300:] if one.id in ids][:1]:
                one.expects |= {"stopped", "status 503", BROKEN, UNANSWERED, TUNNEL_CUT}
                said = await self.house.verb("inflight.cancel", id=one.id)
                self.ledger.faults["request cancelled by command"] += "result" in said

    async def held(self) -> None:
        async with self.house.doorway.passing():
            with self.ledger.fault("service held", {"held"}, "held", "stopped"):
                await self.house.verb("services.stop", id="held", hold=True)
                await self.ask("held", "held", "bytes?10", "held")
                await asyncio.sleep(self.chance.uniform(0, 0.2))
                await self.house.verb("services.start", id="held")
            await self.written()
        await self.ask("held no more", "held")

    async def written(self) -> None:
        """A gateway that is killed before a command's effect is on disk has forgotten it: soon, or when the disk can."""
        end = asyncio.get_running_loop().time() + 10.0
        while await self.house.figure("hestia_activity_pending") > 0 and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)

    # -- to the configuration

    async def reload(self, name: str, *, good: bool = True) -> None:
        said = await self.house.verb("config.reload")
        if ("result" in said) is not good:
            self.ledger.wrong.append(f"{name}: {said}")

    async def reloaded(self) -> None:
        async with self.house.doorway.passing(), self._file:
            with self.ledger.fault("reload, nothing changed for services"):
                self.house.write()
                if self.chance.random() < 0.5:
                    self.house.process.send_signal(signal.SIGHUP)
                else:
                    await self.reload("a good reload")

    async def reloaded_badly(self) -> None:
        """A file that cannot be read, or an address that cannot be bound: it changes nothing."""
        async with self.house.doorway.passing(), self._file:
            with self.ledger.fault("reload refused"), socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen(1)
                address = f'\n"admin_listen": ["127.0.0.1:{taken.getsockname()[1]}"]}}'
                if self.chance.random() < 0.5:
                    self.house.write("\nnonsense: [")
                else:
                    self.house.write()
                    text = self.house.config.read_text()
                    self.house.config.write_text(text.rstrip().removesuffix("}") + "," + address)
                await self.reload("a bad reload", good=False)
                self.house.write()

    async def shifted(self) -> None:
        """Another command line: it is stopped when its requests are done, and started anew for the next."""
        async with self.house.doorway.passing(), self._file:
            with self.ledger.fault("reload changes a service", {"shifting"}):
                self.serial += 1
                self.house.services["shifting"] = process(self.house.folder, "shifting", str(self.serial))
                self.house.write()
                await self.reload("a reload that changes a service")

    async def removed(self) -> None:
        async with self.house.doorway.passing(), self._file:
            with self.ledger.fault("reload removes a service", {"gone"}, "unknown_service", "stopped"):
                self.house.write(gone=None)
                await self.reload("a reload that removes a service")
                await self.ask("gone", "gone", "bytes?10", "unknown_service")
                self.house.write()
                await self.reload("a reload that puts it back")
        await self.ask("put back", "gone")

    async def strategies_reloaded(self) -> None:
        """Good ones and broken ones: the last good version goes on choosing, also over a reload of the configuration."""
        async with self.house.doorway.passing():
            self.serial += 1
            text = STRATEGY.format(self.serial) if self.chance.random() < 0.5 else "def register_strategy(\n"
            with self.ledger.fault("strategies reloaded, also broken ones"):
                (self.house.folder / "strategies/chosen.py").write_text(text)
                await self.house.verb("strategies.reload")
                await self.ask("by a strategy", "plain", "bytes?10", target="/chosen/bytes?10")
                # a gateway that begins anew needs a good one
                (self.house.folder / "strategies/chosen.py").write_text(STRATEGY.format(self.serial))

    # -- to the machine

    async def disk_full(self) -> None:
        """No byte can be written: everything goes on, cold starts too; then what waits is written within 10 s."""
        house = self.house
        async with house.doorway.passing():
            with self.ledger.fault("disk is full", {""}, "internal"):  # a history that cannot be read
                house.fill_the_disk(full=True)
                try:
                    await house.until(self.store_fails, "the store notices the full disk", 20.0)
                    await asyncio.sleep(self.chance.uniform(0.2, 1.0))
                    if not await house.healthy():
                        self.ledger.wrong.append("/__health speaks of the disk")
                finally:
                    house.fill_the_disk(full=False)
                await house.until(self.store_works, "the store writes again", 12.0)

    async def store_fails(self) -> bool:
        return await self.house.figure("hestia_store_failing") == 1

    async def store_works(self) -> bool:
        return await self.house.figure("hestia_store_failing") == 0

    async def clock_jumps(self) -> None:
        with self.ledger.fault("clock jumps"):
            self.house.set_clock(self.chance.choice((*JUMPS, 0.0)))

    async def gateway_ended(self) -> None:
        """One way and the other in turn."""
        faults = self.ledger.faults
        killed = faults["gateway killed (SIGKILL)"] <= faults["gateway stopped (SIGTERM) and started"]
        await (self.gateway_killed() if killed else self.gateway_stopped())

    async def gateway_killed(self) -> None:
        """What ran goes on and is adopted; whoever had a request in it asks again."""
        async with self.house.doorway.alone():
            with self.ledger.fault("gateway killed (SIGKILL)", None, *GATEWAY_DIED):
                self.house.process.kill()
                await self.house.over(10.0)
                self._end_announced_orphans()
                await self.house.begin()

    def _end_announced_orphans(self) -> None:
        """Without its disk for a second it starts services all the same, and says that a crash would orphan them."""
        for service in sorted(self.house.unrecorded()):
            pid = self.running(service)
            if pid is not None:
                self.ledger.orphans += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def gateway_stopped(self) -> None:
        """What it has taken ends well; who waits is told; nothing is left running."""
        async with self.house.doorway.alone():
            with self.ledger.fault("gateway stopped (SIGTERM) and started", None, *GATEWAY_CLOSED):
                self.house.process.terminate()
                code = await self.house.over(45.0)
                left = self.house.left_over()
                if code != 0 or left:
                    self.ledger.wrong.append(f"stopped with {code}, left running: {left}")
                await self.house.begin()
