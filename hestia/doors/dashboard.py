"""The dashboard: its files as they come with the package, and what its script learns nowhere else.

Everything that it shows and does goes through the API, so it may do what whoever looks at it may do.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from hestia.doors.verbs_answers import RouteShown
from hestia.plugins.strategies import StrategyInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hestia.doors.guest import Asked
    from hestia.doors.session import Sessions
    from hestia.doors.verbs import Verbs

HOME: Final = "/dashboard/"
ABOUT: Final = f"{HOME}about.json"
NAME: Final = "dashboard"
KINDS: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "md": "text/html",  # the docs, made into pages
    "png": "image/png",
}
HEADERS: Final = {
    # Trusted Types: no text gets into the page as HTML, by whatever mistake of its script.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class About(Struct, frozen=True, kw_only=True):
    """What the dashboard's script learns nowhere else."""

    version: str
    started: str
    file: str | None
    session: bool
    """Whoever asks has a session, which a logout ends."""
    services_at: str | None
    """Where services answer, if not at the dashboard's own address."""
    routes: tuple[RouteShown, ...]
    strategies: tuple[StrategyInfo, ...]


class Asset:
    """One file of the page. It is asked for again at each visit, and sent when it has changed."""

    def __init__(self, name: str, body: bytes, headers: Mapping[str, str] = HEADERS) -> None:
        self.body = body
        kind = KINDS[name.rpartition(".")[2]]
        self.tag = f'"{sha256(body).hexdigest()[:32]}"'
        self.headers = {**headers, "Content-Type": f"{kind}; charset=utf-8", "ETag": self.tag}

    async def answer(self, request: Asked) -> web.Response:
        known = request.headers.get("If-None-Match", "")
        if self.tag in {each.strip().removeprefix("W/") for each in known.split(",")}:
            return web.Response(status=304, headers=self.headers)
        return web.Response(body=self.body, headers=self.headers)


class Dashboard:
    """The paths under `/dashboard/`, each with what answers there."""

    def __init__(self, verbs: Verbs, sessions: Sessions) -> None:
        self._verbs = verbs
        self._sessions = sessions
        self.pages = {**{path: asset.answer for path, asset in assets().items()}, ABOUT: self.about}

    async def about(self, request: Asked) -> web.Response:
        """Raises Refusal."""
        hello: Any = await self._verbs.call("hello", {})
        shown: Any = await self._verbs.call("config.show", {})
        strategies: Any = await self._verbs.call("strategies.list", {})
        said = About(
            version=hello.version,
            started=hello.started,
            file=shown.file,
            session=self._has_session(request),
            services_at=services_at(shown.settings, hello.listen),
            routes=shown.routes,
            strategies=strategies.strategies,
        )
        return web.Response(body=msgspec.json.encode(said) + b"\n", content_type="application/json")

    def _has_session(self, request: Asked) -> bool:
        lines = [line.encode("utf-8", "surrogateescape") for line in request.headers.getall("Cookie", [])]
        return self._sessions.find([token for line in lines for token in self._sessions.take_out(line)[0]]) is not None


def assets() -> dict[str, Asset]:
    """By path. The page itself is the folder."""
    found = {}
    for each in (files("hestia") / "pages").iterdir():
        if each.name.startswith(f"{NAME}."):
            path = HOME if each.name == f"{NAME}.html" else HOME + each.name
            found[path] = Asset(each.name, each.read_bytes())
    return found


def services_at(settings: Any, listen: tuple[str, ...]) -> str | None:
    """With `admin_listen` the dashboard stands at an address where no service answers: the first of `listen` does."""
    apart = any(each.key.startswith("admin_listen") and each.value for each in settings)
    return next((each for each in listen if each.startswith(("http://", "https://"))), None) if apart else None
