"""What the keeper is given of the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.core.life import Life
    from hestia.ports import Launcher, Probe, Records
    from hestia.words.launch_spec import Launch
    from hestia.words.notes import Note


def no_step(_name: str) -> None:
    """Nobody listens to the steps."""


class Outside(NamedTuple):
    """Built by the roof. All callables but the async ones return at once."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    launcher_for: Callable[[Launch], Launcher]
    probe: Probe
    asks: Callable[[str], Any]  # the body of a 2xx answer as text, awaited; None: no such answer
    records: Records
    tell: Callable[[Note], None]
    way_to: Callable[[Life, str], Any]  # the relay's view of a place at this address
    hang_up: Callable[[Life, bool], None]  # idle connections; and what still runs, if True
    failed: Callable[[BaseException], None]  # a mistake of ours
    free_port: Callable[[frozenset[int]], int]
    private_socket: Callable[[str], str]
    new_id: Callable[[], str]
    data_dir: str
    step: Callable[[str], None] = no_step  # told where a crash would be worst: the tests end the process there
