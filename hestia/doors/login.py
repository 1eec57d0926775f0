"""The login page, and what its form posts to: `/__login` and `/__logout`, on every address and host while auth is on.

The page works without a script. It stands with status 401 at the very address that was asked for, and brings back to
it. What is typed is checked in threads of its own, at most two at once: scrypt takes 32 MiB and a core for a while.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from html import escape
from time import monotonic
from typing import Final, Protocol
from urllib.parse import parse_qs

from aiohttp import web

from hestia.doors.guest import Asked
from hestia.doors.session import Sessions
from hestia.h1.problem import STYLE as PAGE_STYLE
from hestia.h1.problem import problem_headers
from hestia.rules.admission import LOGIN, LOGOUT
from hestia.rules.keys import KeyRing
from hestia.rules.passwords import LONGEST, fits, read_hash, same
from hestia.rules.tries import Tries
from hestia.words.refusal import Refusal
from hestia.words.spec import Dashboard

AT_ONCE: Final = 2
MOST_BODY: Final = 8192
MOST_FIELDS: Final = 8
FORM: Final = "application/x-www-form-urlencoded"
ALLOW: Final = "GET, HEAD, POST"
HOME: Final = "/"
# A path on this very host: "//host" and "/\\host" name another one, and browsers read a backslash as a slash.
RETURN: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,4095})?")

STYLE: Final = PAGE_STYLE + (
    "main{max-width:25rem}form{display:grid;gap:.9rem}label{display:grid;gap:.25rem;color:var(--soft)}"
    "input,button{min-height:2.75rem;padding:.5rem .9rem;border:1px solid #8d7c72;border-radius:1.5rem;"
    "background:var(--card);color:var(--ink);font:inherit}"
    "button{border-color:#c2410c;background:#c2410c;color:#fff;font-weight:600;cursor:pointer}"
    ":focus-visible{outline:3px solid #e8590c;outline-offset:2px}"
)
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),  # with `no-referrer` browsers post the form with `Origin: null`
)

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{words}<form method="post" action="{action}">
{fields}<button>{title}</button>
</form>
</main>
</body>
</html>
"""
NAME_FIELDS: Final = """<label>Name
<input name="username" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
"""
KEY_FIELDS: Final = """<label>Key <input name="key" type="password" autocomplete="current-password" required></label>
"""


class Tell(Protocol):
    """Writes an event to the log (telemetry/log.py)."""

    def __call__(self, name: str, level: str = "info", **fields: object) -> None: ...


