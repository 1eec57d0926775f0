"""Addresses that a program tells in its output: `HESTIA_BASE_URL=<url>` and `HESTIA_HEALTH_URL=<url>`, a line each."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from hestia.launchers.output import Output
from hestia.rules.addresses import base_url, health_url
from hestia.words.run import Told

AT_ONCE: Final = 256 * 1024  # of the output, for each question; the next one goes on from there
LONGEST_LINE: Final = 4096
_LINE: Final = re.compile(r"\s*HESTIA_(?P<which>BASE|HEALTH)_URL=(?P<url>\S+)\s*")


def hear(line: str, told: Told) -> Told:
    """What is told once this line is read too. An address that is none is only named; a later one counts."""
    found = _LINE.fullmatch(line) if "HESTIA_" in line else None
    if found is None:
        return told
    try:
        if found["which"] == "BASE":
            return replace(told, base_url=base_url(found["url"]))
        return replace(told, health_url=health_url(found["url"]))
    except ValueError as problem:
        return replace(told, misheard=f"HESTIA_{found['which']}_URL {problem}")


def hear_all(lines: Iterable[str], told: Told = Told()) -> Told:  # noqa: B008 -- frozen
    for line in lines:
        told = hear(line, told)
    return told


class Ear:
    """Reads one life's output bit by bit."""

    def __init__(self, output: Output, at: int, told: Told) -> None:
        self._output, self._at, self._rest = output, at, b""
        self.told = told

    def listen(self) -> Told:
        data, self._at = self._output.read(self._at, AT_ONCE)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:LONGEST_LINE]
        self.told = hear_all((line.decode("utf-8", errors="replace") for line in lines), self.told)
        return self.told

    def listen_to_the_end(self, most: int) -> Told:
        """All that there is, or the last so many bytes of it; also a last line without its end."""
        end = self._output.end()
        self._at = max(self._at, end - most)
        while self._at < end:
            before = self._at
            self.listen()
            if self._at == before:
                break
        self.told = hear(self._rest.decode("utf-8", errors="replace"), self.told)
        return self.told
