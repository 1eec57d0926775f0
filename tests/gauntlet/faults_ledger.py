"""What was asked, what came of it, and whether that may be: the answer of every request is known before it is sent.

A fault opens a window and says which endings it excuses, of which service, and why the contract allows it. Everything
that is neither the answer that was expected nor excused is lost, and none may be.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# How a request may end, beside the codes of the gateway's refusals.
RIGHT, BROKEN, UNANSWERED, REFUSED, SILENT, WRONG = "right", "broken", "unanswered", "refused", "silent", "wrong"
TUNNEL_CUT = "tunnel_cut"
NO_REFUSALS = {RIGHT, BROKEN, UNANSWERED, SILENT, WRONG, TUNNEL_CUT, "left"}
SAFE = {"GET", "HEAD"}
KINDS = (
    "client reads slowly",
    "client sends slowly",
    "client vanishes in its head",
    "client vanishes in its body",
    "client vanishes while it waits",
    "client vanishes in its answer",
    "client vanishes in its tunnel",
    "upstream killed (SIGKILL)",
    "upstream stopped for a while (SIGSTOP)",
    "upstream breaks off its answer",
    "launcher hangs",
    "launcher hangs at the first attempt",
    "line is full",
    "service stopped by command",
    "service held",
    "request cancelled by command",
    "reload, nothing changed for services",
    "reload changes a service",
    "reload removes a service",
    "reload refused",
    "strategies reloaded, also broken ones",
    "disk is full",
    "clock jumps",
    "gateway killed (SIGKILL)",
    "gateway stopped (SIGTERM) and started",
)
# A refused HEAD has no body that says why: its status alone is to be judged.
BARE = {"stopped": 503, "held": 503, "start_failed": 503, "unknown_service": 404, "upstream_failed": 502}


@dataclass
class Asked:
    """One request. `expects` are endings that are right whatever happens elsewhere."""

    id: str
    kind: str
    service: str
    method: str
    expects: frozenset[str]
    began: float
    ended: float = 0.0
    ending: str = ""
    words: str = ""
    verdict: str = ""
    left: bool = False  # the client itself went away


@dataclass
class Window:
    """A fault at work: from `begin` until `end` it excuses these endings."""

    name: str
    services: frozenset[str] | None
    excuses: frozenset[str]
    begin: float
    end: float = float("inf")

    def covers(self, asked: Asked) -> bool:
        mine = self.services is None or asked.service in self.services
        return mine and asked.began <= self.end and asked.ended >= self.begin


@dataclass
class Ledger:
    """Of one run."""

    asked: list[Asked] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(KINDS, 0)))
    wrong: list[str] = field(default_factory=list)  # what is amiss beside lost requests
    orphans: int = 0  # that a gateway announced before it was killed
    open: int = 0
    began: float = field(default_factory=time.monotonic)
    number: int = 0

    def ask(self, kind: str, service: str, method: str, *expects: str) -> Asked:
        self.number += 1
        self.open += 1
        one = Asked(f"{kind.replace(' ', '-')}-{self.number}", kind, service, method, frozenset(expects or {RIGHT}), time.monotonic())
        self.asked.append(one)
        return one

    def end(self, one: Asked, ending: str, words: str = "") -> None:
        one.ended, one.ending, one.words = time.monotonic(), ending, words
        self.open -= 1

    def leave(self, one: Asked) -> None:
        """The client goes away: whatever comes is nobody's."""
        one.left = True
        self.end(one, "left")

    @contextmanager
    def fault(self, name: str, services: set[str] | None = None, *excuses: str, slack: float = 0.0) -> Iterator[None]:
        """Counted, and excused while the block lasts and for `slack` seconds more."""
        self.faults[name] += 1
        bare = {f"status {BARE[each]}" for each in excuses if each in BARE}
        whose = frozenset(services) if services is not None else None
        window = Window(name, whose, frozenset({*excuses, *bare}), time.monotonic())
        self.windows.append(window)
        try:
            yield
        finally:
            window.end = time.monotonic() + slack

    # -- the reckoning

    def judge(self, got: Counter[str]) -> None:
        """A verdict for each request: `right`, `left`, `allowed: WHY` or `lost: WHY`. `got`: how often it was delivered."""
        for one in self.asked:
            one.verdict = self._delivered(one, got[one.id]) or self._verdict(one, got[one.id])

    def _delivered(self, one: Asked, times: int) -> str:
        """Once at most; a safe request without a body twice, if a pooled connection died under it (section 6)."""
        if times > 2 or (times == 2 and (one.method not in SAFE or not self._excused(one, "sent again"))):
            return f"lost: delivered {times} times"
        if times == 0 and one.ending == RIGHT and one.service:
            return "lost: answered without having been delivered"
        refused = one.ending not in NO_REFUSALS and one.ending not in one.expects
        again = one.method in SAFE and self._excused(one, "sent again")  # and then it waited for the next start
        if times and refused and not again and not one.ending.startswith(("upstream_", "status 502")):
            return f"lost: refused as {one.ending} after it was delivered"
        return ""

    def _verdict(self, one: Asked, times: int) -> str:
        if one.left or not one.ended:
            return "left" if one.left else "lost: it never ended"
        if one.ending in one.expects:
            return "right"
        if one.ending == UNANSWERED and times == 0 and (window := self._excused(one, "not taken")):
            return f"allowed: {window.name}, not taken, asked again"
        if window := self._excused(one, one.ending):
            return f"allowed: {window.name}, {one.ending}"
        return f"lost: {one.ending}"

    def _excused(self, one: Asked, ending: str) -> Window | None:
        return next((each for each in self.windows if ending in each.excuses and each.covers(one)), None)

    @property
    def lost(self) -> list[Asked]:
        return [one for one in self.asked if one.verdict.startswith("lost")]


@dataclass
class Diaries:
    """What the services wrote down."""

    got: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    pids: dict[str, list[int]] = field(default_factory=dict)


def read_diaries(folder: Path) -> Diaries:
    found = Diaries()
    for path in folder.glob("*.diary"):
        name = path.stem
        for line in path.read_text().splitlines():
            word, first, *_ = line.split(" ")
            if word == "got":
                found.got[first] += 1
            elif word == "start":
                found.starts[name] += 1
                found.pids.setdefault(name, []).append(int(first))
            elif word == "twice":
                found.twice.append(f"{name}: {line}")
    return found
