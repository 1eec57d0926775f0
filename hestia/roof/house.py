"""The real rooms of the House: what the use-cases (doors/verbs) ask of a gateway that runs."""

from __future__ import annotations

import asyncio
import time
from time import monotonic
from typing import TYPE_CHECKING

from hestia import __version__
from hestia.doors.verbs_answers import Checked, Inflight
from hestia.doors.verbs_archive import StoreArchive
from hestia.doors.verbs_house import House
from hestia.doors.verbs_settings import effective
from hestia.roof.config import said_at
from hestia.rules.marks import ConfigError
from hestia.store.reader import Reader
from hestia.telemetry import figures, prometheus
from hestia.telemetry.bulletin import Counts
from hestia.telemetry.tally import Row
from hestia.telemetry.usage import Minutes
from hestia.words.activity import rfc3339
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hestia.doors.connection import Connection
    from hestia.doors.verbs_answers import Reloaded, Setting
    from hestia.relay.exchange import Exchange
    from hestia.roof.config import Loaded
    from hestia.roof.gateway import Gateway
    from hestia.rules.paths import Path
    from hestia.store.store import Store
    from hestia.telemetry.bulletin import Bulletin
    from hestia.telemetry.log import Log
    from hestia.words.spec import Config

CANCELLED = "the operator cancelled this request"


class Rooms:
    """What make_house has made: the House itself, and what the roof still needs of its parts."""

    def __init__(self, house: House, of_figures: Figures, process: Process, minutes: Minutes) -> None:
        self.house = house
        self.figures = of_figures
        self.process = process
        self.minutes = minutes


def make_house(
    gateway: Gateway,
    store: Store,
    bulletin: Bulletin,
    log: Log,
    *,
    log_dropped: Callable[[], int] = int,
    source: str | None = None,
    load: Callable[[], Loaded] | None = None,
) -> Rooms:
    """`source` is the file that the configuration came from, `load` reads it again."""
    minutes = Minutes(gateway.shared.tally, store.add_usage)

    async def settled() -> None:
        minutes.write()
        await store.settled()

    of_figures = Figures(gateway, store, bulletin, log_dropped)
    process = Process(gateway, log)
    reader = Reader(store.path, settled)
    house = House(
        keeper=gateway.commands,
        exchanges=Exchanges(lambda: gateway.shared.fronts),
        events=bulletin,
        archive=StoreArchive(store, reader, lambda: gateway.config, gateway.shared.users.now),
        figures=of_figures,
        settings=Settings(gateway, source, load),
        strategies=gateway.choices.strategies,
        keys=gateway.keys,
        gateway=process,
    )
    return Rooms(house, of_figures, process, minutes)


class Exchanges:
    """What is relayed or waits. An exchange belongs to its connection."""

    def __init__(self, fronts: Callable[[], Iterable[Connection]]) -> None:
        self._fronts = fronts

    def inflight(self) -> Iterator[Inflight]:
        now, wall = monotonic(), time.time()
        for exchange in self._running():
            yield Inflight(
                request_id=exchange.request_id.decode("ascii"),
                service=exchange.relayed.id,
                method=exchange.method.decode("ascii"),
                path=exchange.path.decode("latin-1"),
                state="tunnel" if exchange.tunnel is not None else "waiting" if exchange.waiting else "relaying",
                since=rfc3339(wall - (now - exchange.began)),
            )

    def cancel(self, request_id: str, /) -> bool:
        """All of this id: a client may have given the same one to several requests."""
        named = [each for each in self._running() if each.request_id.decode("ascii") == request_id]
        for exchange in named:
            if exchange.tunnel is not None or exchange.answering:
                exchange.cut()
            else:
                exchange.refuse(Refusal("stopped", CANCELLED))
        return bool(named)

    def _running(self) -> Iterator[Exchange]:
        return (front.exchange for front in list(self._fronts()) if front.exchange is not None)


class Figures:
    """What was counted and measured, as it stands now."""

    def __init__(self, gateway: Gateway, store: Store, bulletin: Bulletin, log_dropped: Callable[[], int]) -> None:
        self._gateway = gateway
        self._store = store
        self._bulletin = bulletin
        self._log_dropped = log_dropped

    def metrics(self, service: str | None, /) -> figures.Metrics | figures.ServiceMetrics:
        rows = self._gateway.shared.tally.rows
        if service is None:
            return figures.of_all(self._seen(), rows, self._gauges())
        one = next(each for each in self._seen() if each.id == service)
        return figures.of_service(one, rows.get(service) or Row())

    def text(self) -> str:
        """For Prometheus."""
        machines = self._gateway.commands.machines()
        rows = self._gateway.shared.tally.rows
        return prometheus.text(self._seen(), rows, machines, self._gauges(), version=__version__)

    def _seen(self) -> list[figures.Seen]:
        bulletin = self._bulletin
        return [
            figures.Seen(
                each.id,
                each.state,
                bulletin.counts.get(each.id) or Counts(),
                leases=sum(life.leases for life in each.lives),
                waiters=each.waiters,
                hot_seconds=bulletin.hot_seconds(each.id),
            )
            for each in self._gateway.fleet
        ]

    def _gauges(self) -> figures.Gauges:
        store = self._store.figures
        return figures.Gauges(
            connections=len(self._gateway.shared.fronts),
            activity_pending=store.pending,
            activity_lost=store.lost,
            store_failing=store.failing,
            log_dropped=self._log_dropped(),
        )


class Settings:
    """The configuration in force, and the one on disk."""

    def __init__(self, gateway: Gateway, source: str | None, load: Callable[[], Loaded] | None) -> None:
        self._gateway = gateway
        self._load = load
        self.source = source

    @property
    def config(self) -> Config:
        return self._gateway.config

    def effective(self) -> Sequence[Setting]:
        return tuple(effective(self.config, self._source_of))

    async def check(self) -> Checked:
        if self._load is None:
            raise _no_file()
        try:
            loaded = await asyncio.to_thread(self._load)
        except ConfigError as error:
            return Checked(ok=False, file=self.source, mistakes=tuple(map(str, error.mistakes)))
        return Checked(ok=True, file=loaded.source, warnings=(*loaded.warnings, *loaded.broken))

    async def reload(self) -> Reloaded:
        if self._load is None:
            raise _no_file()
        return await self._gateway.reload()

    def _source_of(self, path: Path) -> str:
        return said_at(self._gateway.marks, path)


def _no_file() -> Refusal:
    return Refusal("bad_request", "this gateway was built from no file: there is nothing to read again")


class Process:
    """The gateway as a process. `end` is set by whoever runs it; without it nothing here can end it."""

    def __init__(self, gateway: Gateway, log: Log) -> None:
        self._gateway = gateway
        self._log = log
        self.started = time.time()
        self.end: Callable[[bool], None] | None = None
        """Called with True to drain: to wait as long as it takes; with False as a TERM would."""

    @property
    def addresses(self) -> Sequence[str]:
        return self._gateway.addresses

    @property
    def log_level(self) -> str:
        return self._log.level

    def set_log_level(self, level: str, /) -> None:
        self._log.set_level(level)
        self._gateway.shared.tally.listen(self._log.access if self._log.access_wanted else None)

    def drain(self) -> int:
        return self._end(drain=True)

    def shutdown(self) -> int:
        return self._end(drain=False)

    def _end(self, *, drain: bool) -> int:
        if self.end is None:
            raise Refusal("bad_request", "this gateway cannot be ended from within")
        self.end(drain)
        return self._gateway.fleet.leases
