"""The database behind the use-cases: what happened, the report that is made from it, and a copy of it all."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from hestia.doors.verbs_params import BadParams
from hestia.rules.report import Thing
from hestia.store.reader import Reader, Wanted
from hestia.store.store import Store
from hestia.store.writer import NoDisk
from hestia.words.activity import Activity, Report
from hestia.words.launch_spec import can_stop
from hestia.words.refusal import Refusal
from hestia.words.spec import Config

LOCAL = "local"


class StoreArchive:
    """Reads over connections of its own; whatever the disk does is a Refusal with its words."""

    def __init__(
        self,
        store: Store,
        reader: Reader,
        config: Callable[[], Config],
        using: Callable[[], Mapping[str, Mapping[str, float]]],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`using`: who has used each service since it became hot, and for how many seconds."""
        self._store = store
        self._reader = reader
        self._config = config
        self._using = using
        self._wall = wall

    async def activity(self, wanted: Wanted, /) -> Activity:
        try:
            return await self._reader.activity(wanted)
        except ValueError as error:
            raise BadParams(str(error)) from error
        except NoDisk as error:
            raise _no_disk(error) from error

    async def report(self, since: float | None, until: float | None, /) -> Report:
        """Of all that is kept, or of a time."""
        now = self._wall()
        config = self._config()
        first = self._store.first_seen()
        services = list(_things(config, first, "service"))
        machines = list(_things(config, first, "machine"))
        begin = since if since is not None else min((each.first_seen for each in services), default=now)
        begin = max(begin, now - config.retention) if since is None and config.retention else begin
        end = now if until is None else until
        if end < begin:
            raise BadParams("until lies before since")
        try:
            return await self._reader.report(
                services, machines, since=begin, until=end, now=now, life=self._store.life, using=self._using()
            )
        except NoDisk as error:
            raise _no_disk(error) from error

    async def backup(self, path: str, /) -> int:
        target = Path(path)
        try:
            await self._store.backup(target)
            return target.stat().st_size  # noqa: ASYNC240 -- the copy was written a moment ago
        except FileExistsError:
            raise Refusal("bad_request", f"{path} exists already: a backup replaces nothing") from None
        except NoDisk as error:
            raise _no_disk(error) from error
        except (OSError, sqlite3.Error) as error:
            words = getattr(error, "strerror", None) or error
            raise Refusal("bad_request", f"no backup could be written to {path}: {words}") from error


def _things(
    config: Config,
    first: dict[tuple[Literal["service", "machine", "all"], str], float],
    of: Literal["service", "machine"],
) -> Iterator[Thing]:
    if of == "service":
        for service in config.services.values():
            managed = any(place.launch is not None for place in service.places)
            yield Thing(
                id=service.id,
                first_seen=first.get((of, service.id), 0.0),
                cost_per_hour=service.cost_per_hour,
                managed=managed,
            )
        return
    for machine in config.machines.values():
        yield Thing(
            id=machine.id,
            first_seen=first.get((of, machine.id), 0.0),
            cost_per_hour=machine.cost_per_hour,
            managed=can_stop(machine.stop_with or machine.launch),
            always=machine.id == LOCAL or machine.launch is None,
        )


def _no_disk(error: NoDisk) -> Refusal:
    return Refusal("internal", f"the database cannot be used at present: {error}")
