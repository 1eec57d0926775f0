"""What the checks of `hestia doctor` look at: the configuration, and this machine through a few functions."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from hestia.words.spec import Config

Spot = str | tuple[str, int]
"""A unix socket's path, or host and port."""


class Finding(NamedTuple):
    """One thing that is broken, or will surprise. The words say what to do."""

    level: Literal["broken", "surprise"]
    words: str


class World(NamedTuple):
    config: Config
    warnings: tuple[str, ...]
    not_loaded: tuple[str, ...]
    """Strategies that failed when they were run, as FILE:LINE: words."""
    source: str | None
    environ: Mapping[str, str]
    now: float
    reach: Callable[[Spot], str | None]
    which: Callable[[str], str | None]
    free_bytes: Callable[[str], int | None]
    runs: bool
    """A gateway with this configuration's control socket runs already."""
    in_container: bool


def broken(words: str) -> Finding:
    return Finding("broken", words)


def surprise(words: str) -> Finding:
    return Finding("surprise", words)
