"""What the use-cases take. A field that is not here is refused; durations are written as in the configuration."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hestia.rules.scalars import SWITCHES
from hestia.rules.scalars import duration as read_duration
from hestia.words.refusal import Refusal

Span = str | int | float
Text = Annotated[str, Meta(min_length=1, max_length=4096)]
FOREVER = float("inf")
PLUS: Final = re.compile(r"(?<=:[0-9]{2})((?:\.[0-9]+)?) (?=[0-9]{2}:[0-9]{2}$)")
"""A `+` that was not percent-encoded is a space by then: `12:00:00 02:00`."""


class BadParams(Refusal):
    """The parameters of a use-case are wrong."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_request", detail)


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameter."""


class Of(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Text


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Text
    wait: bool = False
    timeout: Span | None = None


class Stop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Text | None = None
    all: bool = False
    hold: bool | Span = False
    wait: bool = False


class Logs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Text
    lines: Annotated[int, Meta(ge=0, le=10_000)] = 100
    follow: bool = False


class Hold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Text
    hold: bool | Span = True


class Follow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: str | None = None
    service: str | None = None


class Entries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    service: str | None = None
    since: str | None = None
    until: str | None = None
    kind: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class Between(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: str | None = None
    until: str | None = None


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    service: str | None = None


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    services: tuple[str, ...] = ("*",)


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Text


class LogLevel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warning", "error"] | None = None


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Text


def seconds(value: Span, key: str) -> float:
    """A duration, as text or as a number of seconds."""
    try:
        return read_duration(value if isinstance(value, str) else f"{value:.9f}".rstrip("0").rstrip("."))
    except ValueError as error:
        raise BadParams(f"{key} {error}") from None
    except OverflowError:  # an integer of hundreds of digits is no float
        raise BadParams(f"{key} is longer than a hundred years") from None


def hold_seconds(value: bool | Span) -> float | None:
    """None: no hold; inf: for ever."""
    if isinstance(value, str) and value.lower() in SWITCHES:
        value = SWITCHES[value.lower()]
    if isinstance(value, bool):
        return FOREVER if value else None
    return seconds(value, "hold")


def moment(value: str | None, key: str, now: float) -> float | None:
    """A time in RFC 3339, a date, or a duration that means so long ago."""
    if value is None:
        return None
    try:
        return now - read_duration(value)
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(PLUS.sub(r"\1+", value))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadParams(f"{key} is no time such as 2026-05-01T12:00:00Z, 2026-05-01 or 2h (ago)") from None
