"""Hestia's own pages that are no use-case: which addresses there are, and for now a plain list as the dashboard."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from aiohttp import web
from msgspec import Struct

from hestia.doors.api_routes import addresses
from hestia.doors.guest import Asked, is_navigation
from hestia.h1.problem import CONTENT_SECURITY_POLICY, STYLE
from hestia.words.status import ServiceStatus


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


def dashboard(services: Iterable[ServiceStatus]) -> web.Response:
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(body=_page(services).encode(), headers=headers)


def _page(services: Iterable[ServiceStatus]) -> str:
    rows = "".join(
        f'<li><a href="/services/{escape(each.id)}/">{escape(each.id)}</a>: {each.state}'
        f"{escape(f' ({each.reason})') if each.reason else ''}</li>"
        for each in services
    )
    return _PAGE.format(style=STYLE, rows=rows or "<li>No service is configured.</li>")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hestia</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Services</h1>
<ul>
{rows}
</ul>
<small><a href="/v1/services">as JSON</a> · <a href="/metrics">metrics</a></small>
</main>
</body>
</html>
"""
