"""Values of the configuration as people write them."""

from __future__ import annotations

from hestia.ctl.show import figure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECONDS = (
    "_timeout",
    "_cooldown",
    "_delay",
    "_interval",
    "_idle",
    "_connection",
    "_grace",
    "warmup",
    "retention",
    "min_hot",
)
BYTES = ("_bytes", "_peek", "_peek_total", "_body")
TIMES = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
SIZES = (("MiB", 1 << 20), ("KiB", 1 << 10))


def setting(key: str, value: Any) -> str:
    """`30s`, `64KiB`, `true`. How a number reads is told by the end of its key."""
    if key.endswith("health_status"):
        return "[" + ", ".join("-".join(str(each) for each in sorted(set(pair))) for pair in value) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key.endswith(SECONDS):
            return f"{value * 1000:g}ms" if 0 < value < 1 else _in(TIMES, value) or f"{value:g}s"
        if key.endswith(BYTES):
            return _in(SIZES, value) or figure(value)
    return _plain(value)


def _in(units: tuple[tuple[str, int], ...], value: float) -> str:
    """In the largest unit of which it is a whole number."""
    unit, size = next(((unit, size) for unit, size in units if value and value % size == 0), ("", 0))
    return f"{value / size:g}{unit}" if size else ""


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_plain(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else figure(value)
