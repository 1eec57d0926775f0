"""The diagram of `docs/services.md`, made from the table of a life: what leads from each state to the next.

`python -m hestia.roof.life_page` writes the page anew below its MARKER; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hestia.core.life import Life, Settings
from hestia.core.table import TABLE, tell
from hestia.words.run import Run
from hestia.words.states import (
    SHOWN,
    Adopt,
    Event,
    Exited,
    Failed,
    Found,
    NotReady,
    Phase,
    Refused,
    Stop,
    StopFailed,
    state_of,
)

PAGE: Final = Path(__file__).parent.parent / "docs" / "services.md"
MARKER: Final = "<!-- From here on this page is made from hestia/core/table.py: python -m hestia.roof.life_page -->"

_RUN: Final = Run(id="", owner="", machine="local", launch=None)
_EXAMPLES: Final[dict[type, Event]] = {
    Found: Found(None),
    Failed: Failed(""),
    Exited: Exited(""),
    Refused: Refused(""),
    Stop: Stop("command"),
    StopFailed: StopFailed(""),
    NotReady: NotReady("", at_once=False),
    Adopt: Adopt(_RUN),
}
_ARROWS: Final[dict[str, str | dict[str, str]]] = {
    "Start": "a request, a command, keep_warm",
    "Adopt": "found after a restart",
    "Found": "it answers already",
    "Ready": "its check passes",
    "Due": {"hot": "warmup is over", "stopping": "start_timeout is over"},
    "Failed": "the attempt fails",
    "Exited": {"stopping": "it exits", "cold": "it ends by itself"},
    "Refused": "its check fails twice, or a connection is refused",
    "Stop": {"cold": "called off", "stopping": "a command, idle time, room for another"},
    "Elsewhere": "another place has room",
    "Stopped": "it is gone",
}
_WAITS_FOR: Final = {
    Phase.CHECKING: "an answer: does it run already?",
    Phase.ROOM: "room on its machine, or the end of those that must make way",
    Phase.WAKING: "its machine",
    Phase.NEEDS: "the services that it depends on",
    Phase.LAUNCHING: "its launcher: the start has been called and has not returned",
    Phase.PROBING: "its readiness check",
    Phase.WARMING: "`warmup`, after the check",
    Phase.PAUSED: "the next attempt, `retry_delay` after the one that failed",
}


class _Alone:
    """An owner whose machine is awake."""

    crowded = False

    def is_awake(self, _life: Life) -> bool:
        return True


def _life_in(phase: Phase) -> Life:
    """A launched place with one attempt left, just about to have what the phase waits for."""
    life = Life("", _Alone(), None, Settings())
    life.phase = phase
    life.attempt = 1
    life.hot_at = -1e9
    life.run = None if phase in SHOWN and phase not in {Phase.LAUNCHING, Phase.PROBING, Phase.WARMING} else _RUN
    life.room = phase is not Phase.ROOM
    life.awake = phase is not Phase.WAKING
    life.needs = phase is not Phase.NEEDS
    life.looked = phase is not Phase.COLD
    return life


def ways() -> dict[tuple[str, str], list[str]]:
    """(state, next state) -> the events that lead from the one to the other."""
    found: dict[tuple[str, str], list[str]] = {}
    for phase, row in TABLE.items():
        for kind in row:
            life = _life_in(phase)
            tell(life, _EXAMPLES[kind] if kind in _EXAMPLES else kind(), 1e9)
            before, after = state_of(phase), state_of(life.phase)
            words = found.setdefault((before, after), []) if before != after else []
            if kind.__name__ not in words:
                words.append(kind.__name__)
    found["starting", "failed"] = ["every attempt at every place failed"]
    found["failed", "cold"] = ["failure_cooldown is over, or a command"]
    return found


def diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> cold"]
    for (before, after), events in ways().items():
        lines.append(f"    {before} --> {after}: {'; '.join(_said(event, after) for event in events)}")
    return "\n".join([*lines, "```", ""])


def _said(event: str, after: str) -> str:
    words = _ARROWS.get(event, event)
    return words if isinstance(words, str) else words[after]


def phases() -> str:
    rows: dict[str, list[str]] = {}
    for phase, words in _WAITS_FOR.items():
        rows.setdefault(SHOWN[phase], []).append(words)
    lines = [f"| `{shown}` | {'; or '.join(words)} |" for shown, words in rows.items()]
    return "\n".join(["| `phase` | a start that waits for |", "| --- | --- |", *lines, ""])


def page(now: str) -> str:
    """The page with its diagram made anew; what people wrote above the marker stays."""
    return f"{now.partition(MARKER)[0]}{MARKER}\n\n## The states\n\n{diagram()}\n## The phases of a start\n\n{phases()}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
