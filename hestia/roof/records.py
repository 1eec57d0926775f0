"""What the keeper writes down, written into the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestia.store.state import HeldThing

if TYPE_CHECKING:
    from hestia.store.store import Store
    from hestia.words.run import Run

HELD: dict[str, HeldThing] = {"service": "service", "machine": "machine", "all": "all"}


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
