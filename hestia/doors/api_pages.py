"""Where things are: what `GET /` tells a program, and where it leads a person."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from msgspec import Struct

from hestia.doors.api_routes import addresses
from hestia.doors.guest import Asked, is_navigation


class Addresses(Struct, frozen=True, kw_only=True):
    """What `GET /` tells a program: which addresses exist here."""

    version: str
    health: str = "/__health"
    dashboard: str = "/dashboard/"
    metrics: str = "/metrics"
    openapi: str = "/v1/openapi.json"
    api: tuple[str, ...] = ()
    services: dict[str, str] = {}


def root(request: Asked, services: Iterable[str], version: str) -> web.Response | Addresses:
    if is_navigation(request):
        return web.Response(status=302, headers={"Location": "/dashboard/"})
    return Addresses(
        version=version, api=tuple(addresses()), services={id_: f"/services/{id_}/" for id_ in services}
    )


def to_dashboard() -> web.Response:
    return web.Response(status=308, headers={"Location": "/dashboard/"})
