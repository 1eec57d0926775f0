"""Inside `keep_warm`? The windows of a week on the clock of a time zone, asked with a POSIX time.

Where the clock jumps, a time that it skips stands for the moment of the jump. Where it goes back, a window reaches from
the first time it shows the start to the last time it shows the end: it is never broken in two.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hestia.words.spec import Window

AHEAD = 10
"""Days that are looked at: who stays inside through a whole week, and a change of the clock, stays so for ever."""
LONGEST = 2
"""A window that begins with a day ends with the next one at the latest."""


def time_zone(name: str | None) -> tzinfo | None:
    """The zone of this name; None stands for the system's (`TZ` included). Raises ValueError when it is not known."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:  # ZoneInfoNotFoundError, or a folder such as "Europe"
        raise ValueError(f"{name} is no time zone that this system knows") from error


def inside(windows: Sequence[Window], wall: float, zone: tzinfo | None = None) -> bool:
    """Whether the moment `wall` lies in one of the windows."""
    return any(begin <= wall < end for begin, end in _spans(windows, wall, zone, ahead=1))


def until(windows: Sequence[Window], wall: float, zone: tzinfo | None = None) -> float | None:
    """When it changes: inside, the end of the windows that hold now; outside, when the next one begins. None: never."""
    spans = sorted(_spans(windows, wall, zone, ahead=AHEAD))
    if not any(begin <= wall < end for begin, end in spans):
        return min((begin for begin, _ in spans if begin > wall), default=None)
    reached = wall
    for begin, end in spans:
        if begin <= reached < end:
            reached = end
    return reached if reached < wall + (AHEAD - LONGEST) * 86400 else None


def _spans(windows: Sequence[Window], wall: float, zone: tzinfo | None, *, ahead: int) -> Iterator[tuple[float, float]]:
    """From when to when each window is open, on the days around `wall`."""
    if not windows:
        return
    today = datetime.fromtimestamp(wall, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for number in range(-LONGEST, ahead):
        day = today + timedelta(days=number)
        for window in windows:
            if day.weekday() in window.days:
                end = day + timedelta(days=1) if window.end <= window.start else day
                yield (
                    _moment(day + timedelta(minutes=window.start), zone, last=False),
                    _moment(end + timedelta(minutes=window.end), zone, last=True),
                )


def _moment(local: datetime, zone: tzinfo | None, *, last: bool) -> float:
    """When the clock shows this; of two such moments the first or the last, of none the jump over it."""
    first, second = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if second < first:  # such a time does not exist: PEP 495 gives moments on both sides of the jump
        return _jump(second, first, zone)
    return second if last else first


def _jump(before: float, after: float, zone: tzinfo | None) -> float:
    """The moment between the two at which the clock changes, to the second."""
    offset = _offset(before, zone)
    low, high = int(before), int(after)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(wall: float, zone: tzinfo | None) -> timedelta | None:
    moment = datetime.fromtimestamp(wall, zone)
    return (moment if zone is not None else moment.astimezone()).utcoffset()
