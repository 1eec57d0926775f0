"""The HTTP API as a table: which method and path is which use-case of `verbs`, and what its answer is called.

The API answers by it, and its description (doors/openapi) is made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from hestia.words.refusal import Refusal

READ: Final = "GET, HEAD, OPTIONS"
DO: Final = "POST, OPTIONS"


class Route(NamedTuple):
    """One endpoint. What its path names is the verb's parameter `names`; `query` are those that the query may give."""

    method: str
    path: str
    verb: str
    query: tuple[str, ...] = ()
    names: str = "id"
    streams: str | None = None
    """The parameter that makes it server-sent events, or `always`."""
    refusals: tuple[str, ...] = ()
    """What it may answer beside the refusals that every endpoint has."""

    @property
    def allow(self) -> str:
        return READ if self.method == "GET" else DO


ROUTES: Final = (
    Route("GET", "/v1/services", "services.list"),
    Route("GET", "/v1/services/{id}/status", "services.status", refusals=("unknown_service",)),
    Route(
        "POST",
        "/v1/services/{id}/start",
        "services.start",
        ("wait", "timeout"),
        refusals=("unknown_service", "start_failed", "held", "stopped", "wait_timeout"),
    ),
    Route("POST", "/v1/services/{id}/stop", "services.stop", ("wait", "hold"), refusals=("unknown_service",)),
    Route("GET", "/v1/services/{id}/metrics", "metrics", names="service", refusals=("unknown_service",)),
    Route(
        "GET",
        "/v1/services/{id}/logs",
        "services.logs",
        ("lines", "follow"),
        streams="follow",
        refusals=("unknown_service", "not_found"),
    ),
    Route("GET", "/v1/machines", "machines.list"),
    Route("POST", "/v1/machines/{id}/wake", "machines.wake", refusals=("not_found",)),
    Route("POST", "/v1/machines/{id}/sleep", "machines.sleep", refusals=("not_found",)),
    Route("GET", "/v1/inflight", "inflight.list"),
    Route("POST", "/v1/inflight/{request_id}/cancel", "inflight.cancel", refusals=("not_found",)),
    Route("GET", "/v1/metrics", "metrics"),
    Route("GET", "/v1/activity", "activity.list", ("service", "since", "until", "kind", "limit", "cursor")),
    Route("GET", "/v1/report", "report", ("since", "until")),
    Route("GET", "/v1/events", "events.follow", ("service",), streams="always", refusals=("unknown_service",)),
)


class Found(NamedTuple):
    """The endpoint of a path, and what stands in the path for its `{name}`."""

    route: Route
    subject: str | None


def find(path: str) -> Found:
    """Raises Refusal where there is none. `path` as it came, percent-encoded."""
    parts = path.split("/")
    for route in ROUTES:
        wanted = route.path.split("/")
        if len(wanted) == len(parts):
            pairs = list(zip(wanted, parts, strict=True))
            if all(want == part or (want.startswith("{") and part) for want, part in pairs):
                subject = next((part for want, part in pairs if want.startswith("{")), None)
                return Found(route, None if subject is None else unquote(subject))
    raise Refusal("not_found", "Hestia has no such page; GET / lists the addresses that exist.")


def addresses() -> Iterator[str]:
    """What `GET /` tells a program: `GET /v1/services`."""
    yield from (f"{route.method} {route.path}" for route in ROUTES)
    yield "POST /v1/requests"  # which the relay answers itself
