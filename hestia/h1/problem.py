"""A refusal as bytes: problem+json (RFC 9457) for programs, a small page for a person's navigation.

Both say the same. Nothing of the request is repeated but what the refusal's detail says, and the detail never stands
in a header, so no bytes of a client can become part of a head.
"""

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

from hestia.words.refusal import Refusal

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""`Allow` of a 405 that has no list of its own: what is relayed, CONNECT and TRACE being what is not."""

EXPOSED: Final = "X-Request-ID, Retry-After, Proxy-Status"
"""What a script of an allowed origin may read beside the body."""

STYLE: Final = (
    ":root{color-scheme:light dark;--ground:#fbf7f2;--card:#fff;--ink:#2b2320;--soft:#6b5f58;--line:#e9dfd5}"
    "@media (prefers-color-scheme:dark){"
    ":root{--ground:#171311;--card:#221c19;--ink:#f3ebe5;--soft:#b3a59b;--line:#3a302b}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--ground);"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif}"
    "main{width:100%;max-width:34rem;padding:2rem clamp(1.1rem,6vw,2.25rem);background:var(--card);"
    "border:1px solid var(--line);border-top:.3rem solid #e8590c;border-radius:1.25rem}"
    "h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}"
    "p{margin:.75rem 0;overflow-wrap:anywhere;white-space:pre-wrap}"
    "small{color:var(--soft);overflow-wrap:anywhere}"
)
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{status} {title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{detail}</p>
<small>Hestia answered this itself: {status} <code>{code}</code>{service}, request <code>{request_id}</code></small>
</main>
</body>
</html>
"""


def problem(
    refusal: Refusal,
    *,
    service: str | None,
    request_id: str,
    keep_alive: bool,
    head: bool,
    navigation: bool,
    origin: str | None,
    cors_origins: frozenset[str],
    http10: bool = False,
) -> bytes:
    """A whole HTTP/1.1 answer, ready to be written; to a HEAD its head alone, with the length of the body."""
    body = problem_body(refusal, service=service, request_id=request_id, navigation=navigation)
    fields = problem_headers(
        refusal, request_id=request_id, navigation=navigation, origin=origin, cors_origins=cors_origins
    )
    fields.append(("Content-Length", str(len(body))))
    if not keep_alive:
        fields.append(("Connection", "close"))
    elif http10:
        fields.append(("Connection", "keep-alive"))
    lines = [f"HTTP/1.1 {refusal.status} {refusal.title}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if head else body)


def problem_headers(
    refusal: Refusal,
    *,
    request_id: str,
    navigation: bool = False,
    origin: str | None = None,
    cors_origins: frozenset[str] = frozenset(),
) -> list[tuple[str, str]]:
    """The header fields of the answer, but for `Content-Length` and `Connection`."""
    fields = [
        ("Content-Type", "text/html; charset=utf-8" if navigation else "application/problem+json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-ID", request_id),
        ("Proxy-Status", f"hestia; error={refusal.error}"),
    ]
    if navigation:
        fields.append(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
    return fields + _advice(refusal) + cors_fields(origin, cors_origins)


def _advice(refusal: Refusal) -> list[tuple[str, str]]:
    """The fields that tell the client what it can do."""
    fields = []
    if refusal.retry_after is not None:
        fields.append(("Retry-After", str(refusal.retry_after)))
    if refusal.code == "method_not_allowed":
        fields.append(("Allow", METHODS if refusal.allow is None else refusal.allow))
    if refusal.code == "unauthorized":
        fields.append(("WWW-Authenticate", "Bearer"))
    return fields


def cors_fields(origin: str | None, cors_origins: frozenset[str]) -> list[tuple[str, str]]:
    """`Vary` stands as soon as any origin is listed: what one origin got must not be reused for another."""
    if not cors_origins:
        return []
    if origin not in cors_origins:
        return [("Vary", "Origin")]
    return [
        ("Vary", "Origin"),
        ("Access-Control-Allow-Origin", str(origin)),
        ("Access-Control-Expose-Headers", EXPOSED),
    ]


def problem_body(refusal: Refusal, *, service: str | None, request_id: str, navigation: bool = False) -> bytes:
    """The body of the answer: problem+json, or the page for a navigation."""
    if navigation:
        return _page(refusal, service, request_id)
    problem_json = {
        "type": f"urn:hestia:error:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "service": service,
        "request_id": request_id,
        "error": {"message": refusal.detail, "type": _openai_type(refusal.status), "code": refusal.code},
    }
    # The standard library's encoder takes any str, lone surrogates too, and gives ASCII: a refusal never fails.
    return json.dumps(problem_json).encode()


def _openai_type(status: int) -> str:
    """The word that OpenAI's clients know for this kind of failure."""
    known = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return known.get(status, "invalid_request_error" if status < 500 else "server_error")  # noqa: PLR2004


def _page(refusal: Refusal, service: str | None, request_id: str) -> bytes:
    page = PAGE.format(
        status=refusal.status,
        title=escape(refusal.title),
        style=STYLE,
        detail=escape(refusal.detail),
        code=refusal.code,
        service="" if service is None else f", service <code>{escape(service)}</code>",
        request_id=escape(request_id),
    )
    return page.encode("utf-8", "backslashreplace")
