"""A place as strategies see it (rules/strategies.py): read-only, and always as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestia.keeper.runs import base_url_of
from hestia.words.states import Phase, state_of

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.words.status import State


class PlaceView:
    """One for each place that a strategy was asked about. `life` is ours: strategies are not told of it."""

    __slots__ = ("life",)

    def __init__(self, life: Life) -> None:
        self.life = life

    @property
    def service(self) -> str:
        id_: str = self.life.owner.id
        return id_

    @property
    def number(self) -> int:
        return self.life.number

    @property
    def machine(self) -> str:
        return self.life.machine

    @property
    def machine_awake(self) -> bool:
        awake: bool = self.life.owner.fleet.machines[self.life.machine].awake
        return awake

    @property
    def base_url(self) -> str | None:
        return base_url_of(self.life)

    @property
    def state(self) -> State:
        return state_of(self.life.phase)

    @property
    def leases(self) -> int:
        return self.life.leases

    @property
    def cost_per_hour(self) -> float | None:
        owner = self.life.owner
        costs = (owner.spec.cost_per_hour, owner.fleet.machines[self.life.machine].spec.cost_per_hour)
        said = [cost for cost in costs if cost is not None]
        return sum(said) if said else None

    @property
    def fits(self) -> bool:
        """Also one that has its room already."""
        fleet = self.life.owner.fleet
        if self.life.room:
            return True
        free = fleet.pool(self.life.machine).free
        return all(amount <= free.get(name, amount) for name, amount in fleet.needs_of(self.life).items())

    @property
    def hot_for_s(self) -> float | None:
        return self._now - self.life.hot_at if self.life.hot else None

    @property
    def idle_for_s(self) -> float | None:
        life = self.life
        return max(0.0, self._now - life.idle_since) if life.phase is Phase.HOT and not life.leases else None

    @property
    def expected_start_s(self) -> float | None:
        expected: float | None = self.life.owner.expected_start_s
        return expected

    @property
    def _now(self) -> float:
        now: float = self.life.owner.fleet.clock()
        return now

    def __repr__(self) -> str:
        return f"<place {self.number} of {self.service} on {self.machine}: {self.state}, {self.leases} leases>"
