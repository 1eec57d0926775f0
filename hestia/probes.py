"""Is it there? One readiness check of a place, and the question whether it works without a request."""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from hestia.ports import Check, Seen

LIMIT_S = 5.0
BODY_BYTES = 64 * 1024
FETCHED_BYTES = 1024 * 1024
GOOD = range(200, 300)


async def probe(check: Check, limit: float = LIMIT_S) -> Seen:
    """Ask once, for `limit` seconds at most. A reason is in words for the operator.

    The answer's status must be one of `statuses`, any will do without (`tcp://`: it accepts). Redirects are not
    followed. Raises nothing but cancellation.
    """
    try:
        async with asyncio.timeout(limit):
            if check.url.startswith("tcp://"):
                await _accepts(check.url)
                return Seen()
            return Seen(await _answers(check))
    except TimeoutError:
        return Seen(f"no answer within {limit:g}s", at_once=False)
    except (OSError, ValueError, aiohttp.ClientError) as error:
        return Seen(reason_of(error), refused=_nobody_listens(error))


async def ask(url: str, limit: float = LIMIT_S) -> str | None:
    """The first 64 KiB of a 2xx answer; None when there is no such answer. Raises nothing but cancellation."""
    try:
        async with (
            asyncio.timeout(limit),
            _session(url, verify=True) as session,
            session.get(_plain(url), allow_redirects=False) as answer,
        ):
            body = await _beginning(answer)
            return body.decode("utf-8", "replace") if answer.status in GOOD else None
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError):
        return None


async def fetch(base_url: str, path: str, verify: bool | str, headers: Mapping[str, str]) -> bytes | None:
    """The body of a 2xx answer of a service, up to 1 MiB, within 5 s. Raises nothing but cancellation."""
    unix = base_url.startswith("http+unix://")
    url = URL((("http://localhost" if unix else base_url.rstrip("/")) + path), encoded=True)
    try:
        async with (
            asyncio.timeout(LIMIT_S),
            _session(base_url, verify=verify) as session,
            session.get(url, allow_redirects=False, headers=headers) as answer,
        ):
            body = await _beginning(answer, FETCHED_BYTES)
            return body if answer.status in GOOD else None
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError):
        return None


async def _accepts(url: str) -> None:
    parts = urlsplit(url)
    _reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()


async def _answers(check: Check) -> str | None:
    async with (
        _session(check.url, verify=check.tls_verify) as session,
        session.get(_plain(check.url), allow_redirects=False) as answer,
    ):
        status = answer.status  # its body may never end, and says nothing that is asked here
    if check.statuses is None or any(low <= status <= high for low, high in check.statuses):
        return None
    return f"health answered {status}: set health_status"


async def _beginning(answer: aiohttp.ClientResponse, most: int = BODY_BYTES) -> bytes:
    """As much of the body as is looked at; a check that streams for ever is not waited for."""
    begin = b""
    while len(begin) < most and (more := await answer.content.read(most - len(begin))):
        begin += more
    return begin


def _session(url: str, *, verify: bool | str) -> aiohttp.ClientSession:
    connector: aiohttp.BaseConnector
    if url.startswith("http+unix://"):
        connector = aiohttp.UnixConnector(path=unquote(url.removeprefix("http+unix://")), force_close=True)
    else:
        connector = aiohttp.TCPConnector(ssl=_tls(url, verify=verify), force_close=True)
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "hestia-probe"},
    )


def _tls(url: str, *, verify: bool | str) -> ssl.SSLContext | bool:
    if not url.startswith("https:"):
        return True
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify


def _plain(url: str) -> URL:
    """What to ask for: of a unix socket its root, since the path of such a URL names the socket."""
    return URL("http://localhost/") if url.startswith("http+unix://") else URL(url, encoded=True)


def reason_of(error: Exception) -> str:
    """Why there was no answer, as an operator would say it; never with an address or a header of ours."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for kind, words in _REASONS:
        if isinstance(cause, kind):
            return words
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return f"no HTTP answer ({type(cause).__name__})"


def _nobody_listens(error: Exception) -> bool:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return isinstance(cause, ConnectionRefusedError | FileNotFoundError)


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted: set tls_verify"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted: set tls_verify"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (FileNotFoundError, "its socket does not exist"),
    (PermissionError, "no permission to use its socket"),
    (aiohttp.ServerDisconnectedError, "it closed the connection without an answer"),
    (aiohttp.ClientConnectorDNSError, "its host name is not known"),
    (aiohttp.InvalidURL, "its address is no URL"),
)
