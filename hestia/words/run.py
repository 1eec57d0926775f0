"""What was launched and may outlive the gateway: written down before it exists, read again for adoption."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from hestia.words.launch_spec import Launch

VERSION = 1


class Told(Struct, frozen=True, kw_only=True):
    """Addresses that a start told: they hold for this life and go before those of the configuration."""

    base_url: str | None = None
    health_url: str | None = None
    misheard: str | None = None  # the last line of that kind whose address is none, in words for the operator


class Run(Struct, frozen=True, kw_only=True):
    """One life of a place or of a machine. Its launchers are filled in: no placeholder is left in their texts.

    `handle` is the launcher's own: what it needs to find the thing again, and to tell it from a stranger.
    """

    version: int = VERSION
    id: str  # unique for this life
    of: Literal["service", "machine"] = "service"
    owner: str  # the id of the service or of the machine
    number: int = 0  # which of its service's places
    machine: str
    launch: Launch | None
    stop_with: Launch | None = None
    base_url: str | None = None  # filled in; what the start told goes before it
    health_url: str | None = None
    told: Told = Told()
    port: int | None = None
    socket: str | None = None
    request_id: str = ""
    since: float = 0.0  # by the calendar
    spec: str = ""  # a digest of what the configuration said; another one means that the place was changed
    handle: dict[str, Any] = {}
