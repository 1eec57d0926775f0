"""What the waiting page says, in words: one place for the page as it is sent and for what its script shows later.

Honest: without past starts no time is promised, and what takes longer than usual is said to.
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from math import ceil
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from hestia.words.status import Phase, ServiceStatus, State

FOREVER: Final = "forever"
FIXED_REFRESH: Final = 5
"""Seconds after which the page comes again where there are no scripts: half of what keeps it counted as a waiter."""
SOON: Final = 90
NEARLY: Final = 95
LONG_WAIT: Final = 60.0
COOLDOWN: Final = 10
LOG_SHOWN: Final = 8192

PHASES: Mapping[Phase, str] = MappingProxyType(
    {
        "waking_machine": "Waking its machine",
        "making_room": "Waiting for room on its machine",
        "dependencies": "Starting what it needs",
        "launching": "Launching",
        "probing": "Launched; waiting for its first answer",
        "warming": "It answers; warming up",
    }
)
CONTROL: Final = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\r(?=\n)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Colours of a terminal, and characters that no page can or should show."""


class WaitingView(Struct, frozen=True, kw_only=True):
    """All that the waiting page shows. Durations are seconds; `started_s`: how long ago the start began."""

    name: str
    state: State
    phase: Phase | None = None
    waiters: int = 0
    started_s: float | None = None
    expected_s: float | None = None
    error: str | None = None
    held_until: str | None = None
    cooldown_s: float | None = None
    in_the_way: str | None = None
    logs: tuple[str, ...] = ()


class Words(Struct, frozen=True, kw_only=True):
    """The view in words. An empty text is not shown."""

    title: str
    lead: str
    phase: str = ""
    why: str = ""
    left: str = ""
    crowd: str = ""
    percent: int | None = None
    button: str = ""
    cancel: bool = False
    lines: str = ""
    every_ms: int = 3000


class Look(Struct, frozen=True, kw_only=True):
    """The answer to `Hestia-Wait: 1`. Fields are only added."""

    service: str
    state: State
    phase: Phase | None
    waiters: int
    expected_s: float | None
    last_error: str | None
    started_s: float | None
    held_until: str | None
    cooldown_s: float | None
    page: Words


def view_of(
    status: ServiceStatus,
    *,
    started_s: float | None = None,
    in_the_way: str | None = None,
    logs: tuple[str, ...] = (),
) -> WaitingView:
    """The view of a service's status and of what a status does not say."""
    shows_error = status.state in ("failed", "cold")
    return WaitingView(
        name=status.id,
        state=status.state,
        phase=status.phase,
        waiters=status.waiters,
        started_s=started_s,
        expected_s=status.expected_start_s,
        error=status.last_error or status.reason if shows_error else None,
        held_until=status.held_until,
        cooldown_s=status.cooldown_s,
        in_the_way=in_the_way,
        logs=logs,
    )


def look_of(view: WaitingView, zone: tzinfo | None = None) -> Look:
    return Look(
        service=view.name,
        state=view.state,
        phase=view.phase,
        waiters=view.waiters,
        expected_s=view.expected_s,
        last_error=clean(view.error) or None,
        started_s=round(view.started_s, 1) if view.started_s is not None else None,
        held_until=view.held_until,
        cooldown_s=view.cooldown_s,
        page=words_of(view, zone),
    )


def words_of(view: WaitingView, zone: tzinfo | None = None) -> Words:
    if view.held_until is not None and view.state != "starting":
        return _held(view, zone)
    return {"starting": _starting, "failed": _failed, "hot": _hot, "stopping": _stopping, "cold": _cold}[view.state](
        view
    )


