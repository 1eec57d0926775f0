"""How answers look to people: aligned, coloured on a terminal only, and harmless on one."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TextIO

COLOURS = {
    "hot": "32",
    "starting": "33",
    "stopping": "33",
    "waiting": "33",
    "failed": "31",
    "error": "31",
    "warning": "33",
    "cold": "2",
    "head": "1",
}
BAR = 24
MINUTE, HOUR, DAY = 60, 3600, 86400
TEN = 10
KIB = 1024
GAP = "  "


class Look:
    """Whether colours and fine characters may be used on this stream."""

    __slots__ = ("colours", "fine")

    def __init__(self, *, colours: bool, fine: bool) -> None:
        self.colours = colours
        self.fine = fine

    def paint(self, text: str, kind: str) -> str:
        code = COLOURS.get(kind)
        return f"\x1b[{code}m{text}\x1b[0m" if code and self.colours else text


def look_of(stream: TextIO, environ: Mapping[str, str]) -> Look:
    """Colours on a terminal that has them, unless NO_COLOR says no; block characters where they can be written."""
    colours = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Look(colours=colours, fine=(stream.encoding or "").lower().replace("-", "") == "utf8")


def neutral(value: object) -> str:
    """Text of others, such as a service's log: nothing in it can steer the terminal."""
    text = "-" if value is None or value == "" else str(value)
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def width(text: str) -> int:
    """How many columns a neutral text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 -- only names beyond ASCII need it

    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], look: Look) -> list[str]:
    """Aligned columns; numbers to the right; a cell that names a state has its colour."""
    cells = [[neutral(cell) for cell in row] for row in rows]
    numbers = [_are_numbers([row[column] for row in cells]) for column in range(len(head))]
    widths = [max(width(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    lines = [look.paint(_line(list(head), widths, numbers, None).rstrip(), "head")]
    return lines + [_line(row, widths, numbers, look).rstrip() for row in cells]


def _line(row: list[str], widths: list[int], right: list[bool], look: Look | None) -> str:
    words = []
    for text, wide, is_right in zip(row, widths, right, strict=True):
        space = " " * (wide - width(text))
        shown = look.paint(text, text) if look is not None else text
        words.append(space + shown if is_right else shown + space)
    return GAP.join(words)


def _are_numbers(cells: list[str]) -> bool:
    known = [cell for cell in cells if cell != "-"]
    return bool(known) and all(cell.replace(".", "", 1).isdigit() for cell in known)


def pairs(rows: Iterable[tuple[str, Any]], look: Look) -> list[str]:
    """Names and values, one a line; what is not known is left out."""
    shown = [(name, neutral(value)) for name, value in rows if value is not None and value != ""]
    wide = max((len(name) for name, _ in shown), default=0)
    return [f"{look.paint(f'{name:<{wide}}', 'head')}{GAP}{look.paint(value, value)}" for name, value in shown]


def span(seconds: object) -> str:
    """`4.2s`, `3m 20s`, `2h 5m`, `3d 4h`."""
    if not isinstance(seconds, int | float):
        return "-"
    if seconds < TEN:
        return f"{seconds:.1f}s"
    if seconds < MINUTE:
        return f"{seconds:.0f}s"
    for size, small, names in ((HOUR, 1, "ms"), (DAY, MINUTE, "hm"), (float("inf"), HOUR, "dh")):
        if seconds < size:
            big = {"m": MINUTE, "h": HOUR, "d": DAY}[names[0]]
            whole, rest = divmod(int(seconds), big)
            return f"{whole}{names[0]} {rest // small}{names[1]}"
    return "-"


def bar(part: float, look: Look, wide: int = BAR) -> str:
    """How much of a whole, 0 to 1."""
    full = round(max(0.0, min(part, 1.0)) * wide)
    return ("█" * full + "░" * (wide - full)) if look.fine else ("#" * full + "." * (wide - full))


def room(machine: Mapping[str, Any]) -> str:
    """`vram 12/24`"""
    capacity, used = machine.get("capacity") or {}, machine.get("used") or {}
    return ", ".join(f"{name} {figure(used.get(name, 0))}/{figure(whole)}" for name, whole in capacity.items())


def moment(stamp: object) -> str:
    """`2026-05-01T12:00:00Z`: nobody reads milliseconds."""
    text = neutral(stamp)
    return f"{text[:19]}Z" if text.endswith("Z") and text[19:20] == "." else text


def counted(number: int, thing: str) -> str:
    """`1 start`, `2 starts`"""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def figure(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def size(value: object) -> str:
    """`812 B`, `1.4 KiB`, `3.2 GiB`"""
    if not isinstance(value, int | float):
        return "-"
    if value < KIB:
        return f"{value:g} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= KIB
        if value < KIB or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def out(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def words(text: str) -> None:
    """For people: standard error."""
    for line in text.splitlines():
        print(neutral(line), file=sys.stderr)
