"""Hours hot and asleep, who woke what and who kept it awake, and what that saved against being always on.

For each service and machine, over the time from its first sight (when it was first configured, or `since`, whichever is
later) to `until` (at most now):

    hours_hot    = the time in state hot
    hours_asleep = the whole time - hours_hot                 (null for what Hestia only watches)
    cost         = hours_hot x cost_per_hour                  (null without a cost_per_hour)
    always on    = the whole time x cost_per_hour
    saving       = always on - cost = hours_asleep x cost_per_hour

The report's own cost and saving are the sums over all services and machines that have one.

A gateway that ended without a word leaves hot intervals open. If the next one found the thing still running (cause
`adoption` or `found`), it was hot in between; else it counts as hot until the last thing that the old one wrote down.

Woken by: the starts, by `more.who` where the entry names somebody, else by its cause. Kept awake by: `more.kept_by` of
its entries (who -> seconds) and who uses it now, a minute for each time that it was found busy, and `request` for the
time of requests that nobody's name is known of. Nobody keeps it longer than it was hot: requests run side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from hestia.words.activity import FOUND_RUNNING, Kept, MachineReport, Report, ServiceReport, Usage, Woke, rfc3339
from hestia.words.notes import Cause
from hestia.words.status import State

TOP = 3
HOUR = 3600.0
BUSY_S = 60.0  # a busy service is asked again after a minute
STARTS = {"service.starting", "machine.waking"}
WARM, BUSY = "keep_warm", "busy"
SHORT_S = 0.01  # names and sums are rounded


class Moment(Struct, frozen=True, kw_only=True):
    """An entry of the activity, as far as the report needs it. `life` tells one run of the gateway from another."""

    at: float
    life: int
    kind: str
    service: str | None = None
    machine: str | None = None
    state: State | None = None
    cause: Cause | None = None
    more: dict[str, Any] = {}


class Thing(Struct, frozen=True, kw_only=True):
    """A service or a machine, as it is configured. `managed`: Hestia may put it to sleep.

    `always`: it has no life of its own and is hot all the time (the machine `local`).
    """

    id: str
    first_seen: float = 0.0
    cost_per_hour: float | None = None
    managed: bool = True
    always: bool = False


class _Account:
    """What one service or machine did."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float]] = []
        self.hot_since: float | None = None
        self.life = 0
        self.woken: Counter[str] = Counter()
        self.kept: dict[str, float] = {}
        self.machines: set[str] = set()

    def state(self, moment: Moment, last_words: Mapping[int, float]) -> None:
        hot = moment.state == "hot"
        if self.hot_since is not None and moment.life != self.life and not (hot and moment.cause in FOUND_RUNNING):
            self.cool(last_words.get(self.life, self.hot_since))
        self.life = moment.life
        if hot and self.hot_since is None:
            self.hot_since = moment.at
        elif not hot:
            self.cool(moment.at)

    def cool(self, at: float) -> None:
        if self.hot_since is not None:
            self.intervals.append((self.hot_since, max(at, self.hot_since)))
            self.hot_since = None

    def hours(self, since: float, until: float) -> float:
        return sum(max(0.0, min(end, until) - max(start, since)) for start, end in self.intervals) / HOUR

    def keep(self, who: str, seconds: float) -> None:
        self.kept[who] = self.kept.get(who, 0.0) + seconds


def report(
    moments: Iterable[Moment],
    usage: Iterable[Usage],
    services: Iterable[Thing],
    machines: Iterable[Thing],
    *,
    since: float,
    until: float,
    now: float,
    life: int,
    using: Mapping[str, Mapping[str, float]],
) -> Report:
    """`moments` oldest first, with the last one of each thing from before `since`; `life` is the present gateway's.

    `using`: who has used each service since it became hot, and for how many seconds.
    """
    over, until = until < now, max(since, min(until, now))
    accounts = _accounts(list(moments), since, until, life)
    services = tuple(services)
    if not over:
        _name(accounts, using)
    requests: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for row in usage:
        requests[row.service] += row.requests
        seconds[row.service] = seconds.get(row.service, 0.0) + row.seconds
    _of_nobody(accounts, seconds, {WARM, *(each.id for each in services)})
    of_services = tuple(
        ServiceReport(requests=requests[each.id], **_figures(each, accounts.get(("service", each.id)), since, until))
        for each in services
    )
    of_machines = tuple(
        MachineReport(
            requests=sum(requests[each.id] for each in services if _ran_on(accounts, each.id, machine.id)),
            **_figures(machine, accounts.get(("machine", machine.id)), since, until),
        )
        for machine in machines
    )
    rows: tuple[ServiceReport | MachineReport, ...] = (*of_services, *of_machines)
    return Report(
        since=rfc3339(since),
        until=rfc3339(until),
        services=of_services,
        machines=of_machines,
        cost=_sum(row.cost for row in rows),
        saving=_sum(row.saving for row in rows),
    )


