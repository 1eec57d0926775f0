"""From the configuration to objects: what the gateway is made of. Building starts nothing; `Gateway.open` does."""

from __future__ import annotations

import random
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hestia import __version__
from hestia.doors.api import Api, Own
from hestia.doors.cold_door import ColdDoor
from hestia.doors.control import Control
from hestia.doors.dashboard import Dashboard
from hestia.doors.guest import Asked, Server
from hestia.doors.login import Login
from hestia.doors.manual import manual
from hestia.doors.session import Sessions
from hestia.doors.shared import Shared
from hestia.doors.verbs import Verbs
from hestia.keeper.commands import Commands
from hestia.keeper.keeper import Keeper
from hestia.keeper.outside import Outside, no_step
from hestia.launchers.free_port import free_port, private_socket
from hestia.probes import ask, probe
from hestia.roof import host
from hestia.roof.choices import Choices
from hestia.roof.gateway import Gateway
from hestia.roof.house import make_house
from hestia.roof.in_force import guard_of, relayed_of
from hestia.roof.launching import Launchers
from hestia.roof.records import StoreRecords, Telling
from hestia.roof.reload import Around, Reload
from hestia.roof.systemd import Notify
from hestia.roof.ways import Ways
from hestia.rules.gate import Gate
from hestia.rules.routing import Router
from hestia.rules.trust import Trust
from hestia.store.store import Store
from hestia.telemetry.bulletin import Bulletin
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.telemetry.users import Users

if TYPE_CHECKING:
    from aiohttp import web

    from hestia.core.life import Life
    from hestia.roof.config import Loaded
    from hestia.words.notes import Note
    from hestia.words.spec import Config

MANY_DESCRIPTORS = 1 << 20


def build(
    config: Config,
    log: Log,
    *,
    log_dropped: Callable[[], int] = int,
    descriptors: int = MANY_DESCRIPTORS,
    source: str | None = None,
    load: Callable[[], Loaded] | None = None,
    notify: Notify | None = None,
    step: Callable[[str], None] = no_step,
) -> Gateway:
    """The whole gateway for a configuration, which `load` reads again from `source`. Raises CannotStart.

    Launched programs run beside the file. `step` is told where a crash would be worst: the tests end the process there.
    """
    folder = Path(source).absolute().parent if source is not None else Path.cwd()
    failed = _Failed(log)
    ways = Ways(config)
    data_dir = Path(config.data_dir)
    store = Store(data_dir / "hestia.db", log, retention=config.retention, step=step)
    bulletin = Bulletin(log, store.add)
    hanging_up = _HangingUp()
    telling = Telling(bulletin, store)
    choices = Choices(config, folder, log)

    def tell(note: Note) -> None:
        telling(note)
        choices.heard(note)

    outside = Outside(
        clock=time.monotonic,
        wall=time.time,
        launcher_for=Launchers(lambda: keeper.config, data_dir, folder),
        probe=probe,
        asks=ask,
        records=StoreRecords(store),
        tell=tell,
        way_to=ways.to,
        hang_up=hanging_up,
        failed=failed,
        free_port=free_port,
        private_socket=lambda name: private_socket(data_dir, name),
        new_id=lambda: secrets.token_hex(8),
        data_dir=config.data_dir,
        step=step,
    )
    keeper = Keeper(config, outside, jitter=random.random, uses=choices.uses)
    choices.compose(keeper, store)
    commands = Commands(keeper)
    tally = Tally(config.services, log.access if log.access_wanted else None)
    relayed = relayed_of(config, keeper, {})
    sessions = Sessions()
    login = Login(config.auth.dashboard, sessions, lambda: shared.guard.ring, log.event)
    cors = frozenset(config.auth.cors_origins)
    shared = Shared(
        router=Router(config, relayed),
        gate=Gate(config, host.own_names()),
        guard=guard_of(config),
        sessions=sessions,
        login=login,
        trust=Trust(config.trusted_proxies),
        tally=tally,
        server=Server(_Answering(lambda: api), limits=config.limits, tally=tally, log=log, cors=cors),
        cold=ColdDoor(config, keeper, cors),
        chooser=choices.chooser(config, keeper, relayed),
        users=Users(),
        limits=config.limits,
        cors_origins=cors,
        loop_tag=b"",
        most_connections=host.connection_limit(config.limits.connections, descriptors),
        reserve=host.ADMIN_RESERVE,
        failed=failed,
    )
    choices.serve(shared)
    telling.fleet, telling.users = keeper.fleet, shared.users
    gateway = Gateway(config, shared, keeper, commands, store, bulletin, ways, relayed, choices)
    hanging_up.gateway = gateway
    if load is not None:
        gateway.reload = Reload(gateway, load, log, Around(descriptors, notify or Notify({}), step))
    rooms = make_house(gateway, store, bulletin, log, log_dropped=log_dropped, source=source, load=load)
    gateway.rooms = rooms
    verbs = Verbs(rooms.house, shared.fence)
    own = Own(lambda: keeper.fleet.services, rooms.figures.text, __version__)
    api = Api(verbs, own, login, {**Dashboard(verbs, sessions).pages, **manual()})
    gateway.control = Control(config.control_socket, verbs, failed, group=config.control_group)
    return gateway


class _Answering:
    """The guest lane asks the API, which is built after it."""

    def __init__(self, api: Callable[[], Api]) -> None:
        self._api = api

    async def __call__(self, asked: Asked) -> web.StreamResponse:
        return await self._api().answer(asked)


class _HangingUp:
    """The keeper ends connections of the relay, which is built after it."""

    gateway: Gateway

    def __call__(self, life: Life, break_off: bool) -> None:
        self.gateway.hang_up(life, break_off)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A task or a look that failed is a bug of ours: one line with its trace."""

    log: Log

    def __call__(self, problem: BaseException) -> None:
        self.log.event("internal", "error", trace="".join(traceback.format_exception(problem)))
