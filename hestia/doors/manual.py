"""The docs under `/dashboard/docs/`: what comes with the package, as pages that need no network.

A page is made when somebody first asks for it. It has no script, and its style is the one file beside it.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from hestia.doors.dashboard import HEADERS, HOME, KINDS, Asset
from hestia.rules.markdown import as_html, title_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from importlib.resources.abc import Traversable

    from aiohttp import web

    from hestia.doors.guest import Asked

PLACE: Final = f"{HOME}docs/"
INDEX: Final = "index.md"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Hestia</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="manual.css"></head>
<body><nav><a href="./">Docs</a> <a href="../">Dashboard</a></nav>
<main>
{body}
</main></body></html>
"""


class Leaf:
    """One file of the docs."""

    def __init__(self, source: Traversable) -> None:
        self._source = source
        self._made: Asset | None = None

    async def answer(self, request: Asked) -> web.Response:
        if self._made is None:
            self._made = self._make()
        return await self._made.answer(request)

    def _make(self) -> Asset:
        headers = {**HEADERS, "Content-Security-Policy": POLICY}
        body = self._source.read_bytes()
        return Asset(self._source.name, as_page(body) if self._source.name.endswith(".md") else body, headers)


def as_page(body: bytes) -> bytes:
    text = body.decode("utf-8", "replace")
    return PAGE.format(title=escape(title_of(text)), body=as_html(text)).encode()


def manual() -> dict[str, Callable[[Asked], Awaitable[web.Response]]]:
    """What answers, by path. The index is the folder too."""
    found = {PLACE + name: Leaf(source).answer for name, source in _files()}
    return {**found, PLACE: found[PLACE + INDEX]}


def _files() -> Iterator[tuple[str, Traversable]]:
    docs = files("hestia") / "docs"
    pictures = docs / "pictures"
    for prefix, folder in (("", docs), ("pictures/", pictures)):
        for each in folder.iterdir() if folder.is_dir() else ():
            if each.is_file() and each.name.rpartition(".")[2] in KINDS:
                yield prefix + each.name, each
