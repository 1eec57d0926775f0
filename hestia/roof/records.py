"""What the keeper writes down, written into the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from hestia.store.state import HeldThing

if TYPE_CHECKING:
    from hestia.core.fleet import Fleet
    from hestia.store.store import Store
    from hestia.telemetry.bulletin import Bulletin
    from hestia.telemetry.users import Users
    from hestia.words.notes import Note
    from hestia.words.run import Run

LAST_OF_A_LIFE = frozenset({"service.stopped", "service.died"})
HOLD_S = 1.0
HELD: dict[str, HeldThing] = {"service": "service", "machine": "machine", "all": "all"}


class Telling:
    """Passes notes on to the bulletin, with what is known here: who kept a service awake, and how long starts take."""

    fleet: Fleet  # both are set by the roof: they are built later
    users: Users

    def __init__(self, bulletin: Bulletin, store: Store) -> None:
        self._bulletin = bulletin
        self._store = store

    def __call__(self, note: Note) -> None:
        service = note.service
        if service is not None and note.kind in LAST_OF_A_LIFE:
            kept_by = {**note.more.get("kept_by", {}), **self.users.take(service)}
            note = replace(note, more={**note.more, "kept_by": kept_by}) if kept_by else note
        self._bulletin.tell(note)
        if service is not None and note.kind == "service.ready" and service in self.fleet.services:
            self.fleet.services[service].expected_start_s = self._store.expected_start(service)


class StoreRecords:
    """Nothing here raises: what the disk does not take now is kept, and written when it does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, run: Run) -> None:
        await self._store.record_run(run)

    async def forget(self, run_id: str) -> None:
        await self._store.forget_run(run_id)

    async def hold(self, what: str, until: float | None) -> None:
        kind, _, id_ = what.partition("/")
        of = HELD[kind]
        if until is None:
            self._store.release(of, id_)
        else:
            self._store.hold(of, id_, until)
        await self._store.settled(HOLD_S)
