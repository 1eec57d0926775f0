"""What we answer about a service and about the gateway. The HTTP API, the control socket and the pages show these.

Fields are only added, never renamed: scripts read them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["cold", "starting", "hot", "stopping", "failed"]
Readiness = Literal["ready", "not_ready"]
Phase = Literal["waking_machine", "making_room", "dependencies", "launching", "probing", "warming"]
STATES: tuple[State, ...] = ("cold", "starting", "hot", "stopping", "failed")


class PlaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a service: where it can run and how it is there."""

    machine: str
    base_url: str | None
    state: State
    reason: str | None = None
    managed: bool = False
    leases: int = 0


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it is now. Times are RFC 3339 in UTC, durations are seconds."""

    id: str
    state: State
    readiness: Readiness
    phase: Phase | None = None
    reason: str | None = None
    machine: str | None = None
    base_url: str | None = None
    managed: bool = False
    places: tuple[PlaceStatus, ...] = ()
    waiters: int = 0
    leases: int = 0
    idle_for_s: float | None = None
    idle_timeout_s: float | None = None
    hot_since: str | None = None
    last_used: str | None = None
    starts: int = 0
    last_start_s: float | None = None
    expected_start_s: float | None = None
    last_error: str | None = None
    cooldown_s: float | None = None
    held_until: str | None = None
    kept_by: tuple[str, ...] = ()
    """What else than leases keeps a hot one awake: services that need it, by id, `keep_warm`, `busy`."""


class ServiceList(msgspec.Struct, frozen=True, kw_only=True):
    services: tuple[ServiceStatus, ...]


class MachineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it is now, and what holds it awake: services by id, their places in use as leases."""

    id: str
    state: State
    capacity: dict[str, float] = {}
    used: dict[str, float] = {}
    held_until: str | None = None
    holds: tuple[str, ...] = ()
    leases: int = 0
    last_error: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway itself; it never depends on a service."""

    status: Literal["ok"] = "ok"
    version: str


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /` tells a program: which addresses exist here."""

    version: str
    health: str = "/__health"
    dashboard: str = "/dashboard/"
    metrics: str = "/metrics"
    services_status: str = "/v1/services"
    services: dict[str, str]