class Login:
    """Lets browsers in. There is one for the gateway's life: what was tried before a reload still counts."""

    def __init__(
        self,
        dashboard: Dashboard | None,
        sessions: Sessions,
        ring: Callable[[], KeyRing],
        tell: Tell,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Without `dashboard`, what is asked for is a key that opens everything."""
        self.dashboard = dashboard
        self.sessions = sessions
        self.tries = Tries()
        self._ring = ring
        self._tell = tell
        self._clock = clock
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hestia-login")

    def changed(self, dashboard: Dashboard | None) -> None:
        """After a reload, and after a key was added or removed: sessions of what is gone end."""
        self.dashboard = dashboard
        credentials = {key.digest for key in self._ring().keys if key.everything}
        if dashboard is not None:
            credentials.add(_credential(dashboard))
        self.sessions.keep(credentials)

    def close(self) -> None:
        """No further checks; one that runs ends within a second."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def page(self, back: str, words: str = "") -> bytes:
        """The form. `back` is where it leads, `words` what went wrong."""
        fields = NAME_FIELDS if self.dashboard is not None else KEY_FIELDS
        fields += f'<input type="hidden" name="next" value="{escape(safe_return(back))}">\n'
        return _page("Log in", LOGIN, fields, words)

    async def answer(self, request: Asked) -> web.StreamResponse:
        """A request to one of the two paths. Raises Refusal. What comes from pages elsewhere was refused before."""
        out = request.rel_url.raw_path == LOGOUT.decode()
        if request.method in {"GET", "HEAD"}:
            body = _page("Log out", LOGOUT, "", "") if out else self.page(request.rel_url.query.get("next", HOME))
            return web.Response(body=body, headers=HEADERS)
        if request.method != "POST":
            raise Refusal("method_not_allowed", "Only GET and POST are taken here.", allow=ALLOW)
        return self._log_out(request) if out else await self._log_in(request)

    def _log_out(self, request: Asked) -> web.Response:
        """Needs no form and no key: whoever has the session may end it."""
        self.sessions.end(self._tokens(request))
        response = web.Response(status=303, headers={"Location": LOGIN.decode()})
        for secure in {False, request.caller.scheme == "https"}:
            response.headers.add("Set-Cookie", self.sessions.cookie("", secure=secure))
        return response

    async def _log_in(self, request: Asked) -> web.Response:
        form = await _read_form(request)
        back = safe_return(form.get("next", HOME))
        caller = request.caller
        wait = self.tries.take(caller.client, self._clock())
        if wait:
            words = f"Too many tries have failed. The next one is let in after {wait} s."
            return self._refused(request, Refusal("too_many_tries", words, retry_after=wait), back)
        credential, who = await self._check(form)
        if credential is None:
            words = "This key opens nothing here." if self.dashboard is None else "Name or password are wrong."
            return self._refused(request, Refusal("unauthorized", words), back)
        self.tries.give_back(caller.client)
        self.sessions.end(self._tokens(request))
        token = self.sessions.begin(who, credential)
        self._tell("auth.accepted", "debug", how="login", who=who, client=caller.client, request_id=caller.request_id)
        cookie = self.sessions.cookie(token, secure=caller.scheme == "https")
        return web.Response(status=303, headers={"Location": back, "Set-Cookie": cookie})

    async def _check(self, form: dict[str, str]) -> tuple[bytes | None, str]:
        """The digest of the credential, if what was typed is right, and whose it is."""
        login = self.dashboard
        if login is None:
            key = self._ring().find(form.get("key", "").strip().encode("utf-8", "replace"))
            return (key.digest, key.name) if key is not None and key.everything else (None, "")
        password = form.get("password", "")
        if len(password) > LONGEST:
            return None, ""
        if login.password_hash is not None:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._threads, fits, password, read_hash(login.password_hash))
        else:
            right = same(password, login.password or "")
        if same(form.get("username", ""), login.username) and right and self.dashboard is login:
            return _credential(login), login.username
        return None, ""

    def _refused(self, request: Asked, refusal: Refusal, back: str) -> web.Response:
        """The page again for a person, the error for a program."""
        caller = request.caller
        self._tell(
            "auth.refused",
            "warning",
            rule="login",
            code=refusal.code,
            client=caller.client,
            request_id=caller.request_id,
        )
        if "text/html" not in request.headers.get("Accept", "").lower():
            raise refusal
        caller.outcome = refusal.code
        headers = page_headers(refusal, caller.request_id)
        return web.Response(status=refusal.status, body=self.page(back, refusal.detail), headers=headers)

    def _tokens(self, request: Asked) -> list[bytes]:
        lines = request.headers.getall("Cookie", [])
        return [token for line in lines for token in self.sessions.take_out(line.encode("utf-8", "surrogateescape"))[0]]


def page_headers(refusal: Refusal, request_id: str) -> list[tuple[str, str]]:
    """The header fields of a refusal that is shown as the login page."""
    own = {name for name, _ in HEADERS}
    return [*HEADERS, *(field for field in problem_headers(refusal, request_id=request_id) if field[0] not in own)]


def safe_return(address: str) -> str:
    """Where a login leads: a path of this host with its query, else the front page. Never to another host."""
    if RETURN.fullmatch(address) is None or address.partition("?")[0] in {LOGIN.decode(), LOGOUT.decode()}:
        return HOME
    return address


def _page(title: str, action: bytes, fields: str, words: str) -> bytes:
    said = f'<p role="alert">{escape(words)}</p>\n' if words else ""
    return PAGE.format(title=title, style=STYLE, words=said, action=action.decode(), fields=fields).encode()


def _credential(login: Dashboard) -> bytes:
    """Changes with the name and the password, so that sessions end with them."""
    parts = (login.username, login.password_hash or "", login.password or "")
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


async def _read_form(request: Asked) -> dict[str, str]:
    """The fields of the form, the first of each. Raises Refusal."""
    if request.content_type != FORM:
        raise Refusal("bad_request", f"The form of the login page sends {FORM}.")
    body = await request.body(MOST_BODY)
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refusal("bad_request", "The body is no form of the login page.") from None
    return {name: values[0] for name, values in fields.items()}
