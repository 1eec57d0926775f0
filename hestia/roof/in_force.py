"""What a configuration sets for the doors: built at the start, replaced by assignment at a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import urlsplit

from hestia.doors.cold_door import ColdDoor
from hestia.keeper.turnstile import Turnstile
from hestia.relay.place import Relayed
from hestia.roof import host
from hestia.rules.admission import Guard
from hestia.rules.gate import Gate
from hestia.rules.keys import KeyRing, key_of
from hestia.rules.no_wake import NoWakeRules
from hestia.rules.routing import Router
from hestia.rules.trust import Trust

if TYPE_CHECKING:
    from hestia.doors.shared import Shared
    from hestia.keeper.keeper import Keeper
    from hestia.words.spec import Config


def relayed_of(config: Config, keeper: Keeper, before: dict[str, Relayed]) -> dict[str, Relayed]:
    """Every service as the relay sees it. One that is known stays the same object: connections remember it."""
    found = {}
    for id_, spec in config.services.items():
        relayed = before.get(id_)
        if relayed is None:
            relayed = Relayed(id_, Turnstile(keeper.fleet.services[id_], keeper.fleet))
        relayed.no_wake = NoWakeRules(spec.no_wake)
        relayed.tunnel_idle = spec.tunnel_idle
        base_url = spec.places[0].base_url
        relayed.base_path = urlsplit(base_url).path.rstrip("/").encode() if _has_path(base_url) else b""
        found[id_] = relayed
    return found


def _has_path(base_url: str | None) -> TypeGuard[str]:
    """The path of `http+unix` is that of its socket."""
    return base_url is not None and not base_url.startswith("http+unix:")


def guard_of(config: Config) -> Guard:
    return Guard(config.auth, KeyRing(map(key_of, config.auth.api_keys)), admin_apart=bool(config.admin_listen))


def put_in_force(config: Config, keeper: Keeper, shared: Shared, relayed: dict[str, Relayed], descriptors: int) -> None:
    """In one step: the next request goes by all of it."""
    cors = frozenset(config.auth.cors_origins)
    shared.router = Router(config, relayed)
    shared.gate = Gate(config, host.own_names())
    shared.trust = Trust(config.trusted_proxies)
    shared.limits = shared.server.limits = config.limits
    shared.room.total, shared.room.longest = config.limits.body_peek_total, config.limits.body_peek
    shared.cors_origins = cors
    shared.cold = ColdDoor(config, keeper, cors, before=shared.cold)
    shared.guard = guard_of(config)
    shared.login.changed(config.auth.dashboard)
    shared.most_connections = host.connection_limit(config.limits.connections, descriptors)
    shared.tally.follow(config.services)
