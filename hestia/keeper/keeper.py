"""The keeper: performs the effects of the core, tells it what came of them, and wakes it when somebody is due.

It decides nothing. At each moment a life has one task at most, that of its phase; entering another phase ends it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any

from hestia.core.fleet import Fleet, World
from hestia.fence import Fence
from hestia.keeper.adoption import adopt_all
from hestia.keeper.looks import Looks
from hestia.keeper.runs import bare_run, base_url_of, busy_url, digest, kind_of
from hestia.keeper.uses import Uses
from hestia.keeper.works import WORKS, notice
from hestia.ports import HasLogs, Noticing, Watchable
from hestia.rules.fill import fill
from hestia.rules.hours import inside, time_zone
from hestia.rules.nearest import nearest
from hestia.words.refusal import Refusal
from hestia.words.states import (
    AskIdle,
    Enter,
    Failed,
    Forget,
    Grant,
    Hangup,
    NotFound,
    Phase,
    Refuse,
    Say,
    StopFailed,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from hestia.core.changes import Changes
    from hestia.core.life import Life
    from hestia.core.service import Service
    from hestia.keeper.outside import Outside
    from hestia.words.launch_spec import Launch
    from hestia.words.run import Run
    from hestia.words.spec import Config

LONGEST_SLEEP = 3600.0
TICK = 2.0
"""The calendar is asked so often: `keep_warm` begins within 10 s, also after the machine itself has slept."""
ASKED_AGAIN = 10.0
BUSY_SHOWN = 65536
MISTAKE = "Hestia made a mistake; its log has the trace"
MISTAKES = {
    Phase.CHECKING: NotFound(MISTAKE),
    Phase.LAUNCHING: Failed(MISTAKE),
    Phase.PROBING: Failed(MISTAKE),
    Phase.STOPPING: StopFailed(MISTAKE),
    Phase.CLEARING: StopFailed(MISTAKE),
}
"""What a life is told of a work that failed by a mistake of ours."""


class Keeper:
    """Owns the fleet and its tasks. `open` begins to keep time, `close` ends every task."""

    def __init__(self, config: Config, outside: Outside, *, jitter: Any = float, uses: Uses | None = None) -> None:
        self.outside = outside
        self.config = config
        self.uses = uses or Uses()
        self.fence = Fence(outside.failed)
        self.fleet = Fleet(
            config,
            World(
                clock=outside.clock,
                wall=outside.wall,
                perform=self._perform,
                jitter=jitter,
                watched_by_launcher=self._watched_by_launcher,
                placement=self.uses.placement,
                balance=self.uses.balance,
            ),
        )
        self._todo: deque[Any] = deque()
        self._performing = False
        self._works: dict[Life, asyncio.Task[None]] = {}
        self._notices: dict[Life, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._ways: dict[Life, str] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._changed: asyncio.Event | None = None
        self._zone = time_zone(config.timezone)
        self.looks = Looks(self)
        self._forgetting: set[asyncio.Task[None]] = set()
        self._unasked: list[Run] = []  # written down by an earlier gateway; their engine could not be asked yet

    def open(self) -> None:
        """Begin to keep time, and to hear of ends."""
        for life in self.fleet.places():
            self._notice(life)
        self._set_timer()

    def follow_the_calendar(self) -> None:
        """After the adoption: else what is kept warm would be started beside the one that still runs."""
        self.fence.spawn(self._tick())

    async def stop_all_for_good(self) -> None:
        """Ends what was launched, but for what shall go on (`keep_running`). Returns when all of it is gone."""
        self.fleet.closing = True
        for service in self.fleet:
            if not any(_goes_on(life) for life in service.lives):
                service.stop("shutdown", drain=0.0)
        self.fleet.settle()
        while any(life.phase not in _AT_REST for life in self.fleet.places() if not _goes_on(life)):
            await self.change()
        for machine in self.fleet.machines.values():
            if not machine.users:
                machine.sleep("shutdown")
        self.fleet.settle()
        while any(machine.life.phase is Phase.STOPPING for machine in self.fleet.machines.values()):
            await self.change()
        while self._forgetting:  # else the next gateway would look for what is gone
            await asyncio.wait(self._forgetting)

    async def close(self) -> None:
        """End every task. What was launched is left as it is."""
        if self._timer is not None:
            self._timer.cancel()
        await self.fence.close()

    # --- effects

    def _perform(self, effects: list[Any]) -> None:
        """In their order, also when performing one brings about the next."""
        self._todo.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while self._todo:
                self._perform_fenced(self._todo.popleft())
        finally:
            self._performing = False
        if self._changed is not None:
            self._changed.set()
        self._set_timer()

    def _perform_fenced(self, effect: Any) -> None:
        """A mistake in one is not the others': somebody waits for each of them."""
        try:
            self._perform_one(effect)
        except Exception as problem:  # noqa: BLE001 - the door between the core and all that is outside
            self.outside.failed(problem)

    def _perform_one(self, effect: Any) -> None:
        match effect:
            case Enter(life, epoch):
                if life.epoch == epoch:
                    self._enter(life, epoch)
            case Grant(waiter, life):
                waited = self.outside.clock() - waiter.since if waiter.started else None
                waiter.asker.granted(life, waited)
            case Refuse(waiter, refusal):
                waiter.asker.refused(refusal)
            case Say(note):
                self.outside.tell(note)
            case Hangup(life, break_off):
                self.outside.hang_up(life, break_off)
            case Forget(run):
                self._forget(run)
            case AskIdle(owner, life, cause):
                self.fence.spawn(self._ask_idle(owner, life, cause))

    def _enter(self, life: Life, epoch: int) -> None:
        """The work of the phase before ends; that of this one begins when it has ended."""
        before = self._works.pop(life, None)
        if before is not None and before is not _current():
            before.cancel()
        work = WORKS.get(life.phase)
        if work is not None:
            self._works[life] = self.fence.spawn(self._work(life, epoch, work, before))
        if life.phase is Phase.HOT:
            self.set_way(life)  # one that has neither launcher nor check was never asked where it is
        self._notice(life)

    def _notice(self, life: Life) -> None:
        """A cold place whose launcher can tell is listened for: somebody else may start it."""
        before = self._notices.pop(life, None)
        if before is not None and before is not _current():
            before.cancel()
        if _cold(life) and not life.settings.machine and life.spec.launch is not None and not self.fleet.closing:
            launcher: Any = self.outside.launcher_for(life.spec.launch)
            if isinstance(launcher, Noticing):
                self._notices[life] = self.fence.spawn(notice(self, life))

    async def _work(self, life: Life, epoch: int, work: Any, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait({before})

        def tell(event: Any) -> None:
            if life.epoch == epoch:
                self.fleet.tell(life, event)

        try:
            await work(self, life, tell)
        except Exception as problem:  # noqa: BLE001 - a mistake of ours; whoever waits for this life must not wait for ever
            self.outside.failed(problem)
            came_of_it = MISTAKES.get(life.phase)
            if came_of_it is not None:
                tell(came_of_it)

    # --- what an earlier gateway launched and nobody could be asked about

    def ask_later(self, run: Run) -> None:
        """Nothing is known of it; it is asked again."""
        self._unasked.append(run)

    def unasked_of(self, life: Life) -> Run | None:
        """What was written down of this very place and could not be asked about. Taken: it is the life's now."""
        for run in self._unasked:
            same = (run.of, run.owner, run.number) == (kind_of(life), life.owner.id, life.number)
            if same and run.spec == digest(life):
                self._unasked.remove(run)
                return run
        return None

    async def ask_again(self) -> None:
        runs, self._unasked = self._unasked, []
        await adopt_all(self, runs)

    def watch_run(self, run_id: str, work: Coroutine[Any, Any, None]) -> None:
        before = self._ends.pop(run_id, None)
        if before is not None:
            before.cancel()
        self._ends[run_id] = self.fence.spawn(work)

    def _forget(self, run: Run) -> None:
        end = self._ends.pop(run.id, None)
        if end is not None and end is not _current():
            end.cancel()
        task = self.fence.spawn(self.outside.records.forget(run.id))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _ask_idle(self, owner: Service, life: Life, cause: Any) -> None:
        """`busy.url` says whether it works without a request, and `idle_rule` whether it may stop.

        One that does not answer does not work.
        """
        busy, url = owner.spec.busy, busy_url(life, self.outside)
        works = False
        if busy is not None and url is not None:
            body = await self.outside.asks(url)
            works = body is not None and re.search(busy.match, body[:BUSY_SHOWN]) is not None
        works = works or not await self.uses.may_stop(life)
        self.fleet.answered(owner, life, yes=not works, cause=cause)

    def _watched_by_launcher(self, launch: Launch | None) -> bool:
        return launch is not None and isinstance(self.outside.launcher_for(launch), Watchable)

    # --- a new configuration

    def adopt(self, config: Config) -> Changes:
        """In one step: from here on everything goes by it. What goes on hot gets its headers and limits anew."""
        self.config = config
        self._zone = time_zone(config.timezone)
        changes = self.fleet.adopt(config)
        lives = set(self.fleet.lives())
        for life in list(self._ways):
            url = self._ways.pop(life)
            if life in lives and life.hot and life.owner.id in changes.changed:
                self.set_way(life)
            elif life in lives:
                self._ways[life] = url
        return changes

    # --- addresses

    def set_way(self, life: Life) -> None:
        """Where requests to it go, from now on."""
        url = base_url_of(life)
        if url is not None and self._ways.get(life) != url and not life.settings.machine:
            self.outside.hang_up(life, False)
            self._ways[life] = url
            life.way = self.outside.way_to(life, fill(url, {"data_dir": self.outside.data_dir}))

    def ports_in_use(self) -> frozenset[int]:
        runs = (life.run for life in self.fleet.lives())
        return frozenset(run.port for run in runs if run is not None and run.port is not None)

    # --- time

    def _set_timer(self) -> None:
        due = min(self.fleet.next_look(), self.outside.clock() + LONGEST_SLEEP)
        if due == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, due - self.outside.clock()), self._due)

    def _due(self) -> None:
        self._timer = None
        self._timer_at = inf
        try:
            self.fleet.look()
        finally:
            self._set_timer()

    async def _tick(self) -> None:
        """What the calendar says, and a look at those that nobody else watches. A mistake costs one look."""
        asked_at = self.outside.clock()
        while True:
            try:
                self.tick()
                if self._unasked and self.outside.clock() - asked_at >= ASKED_AGAIN:
                    asked_at = self.outside.clock()
                    self.fence.spawn(self.ask_again())
            except Exception as problem:  # noqa: BLE001 - the door of the keeper's own clock
                self.outside.failed(problem)
            await asyncio.sleep(TICK)

    def tick(self) -> None:
        wall = self.outside.wall()
        warm = [service for service in self.fleet if service.spec.keep_warm]
        self.fleet.tick({service.id: inside(service.spec.keep_warm, wall, self._zone) for service in warm})
        self.looks.tick()
        for life in self._notices.keys() - set(self.fleet.places()):  # it went with an earlier configuration
            self._notices.pop(life).cancel()

    # --- for those who ask

    def service(self, id_: str) -> Service:
        """Raises Refusal."""
        service = self.fleet.services.get(id_)
        if service is None:
            near = nearest(id_, self.fleet.services)
            hint = f"; the nearest known id is {near!r}" if near is not None else ""
            raise Refusal("unknown_service", f"no service is called {id_[:64]!a}{hint}")
        return service

    async def change(self) -> None:
        """Until anything has changed."""
        if self._changed is None or self._changed.is_set():
            self._changed = asyncio.Event()
        await self._changed.wait()

    def logs(self, service: Service) -> tuple[HasLogs, Run] | None:
        """Whom to ask for the output of what was launched, and about which run."""
        for life in sorted(service.lives, key=lambda each: each.phase is Phase.COLD):
            if life.spec.launch is None:
                continue
            run = life.run or bare_run(life, self.outside)
            launcher: object = self.outside.launcher_for(life.spec.launch)
            if isinstance(launcher, HasLogs):
                return launcher, run
        return None


_AT_REST = frozenset({Phase.COLD, Phase.HOT})


def _goes_on(life: Life) -> bool:
    return life.run is not None and getattr(life.run.launch, "keep_running", False)


def _cold(life: Life) -> bool:
    return life.phase is Phase.COLD


def _current() -> asyncio.Task[Any] | None:
    return asyncio.current_task()
