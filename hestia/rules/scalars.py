"""How text becomes a value. A reader takes the text and gives the value, or raises ValueError with words
that go on after the value: `"12x"` + `is not a duration ...`. The words never repeat the value: it may be secret.
"""

import re
import signal
from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

from hestia.rules import addresses
from hestia.rules.addresses import TcpAddress, UnixAddress, parse_base_url, parse_listen
from hestia.rules.passwords import read_hash
from hestia.words.spec import Window

__all__ = ["READERS", "SWITCHES", "Reader", "TcpAddress", "UnixAddress", "parse_base_url", "parse_listen"]

SWITCHES = MappingProxyType({"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False})
DAY = 86400
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)?")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(b|kb|mb|gb|tb|kib|mib|gib|tib)?", re.IGNORECASE)
_SIZES = {
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_LONGEST = 100 * 365 * DAY
_DURATION_WORDS = "is not a duration such as 500ms, 30s, 15m, 2h, 90d or a number of seconds"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:([A-Za-z,-]+)(?: +|$))?(?:([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2}))?")
_WHOLE_DAY = 24 * 60
_WINDOW_WORDS = 'is not a time such as "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00" or "always"'


def text(value: str) -> str:
    return value


def name(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("must be a text of visible characters")
    return value


def switch(value: str) -> bool:
    try:
        return SWITCHES[value.lower()]
    except KeyError:
        raise ValueError("is not true or false") from None


def integer(value: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,15}", value):
        raise ValueError("is not a whole number")
    return int(value)


def count(value: str) -> int:
    number = integer(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def positive(value: str) -> int:
    number = integer(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def amount(value: str) -> float:
    if not re.fullmatch(r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", value):
        raise ValueError("is not a number")
    number = float(value)
    if number < 0 or not isfinite(number):
        raise ValueError("must be a number that is not negative")
    return number


def duration(value: str) -> float:
    if value.startswith("-"):
        raise ValueError("must not be negative")
    found = _DURATION.fullmatch(value)
    if not found:
        raise ValueError(_DURATION_WORDS)
    seconds = float(found[1]) * _UNITS[found[2] or "s"]
    if seconds > _LONGEST:
        raise ValueError("is longer than a hundred years")
    return seconds


def positive_duration(value: str) -> float:
    seconds = duration(value)
    if seconds == 0:
        raise ValueError("must be more than 0")
    return seconds


def milliseconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise ValueError("is not a whole number of milliseconds")
    return duration(value + "ms") if len(value) <= 12 else duration("9" * 12)  # noqa: PLR2004


def auto_duration(value: str) -> float | None:
    return None if value == "auto" else duration(value)


def auto_positive(value: str) -> float | None:
    return None if value == "auto" else positive_duration(value)


def size(value: str) -> int:
    found = _SIZE.fullmatch(value)
    if not found:
        raise ValueError("is not a size such as 64KiB, 32MiB or a number of bytes")
    number = int(float(found[1]) * _SIZES.get((found[2] or "b").lower(), 1))
    if number < 1:
        raise ValueError("must be at least 1 byte")
    return number


def port(value: str) -> int:
    number = integer(value)
    if not 1 <= number <= 65535:  # noqa: PLR2004
        raise ValueError("is not a port: 1 to 65535")
    return number


def status(value: str) -> int:
    number = integer(value)
    if not 200 <= number <= 599:  # noqa: PLR2004
        raise ValueError("is not a final HTTP status: 200 to 599")
    return number


def status_range(value: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-5][0-9]{2})(?: ?- ?([1-5][0-9]{2}))?", value)
    if not found:
        raise ValueError("is not an HTTP status such as 200, or a range such as 200-399")
    low, high = int(found[1]), int(found[2] or found[1])
    if low > high:
        raise ValueError("is an empty range")
    return low, high


def header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not a header's name")
    return value


def header_value(value: str) -> str:
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or value != value.strip(" \t"):
        raise ValueError("is not a header's value: no control characters, no space at its ends")
    return value


def secret(value: str) -> str:
    if not value or value != value.strip() or not value.isprintable():
        raise ValueError("must be a text of visible characters, without space at its ends")
    return value


def any_text_secret(value: str) -> str:
    return value


def sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise ValueError("is not a SHA-256 of 64 hex digits")
    return value.lower()


def password_hash(value: str) -> str:
    read_hash(value)
    return value


def method(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z-]{0,31}", value):
        raise ValueError("is not a method in capitals, such as GET")
    return value


def regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {str(error)[:80]}") from None
    return value


def path_glob(value: str) -> str:
    if not value.startswith(("/", "*")):
        raise ValueError("must begin with / (or *)")
    return value


def path(value: str) -> str:
    if not value.strip():
        raise ValueError("must be a path")
    return value


def service_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("is not an id: letters, digits, . _ and -, at most 64, beginning with a letter or digit")
    return value


def timezone(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}", value):
        raise ValueError("is not a time zone such as Europe/Berlin")
    return value


def mac(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}", value):
        raise ValueError("is not a hardware address such as aa:bb:cc:dd:ee:ff")
    return value.lower().replace("-", ":")


def signal_name(value: str) -> str:
    known = signal.Signals.__members__
    full = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
    if full in known:
        return full
    if value.isascii() and value.isdigit() and any(int(value) == member for member in known.values()):
        return signal.Signals(int(value)).name
    raise ValueError("is not a signal such as SIGTERM")


def tls_verify(value: str) -> bool | str:
    return SWITCHES[value.lower()] if value.lower() in SWITCHES else path(value)


def window(value: str) -> Window:
    if value.lower() == "always":
        return Window(tuple(range(7)), 0, _WHOLE_DAY)
    found = _WINDOW.fullmatch(value)
    if not found or not (found[1] or found[2]):
        raise ValueError(_WINDOW_WORDS)
    days = _days(found[1]) if found[1] else tuple(range(7))
    if not found[2]:
        return Window(days, 0, _WHOLE_DAY)
    return Window(days, _minute(found[2], found[3], 23), _minute(found[4], found[5], 24))


def _minute(hour: str, minute: str, last_hour: int) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or int(hour) > last_hour or total > _WHOLE_DAY:  # noqa: PLR2004
        raise ValueError(_WINDOW_WORDS)
    return total


def _days(value: str) -> tuple[int, ...]:
    days: set[int] = set()
    for part in value.lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(_WINDOW_WORDS)
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days.update(range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)])
    return tuple(sorted(days))


class Reader(NamedTuple):
    """A reader, and what an editor may know about the text (JSON Schema)."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_FREE = {"type": ["string", "number"]}
_DURATION_SCHEMA = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9.]+(ms|s|m|h|d)?$"}]
}
_AUTO_SCHEMA = {"anyOf": [{"const": "auto"}, *_DURATION_SCHEMA["anyOf"]]}
_URL_SCHEMA = {"type": "string", "pattern": "^[a-z+]+://"}

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "text": Reader(text, {"type": ["string", "number", "boolean"]}),
        "switch": Reader(switch, {"type": "boolean"}),
        "integer": Reader(integer, _WHOLE),
        "number": Reader(amount, {"type": "number", "minimum": 0}),
        "count": Reader(count, {"type": "integer", "minimum": 0}),
        "positive": Reader(positive, {"type": "integer", "minimum": 1}),
        "amount": Reader(amount, {"type": "number", "minimum": 0}),
        "duration": Reader(duration, _DURATION_SCHEMA),
        "positive_duration": Reader(positive_duration, _DURATION_SCHEMA),
        "auto_duration": Reader(auto_duration, _AUTO_SCHEMA),
        "auto_positive": Reader(auto_positive, _AUTO_SCHEMA),
        "size": Reader(
            size,
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"type": "string", "pattern": "^[0-9.]+ ?[KMGTkmgt]?[Ii]?[Bb]?$"},
                ]
            },
        ),
        "port": Reader(port, {"type": "integer", "minimum": 1, "maximum": 65535}),
        "status": Reader(status, {"type": "integer", "minimum": 200, "maximum": 599}),
        "status_range": Reader(
            status_range,
            {
                "anyOf": [
                    {"type": "integer", "minimum": 100, "maximum": 599},
                    {"type": "string", "pattern": "^[1-5][0-9]{2}"},
                ]
            },
        ),
        "header_name": Reader(header_name, _TEXT),
        "header_value": Reader(header_value, _FREE),
        "secret": Reader(secret, _FREE),
        "free_secret": Reader(any_text_secret, {"type": ["string", "number", "boolean"]}),
        "sha256": Reader(sha256, {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}),
        "password_hash": Reader(password_hash, _TEXT),
        "method": Reader(method, {"type": "string", "pattern": "^[A-Z-]+$"}),
        "regex": Reader(regex, {"type": "string", "format": "regex"}),
        "path_glob": Reader(path_glob, {"type": "string", "pattern": "^[/*]"}),
        "path": Reader(path, _TEXT),
        "file": Reader(path, _TEXT),
        "service_id": Reader(service_id, {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
        "timezone": Reader(timezone, _TEXT),
        "mac": Reader(mac, {"type": "string", "pattern": "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"}),
        "signal": Reader(signal_name, _FREE),
        "tls_verify": Reader(tls_verify, {"type": ["boolean", "string"]}),
        "window": Reader(window, _TEXT),
        "listen": Reader(addresses.listen, _TEXT),
        "base_url": Reader(addresses.base_url, _URL_SCHEMA),
        "health_url": Reader(addresses.health_url, _URL_SCHEMA),
        "http_url": Reader(addresses.http_url, _URL_SCHEMA),
        "origin": Reader(addresses.origin, _URL_SCHEMA),
        "network": Reader(addresses.network, _TEXT),
        "host_glob": Reader(addresses.host_glob, _TEXT),
    }
)
