"""What the core asks of the world, with what holds after failure and after cancellation.

A launcher object serves every place of its kind: what differs stands in the `Run`. The optional Protocols are asked for
with `isinstance`; a launcher has what its engine can do, and never answers "not supported".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from hestia.words.run import Run, Told

    Record = Callable[[dict[str, Any]], Awaitable[None]]
    """Writes a run's handle down. When it returns, a gateway that is killed now finds the thing again."""

RunState = Literal["running", "stopped", "unknown"]


class LaunchFailed(Exception):
    """The launcher or its engine could not do it; the text says why, in words for the operator, without secrets."""


class Launcher(Protocol):
    """Starts and stops one kind of thing."""

    async def start(self, run: Run, record: Record) -> Told:
        """Start it, or find that it runs already. Returns when it is under way; whether it is ready is asked elsewhere.

        Nothing that only its handle can find exists before `await record(handle)` has returned. Raises LaunchFailed.
        After failure or cancellation `stop` of the same run (with the handle last recorded) ends whatever began.
        """

    async def stop(self, run: Run) -> None:
        """End it; returns when it is gone. What is gone or was never there is no failure. Raises LaunchFailed.

        Cancelled, it may be called again.
        """

    async def state(self, run: Run) -> RunState:
        """Whether it runs. `unknown` when the engine cannot be asked: then nothing is started and nothing is stopped.

        Raises nothing but cancellation.
        """


@runtime_checkable
class Watchable(Protocol):
    """A launcher that notices by itself when what it started ends."""

    async def gone(self, run: Run) -> str:
        """Waits until it has ended, and says how: `exited with code 3: <last lines>`. Holds nothing when cancelled."""


@runtime_checkable
class Telling(Protocol):
    """A launcher whose thing may tell its address after the start has returned."""

    def told(self, run: Run) -> Told:
        """What it has told so far. Cheap: it is asked before each check."""


@runtime_checkable
class HasHealth(Protocol):
    """A launcher whose engine has a health check of its own for some of its things."""

    async def health(self, run: Run) -> str | None:
        """None: healthy. "" : this thing has no such check. Else why it is not healthy."""


@runtime_checkable
class HasOwner(Protocol):
    """A launcher that can tell whether a listening socket belongs to what it started."""

    def stranger(self, run: Run, url: str) -> str | None:
        """Who listens at `url` when it is known to be somebody else; None when it is ours or cannot be told."""


@runtime_checkable
class HasLogs(Protocol):
    """A launcher that has the output of what it started, also after its end where the engine keeps it."""

    async def lines(self, run: Run, last: int) -> list[str]:
        """The last lines, oldest first. Raises nothing but cancellation; no output is no line."""

    def follow(self, run: Run) -> AsyncIterator[str]:
        """Lines as they come, from now on, until cancelled."""


@runtime_checkable
class Named(Protocol):
    """A launcher that finds its thing by its name: `stopped` is the truth, whoever started it last."""

    named: bool


@runtime_checkable
class Pausing(Protocol):
    """A launcher whose `stop` may only pause."""

    async def end(self, run: Run) -> None:
        """Stop it for good: for a command, a shutdown, a failed attempt, or when its room is needed."""

    def pauses(self, run: Run) -> bool:
        """Whether the `stop` of this one does: then it is cold, and keeps its room."""

    async def paused(self, run: Run) -> bool:
        """Whether it is paused now. One that cannot be asked is not; a caller that will not wait for that cancels."""


@runtime_checkable
class Noticing(Protocol):
    """A launcher that notices when somebody else starts its thing."""

    async def came(self, run: Run) -> None:
        """Waits until it runs. Holds nothing when cancelled."""


class Check(NamedTuple):
    """A readiness check. Without `statuses` any HTTP status will do."""

    url: str  # http, https, http+unix or tcp
    statuses: tuple[tuple[int, int], ...] | None = None
    tls_verify: bool | str = True


class Seen(NamedTuple):
    """What a check saw. Without a reason it passed."""

    reason: str | None = None
    at_once: bool = True  # the other side said no; else it said nothing in time
    refused: bool = False  # nobody listens there


class Probe(Protocol):
    async def __call__(self, check: Check, /) -> Seen:
        """One check, five seconds at most. Raises nothing but cancellation."""


class Records(Protocol):
    """What is written down. Each returns when it is on disk, or after a second without the disk; none raises."""

    async def record(self, run: Run) -> None: ...

    async def forget(self, run_id: str) -> None: ...

    async def hold(self, what: str, until: float | None) -> None:
        """`what` is `service/<id>`, `machine/<id>` or `all`; None ends the hold."""
