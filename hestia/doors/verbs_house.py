"""What the use-cases ask of the gateway, room by room. The roof composes the real ones; tests bring fakes.

Whatever is refused is a Refusal whose detail says what to do; nothing else is raised but by mistakes of ours.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from hestia.doors.verbs_answers import Checked, Inflight, KeyCreated, KeyShown, Reloaded, Setting
from hestia.plugins.strategies import Reloaded as StrategiesTold
from hestia.plugins.strategies import StrategyInfo
from hestia.ports import HasLogs
from hestia.store.reader import Wanted
from hestia.telemetry.bulletin import Missed
from hestia.words.activity import Activity, Entry, Report
from hestia.words.notes import Cause
from hestia.words.run import Run
from hestia.words.spec import Config
from hestia.words.status import MachineStatus, ServiceStatus


class Keeper(Protocol):
    """The owner of every service's and machine's life."""

    def status(self, id_: str, /) -> ServiceStatus: ...
    def statuses(self) -> tuple[ServiceStatus, ...]: ...
    async def look(self, ids: list[str] | None, /) -> None: ...
    async def start(self, id_: str, /, *, cause: Cause = "command", wait: float | None = None) -> ServiceStatus: ...
    async def stop(self, id_: str, /, *, hold: float | None = None, wait: bool = False) -> ServiceStatus: ...
    async def restart(self, id_: str, /) -> ServiceStatus: ...
    async def stop_all(self, hold: float | None = None) -> tuple[ServiceStatus, ...]: ...
    def machines(self) -> tuple[MachineStatus, ...]: ...
    async def wake(self, id_: str, /) -> MachineStatus: ...
    async def sleep(self, id_: str, /) -> MachineStatus: ...
    async def hold_machine(self, id_: str, seconds: float, /) -> MachineStatus: ...
    def logs(self, id_: str, /) -> tuple[HasLogs, Run] | None: ...


class Exchanges(Protocol):
    """Requests that are being relayed or wait."""

    def inflight(self) -> Iterable[Inflight]: ...
    def cancel(self, request_id: str, /) -> bool:
        """A waiter gets 503 `stopped`, an exchange is broken off. False: there is none of this id."""


class Subscription(Protocol):
    """Entries as they come, also those that came while nobody read; bounded. It must be closed."""

    async def __anext__(self) -> Entry | Missed: ...
    def close(self) -> None: ...


class Events(Protocol):
    """Changes as they happen."""

    def subscribe(self, last_event_id: str | None = None) -> Subscription:
        """From now on, and what came after the entry with this id as far as it is known."""


class Archive(Protocol):
    """What the database keeps."""

    async def activity(self, wanted: Wanted, /) -> Activity: ...
    async def report(self, since: float | None, until: float | None, /) -> Report: ...
    async def backup(self, path: str, /) -> int:
        """A copy of the database in a new file of mode 0600; its size. Nothing half-written stays."""


class Figures(Protocol):
    """What was counted and measured."""

    def metrics(self, service: str | None, /) -> Any: ...


class Settings(Protocol):
    """The configuration in force, and the next one."""

    @property
    def config(self) -> Config: ...
    @property
    def source(self) -> str | None: ...
    def effective(self) -> Sequence[Setting]:
        """Every setting with where it came from, secrets masked."""

    async def check(self) -> Checked: ...
    async def reload(self) -> Reloaded:
        """Put the configuration of now in force. Raises ConfigError, or a Refusal, and then nothing has changed."""


class Strategies(Protocol):
    """Plug-in rules."""

    def infos(self) -> tuple[StrategyInfo, ...]: ...
    async def reload(self) -> StrategiesTold: ...


class Keys(Protocol):
    """Keys in the database. Their text is shown once and never kept."""

    async def create(self, name: str, services: Sequence[str], /) -> KeyCreated: ...
    async def known(self) -> Sequence[KeyShown]: ...
    async def revoke(self, name: str, /) -> bool: ...


class Gateway(Protocol):
    """The process itself."""

    @property
    def addresses(self) -> Sequence[str]: ...
    @property
    def started(self) -> float: ...
    @property
    def log_level(self) -> str: ...
    def set_log_level(self, level: str, /) -> None: ...
    def drain(self) -> int:
        """Refuse new requests, end when the running ones are done. Returns how many run."""

    def shutdown(self) -> int:
        """End as a TERM would. Returns how many run."""


class House(NamedTuple):
    """The gateway as the use-cases see it."""

    keeper: Keeper
    exchanges: Exchanges
    events: Events
    archive: Archive
    figures: Figures
    settings: Settings
    strategies: Strategies
    keys: Keys
    gateway: Gateway