def _name(accounts: dict[tuple[str, str], _Account], using: Mapping[str, Mapping[str, float]]) -> None:
    for service, names in using.items():
        for who, seconds in names.items():
            accounts.setdefault(("service", service), _Account()).keep(who, seconds)


def _of_nobody(accounts: dict[tuple[str, str], _Account], seconds: Mapping[str, float], no_users: set[str]) -> None:
    """The time of requests without what is known by name. `no_users`: names of what keeps awake without a request."""
    for service, total in seconds.items():
        account = accounts.setdefault(("service", service), _Account())
        rest = total - sum(took for who, took in account.kept.items() if who not in no_users and who != BUSY)
        if rest > SHORT_S:
            account.keep("request", rest)


def _accounts(moments: list[Moment], since: float, until: float, life: int) -> dict[tuple[str, str], _Account]:
    last_words: dict[int, float] = {}
    for moment in moments:
        last_words[moment.life] = max(moment.at, last_words.get(moment.life, moment.at))
    accounts: dict[tuple[str, str], _Account] = {}
    for moment in moments:
        key = _key(moment)
        if key is not None:
            account = accounts.setdefault(key, _Account())
            if moment.state is not None:
                account.state(moment, last_words)
            if moment.service is not None and moment.machine is not None:
                account.machines.add(moment.machine)
            if since <= moment.at < until:
                _count(account, moment)
    for account in accounts.values():
        account.cool(until if account.life == life else last_words.get(account.life, until))
    return accounts


def _key(moment: Moment) -> tuple[str, str] | None:
    """Whose life it is. What is told of a place alone (`place.retry`) is no change of its service."""
    if moment.service is not None:
        return ("service", moment.service) if moment.kind.startswith("service.") else None
    return ("machine", moment.machine) if moment.machine is not None else None


def _count(account: _Account, moment: Moment) -> None:
    if moment.kind in STARTS:
        account.woken[str(moment.more.get("who") or moment.cause or "unknown")] += 1
    if moment.kind == "service.busy":
        account.keep(BUSY, BUSY_S)
    kept_by = moment.more.get("kept_by")
    if isinstance(kept_by, Mapping):
        for who, seconds in kept_by.items():
            if isinstance(seconds, int | float):
                account.keep(str(who), float(seconds))


def _figures(thing: Thing, known: _Account | None, since: float, until: float) -> dict[str, Any]:
    account = known or _Account()
    begun = max(since, thing.first_seen)
    whole = max(0.0, until - begun) / HOUR
    hot = whole if thing.always else min(account.hours(begun, until), whole)
    asleep = whole - hot if thing.managed else None
    price = thing.cost_per_hour
    kept = sorted(((who, min(seconds / HOUR, hot)) for who, seconds in account.kept.items()), key=_most)[:TOP]
    return {
        "id": thing.id,
        "hours_hot": round(hot, 4),
        "hours_asleep": None if asleep is None else round(asleep, 4),
        "starts": account.woken.total(),
        "woken_by": tuple(
            Woke(who=who, starts=starts) for who, starts in sorted(account.woken.items(), key=_most)[:TOP]
        ),
        "kept_awake_by": tuple(Kept(who=who, hours=round(hours, 4)) for who, hours in kept if hours),
        "cost": None if price is None else round(hot * price, 4),
        "saving": None if price is None or asleep is None else round(asleep * price, 4),
    }


def _most(row: tuple[str, float]) -> tuple[float, str]:
    return -row[1], row[0]


def _ran_on(accounts: Mapping[tuple[str, str], _Account], service: str, machine: str) -> bool:
    account = accounts.get(("service", service))
    return account is not None and machine in account.machines


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 4) if known else None
