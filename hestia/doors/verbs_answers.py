"""What the use-cases answer, beside the statuses of `words.status`. The HTTP API and the control socket show these.

Fields are only added, never renamed: scripts read them. Times are RFC 3339 in UTC, durations are seconds.
"""

from typing import Any, Literal

from msgspec import Struct

from hestia.plugins.strategies import StrategyInfo
from hestia.words.status import MachineStatus


class Hello(Struct, frozen=True, kw_only=True):
    """Who answers here."""

    name: str = "hestia"
    version: str
    protocol: int = 1
    pid: int
    started: str
    listen: tuple[str, ...]
    config: str | None
    methods: tuple[str, ...]


class MachineList(Struct, frozen=True, kw_only=True):
    machines: tuple[MachineStatus, ...]


class Lines(Struct, frozen=True, kw_only=True):
    """The last lines of what a service launched, oldest first."""

    lines: tuple[str, ...]


class Inflight(Struct, frozen=True, kw_only=True):
    """One request that is being relayed or waits."""

    request_id: str
    service: str | None
    method: str
    path: str
    state: Literal["waiting", "relaying", "tunnel"]
    since: str


class InflightList(Struct, frozen=True, kw_only=True):
    inflight: tuple[Inflight, ...]


class Cancelled(Struct, frozen=True, kw_only=True):
    request_id: str
    cancelled: bool = True


class Following(Struct, frozen=True, kw_only=True):
    """Notifications follow, each with the request's id as `follow`, until the caller closes."""

    following: bool = True


class Setting(Struct, frozen=True, kw_only=True):
    """One effective setting: its key, its value (secrets masked) and where it came from."""

    key: str
    value: Any
    source: str


class RouteShown(Struct, frozen=True, kw_only=True):
    """One way to a service, in the order in which they are tried."""

    match: str
    to: str


class Shown(Struct, frozen=True, kw_only=True):
    """The configuration in force."""

    file: str | None
    settings: tuple[Setting, ...]
    routes: tuple[RouteShown, ...]


class Checked(Struct, frozen=True, kw_only=True):
    """What the gateway would say to its configuration as it is on disk now."""

    ok: bool
    file: str | None
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Reloaded(Struct, frozen=True, kw_only=True):
    """What a reload changed: ids of services and machines, other keys (`settings`), and keys that need a restart."""

    file: str | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class StrategyList(Struct, frozen=True, kw_only=True):
    strategies: tuple[StrategyInfo, ...]


class StrategiesReloaded(Struct, frozen=True, kw_only=True):
    """What reading the files again did. A file with a problem keeps its last good version."""

    loaded: tuple[str, ...]
    removed: tuple[str, ...]
    problems: tuple[str, ...]
    strategies: tuple[StrategyInfo, ...]


class KeyShown(Struct, frozen=True, kw_only=True):
    """A key without its text."""

    name: str
    services: tuple[str, ...]
    created: str | None = None
    source: Literal["config", "database"] = "database"


class KeyList(Struct, frozen=True, kw_only=True):
    keys: tuple[KeyShown, ...]


class KeyCreated(Struct, frozen=True, kw_only=True):
    """A new key; this is the only time that its text is shown."""

    name: str
    services: tuple[str, ...]
    key: str


class KeyRevoked(Struct, frozen=True, kw_only=True):
    name: str
    revoked: bool = True


class Level(Struct, frozen=True, kw_only=True):
    level: str


class Backup(Struct, frozen=True, kw_only=True):
    path: str
    bytes: int


class Ending(Struct, frozen=True, kw_only=True):
    """The gateway ends; so many exchanges still run. The control socket is the last that closes."""

    ending: bool = True
    leases: int
