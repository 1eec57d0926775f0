"""The waiting page: ours, the operator's own, and what a frame gets; with the answers to what the page asks.

Each answer is a whole HTTP answer as bytes. Nothing of the view gets into a page unescaped, and nothing but the page's
own style and script runs: the policy names them by their hashes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from hestia.doors.cold import JSON, NO_STORE, Fields, cors, whole
from hestia.rules.waiting_words import look_of, refresh, retry_after, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from hestia.h1.request import RequestHead
    from hestia.rules.waiting_words import WaitingView, Words

FIELD: Final = re.compile(r"\{\{(\w+)\}\}")
HTML: Final = ("Content-Type", "text/html; charset=utf-8")
TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
PROXY_STATUS: Final = ("Proxy-Status", "hestia; error=destination_unavailable")
HIDDEN: Final = " hidden"
UNKNOWN_WIDTH: Final = 30


class Page:
    """A page with places `{{name}}`, and the policy it is sent with."""

    __slots__ = ("own", "policy", "refreshes", "text")

    def __init__(self, text: str, policy: str, *, own: bool = False, refreshes: bool = True) -> None:
        self.text = text
        self.policy = policy
        self.own = own
        self.refreshes = refreshes

    def render(self, view: WaitingView, zone: tzinfo | None) -> str:
        places = own_places(view) if self.own else places_of(view, words_of(view, zone))
        return FIELD.sub(lambda found: places.get(found[1], found[0]), self.text)


def our_page() -> Page:
    """The page that comes with Hestia: one file of HTML with its style and its script inside."""
    folder = files("hestia") / "pages"
    html, style, script = (
        (folder / f"waiting.{kind}").read_text(encoding="utf-8").strip() for kind in ("html", "css", "js")
    )
    text = html.replace("{{style}}", style).replace("{{script}}", script)
    return Page(text, _policy([style], [script], inline_style=False))


def own_page(text: str) -> Page:
    """The operator's own file. Its inline scripts run as they stand in the file; it loads nothing from elsewhere."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # as browsers read it before they hash a script
    found = _Found()
    found.feed(text)
    found.close()
    refreshes = found.refreshes or bool(found.scripts)
    return Page(text, _policy([], found.scripts, inline_style=True), own=True, refreshes=refreshes)


class _Found(HTMLParser):
    """The inline scripts of a page, and whether it comes again by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.refreshes = False
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self._inside = True
            self.scripts.append("")
        elif tag == "meta" and ("http-equiv", "refresh") in {(name, (value or "").lower()) for name, value in attrs}:
            self.refreshes = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data


def _policy(styles: list[str], scripts: list[str], *, inline_style: bool) -> str:
    style = "'unsafe-inline'" if inline_style else " ".join(map(_hash, styles))
    script = " ".join(map(_hash, scripts)) or "'none'"
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src data:; font-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def own_places(view: WaitingView) -> Mapping[str, str]:
    """What an operator's page may show."""
    return {
        "name": escape(view.name),
        "phase": escape(view.phase or view.state),
        "waiters": str(view.waiters),
        "expected_s": "" if view.expected_s is None else str(round(view.expected_s)),
        "error": escape(look_of(view).last_error or ""),
    }


def places_of(view: WaitingView, words: Words) -> Mapping[str, str]:
    """What our page shows, as HTML."""
    known = words.percent is not None
    seconds = refresh(view)
    value = f' aria-valuenow="{words.percent}"' if known else ""
    return {
        "name": escape(view.name),
        "state": view.state,
        "title": escape(words.title),
        "refresh": f'<noscript><meta http-equiv="refresh" content="{seconds}"></noscript>' if seconds else "",
        "every_ms": str(words.every_ms),
        "lead": escape(words.lead),
        "phase_words": escape(words.phase),
        "why": escape(words.why),
        "why_hidden": "" if words.why else HIDDEN,
        "value": value + (f' aria-valuetext="{escape(words.left)}"' if words.left else ""),
        "bar_hidden": "" if view.state == "starting" else HIDDEN,
        "fill_class": "" if known else "unknown",
        "width": f"{words.percent if known else UNKNOWN_WIDTH}%",
        "left": escape(words.left),
        "crowd": escape(words.crowd),
        "button": escape(words.button),
        "retry_hidden": "" if words.button else HIDDEN,
        "may_cancel": "yes" if words.cancel else "",
        "lines": escape(words.lines),
        "log_hidden": "" if words.lines else HIDDEN,
    }


def page_answer(
    page: Page,
    view: WaitingView,
    head: RequestHead,
    method: bytes,
    request_id: bytes,
    *,
    keep: bool,
    wall: float,
    zone: tzinfo | None = None,
) -> bytes:
    """The waiting page for a navigation. An operator's page that does not come again by itself is made to."""
    fields = [HTML, *_fields(view, wall), ("Content-Security-Policy", page.policy), ("Referrer-Policy", "same-origin")]
    seconds = refresh(view)
    if not page.refreshes and seconds is not None:
        fields.append(("Refresh", str(seconds)))
    body = page.render(view, zone).encode("utf-8", "replace")
    return whole(503, fields, body, head, method, request_id, keep=keep)


def frame_answer(
    view: WaitingView,
    head: RequestHead,
    method: bytes,
    request_id: bytes,
    *,
    keep: bool,
    wall: float,
    zone: tzinfo | None = None,
) -> bytes:
    """The same in plain words for a frame: the page forbids framing, and a browser would show a blocked one."""
    words = words_of(view, zone)
    rows = [f"{view.name} {words.lead}", words.phase, words.why, words.left, words.crowd]
    fields = [TEXT, *_fields(view, wall)]
    seconds = refresh(view)
    if seconds is not None:
        fields.append(("Refresh", str(seconds)))
    body = "\n".join(row for row in rows if row) + "\n"
    return whole(503, fields, body.encode("utf-8", "replace"), head, method, request_id, keep=keep)


def look_answer(
    view: WaitingView,
    head: RequestHead,
    method: bytes,
    request_id: bytes,
    cors_origins: frozenset[str],
    *,
    keep: bool,
    zone: tzinfo | None = None,
) -> bytes:
    """What `Hestia-Wait` gets, in every state: for a look as well as after a retry or a cancel."""
    fields = [JSON, NO_STORE, NOSNIFF, *cors(head, cors_origins)]
    return whole(200, fields, msgspec.json.encode(look_of(view, zone)), head, method, request_id, keep=keep)


def _fields(view: WaitingView, wall: float) -> Fields:
    seconds = retry_after(view, wall)
    fields = [NO_STORE, NOSNIFF, PROXY_STATUS]
    return fields if seconds is None else [*fields, ("Retry-After", str(seconds))]