def _starting(view: WaitingView) -> Words:
    waits_for_room = view.phase == "making_room"
    phase = PHASES[view.phase] if view.phase is not None else ""
    if waits_for_room and view.in_the_way:
        phase = f"{phase}. In the way: {clean(view.in_the_way)}"
    left, percent = ("", None) if waits_for_room else _left(view)
    return Words(
        title=f"{view.name} is starting",
        lead="is starting",
        phase=phase,
        left=left or _so_far(view),
        percent=percent,
        crowd=f"{view.waiters} are waiting for it" if view.waiters > 1 else "",
        cancel=view.waiters <= 1,
        lines=_lines(view),
        every_ms=2000 if (view.started_s or 0) > LONG_WAIT else 1000,
    )


def _left(view: WaitingView) -> tuple[str, int | None]:
    """Time left as a sentence and as a percentage, both without promises that nothing supports."""
    begun, expected = view.started_s, view.expected_s
    if begun is None or not expected:
        return "", None
    if begun < expected:
        return f"About {duration(expected - begun)} left", min(NEARLY, int(100 * begun / expected))
    return f"{duration(begun)} so far, longer than usual (about {duration(expected)})", NEARLY


def _so_far(view: WaitingView) -> str:
    if view.started_s is None:
        return ""
    hint = "" if view.expected_s else ". No earlier start tells how long it takes"
    return f"{duration(view.started_s)} so far{hint}"


def _failed(view: WaitingView) -> Words:
    return Words(
        title=f"{view.name} did not start",
        lead="did not start",
        why=clean(view.error) or "Nothing is known about why.",
        button="Retry",
        lines=_lines(view),
    )


def _held(view: WaitingView, zone: tzinfo | None) -> Words:
    return Words(title=f"{view.name} is held", lead=f"is kept asleep {held_words(str(view.held_until), zone)}")


def _hot(view: WaitingView) -> Words:
    return Words(title=f"{view.name} is ready", lead="is ready", every_ms=1000)


def _stopping(view: WaitingView) -> Words:
    return Words(title=f"{view.name} is stopping", lead="is stopping", button="Start", every_ms=1000)


def _cold(view: WaitingView) -> Words:
    why = clean(view.error)
    if view.in_the_way:
        why = f"{why}\nIn the way: {clean(view.in_the_way)}".strip()
    return Words(title=f"{view.name} is asleep", lead="is asleep", why=why, button="Start", lines=_lines(view))


def _lines(view: WaitingView) -> str:
    return clean("\n".join(view.logs))[-LOG_SHOWN:]


def clean(text: str | None) -> str:
    """Without what no page should show: colours of a terminal, control characters, changes of direction."""
    return CONTROL.sub("", text or "").strip()


def duration(seconds: float) -> str:
    """How people say it."""
    whole = max(1, round(seconds))
    if whole <= SOON:
        return f"{whole} second{'s' if whole > 1 else ''}"
    return f"{round(whole / 60)} minutes"


def held_words(held_until: str, zone: tzinfo | None) -> str:
    """Until when, on the clock of the gateway's time zone."""
    if held_until == FOREVER:
        return "by its operator, until somebody starts it"
    try:
        moment = datetime.fromisoformat(held_until).astimezone(zone)
    except ValueError:
        return f"by its operator until {clean(held_until)}"
    return f"by its operator until {moment:%H:%M} on {moment:%A}, {moment.day} {moment:%B}"


def retry_after(view: WaitingView, wall: float) -> int | None:
    """Seconds after which asking again may help; None: nobody knows."""
    if view.state == "starting":
        left = (view.expected_s or 0) - (view.started_s or 0)
        return max(1, ceil(left)) if left > 0 else FIXED_REFRESH
    if view.held_until is not None:
        return _until(view.held_until, wall)
    if view.state == "failed":
        return max(1, ceil(view.cooldown_s)) if view.cooldown_s else COOLDOWN
    return 1


def _until(held_until: str, wall: float) -> int | None:
    try:
        return max(1, ceil(datetime.fromisoformat(held_until).timestamp() - wall))
    except ValueError:
        return None


def refresh(view: WaitingView) -> int | None:
    """Seconds after which a page without scripts comes again; None: coming again would start it, unasked."""
    return FIXED_REFRESH if view.state in ("starting", "hot") else None
