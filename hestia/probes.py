"""Is it there? One readiness check of a place, and the looks that a status takes at services which Hestia watches."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from hestia.words.spec import Place

LIMIT_S = 5.0
BODY_BYTES = 64 * 1024
TRUSTED_FOR_S = 1.0
AT_ONCE = 32


async def probe(place: Place, *, tls_verify: bool | str = True, limit: float = LIMIT_S) -> str | None:
    """Ask once, for `limit` seconds at most. None: it is ready; else the reason, in words for the operator.

    With a `health_url` its answer must be one of `health_status` (`tcp://`: it accepts); without, any HTTP status of
    `base_url` will do. Redirects are not followed. Raises nothing but cancellation.
    """
    url = place.health_url or place.base_url
    if url is None or "{" in url:
        return "it has no address before it is started"
    try:
        async with asyncio.timeout(limit):
            if url.startswith("tcp://"):
                await _accepts(url)
                return None
            return await _answers(url, place, tls_verify)
    except TimeoutError:
        return f"no answer within {limit:g}s"
    except (OSError, ValueError, aiohttp.ClientError) as error:
        return reason_of(error)


async def _accepts(url: str) -> None:
    parts = urlsplit(url)
    _reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()


async def _answers(url: str, place: Place, tls_verify: bool | str) -> str | None:
    async with _session(url, tls_verify) as session, session.get(_plain(url), allow_redirects=False) as answer:
        status = answer.status
        await answer.content.read(BODY_BYTES)
    if place.health_url is None or any(low <= status <= high for low, high in place.health_status):
        return None
    return f"health answered {status}: set health_status"


def _session(url: str, tls_verify: bool | str) -> aiohttp.ClientSession:
    connector: aiohttp.BaseConnector
    if url.startswith("http+unix://"):
        connector = aiohttp.UnixConnector(path=unquote(url.removeprefix("http+unix://")), force_close=True)
    else:
        connector = aiohttp.TCPConnector(ssl=_tls(url, tls_verify), force_close=True)
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "hestia-probe"},
    )


def _tls(url: str, tls_verify: bool | str) -> ssl.SSLContext | bool:
    if not url.startswith("https:"):
        return True
    return ssl.create_default_context(cafile=tls_verify) if isinstance(tls_verify, str) else tls_verify


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


class Watched(Protocol):
    """A live service, as far as a look needs it."""

    id: str
    leases: int
    state: Any
    spec: Any

    def answered(self) -> None: ...
    def unreachable(self, reason: str) -> None: ...


class Looks:
    """Looks at services when a status is asked for: one probe per service at a time, however many ask.

    Its tasks are fenced: `probe` raises nothing, each ends within LIMIT_S, and `close` ends them all.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._running: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, float] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def look(self, services: Iterable[Watched], patience: float = 1.0) -> None:
        """Look at all of them side by side; come back when all are seen, after `patience` seconds at the latest.

        A look that takes longer goes on, and the next status shows what it found.
        """
        tasks = [self._task(service) for service in services if self._worth_it(service)]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    def _worth_it(self, service: Watched) -> bool:
        # An open exchange says more than a probe does; and many who ask at once need only one look.
        if service.leases and service.state == "hot":
            return False
        return self._now() - self._seen.get(service.id, -TRUSTED_FOR_S) >= TRUSTED_FOR_S

    def _task(self, service: Watched) -> asyncio.Task[None]:
        running = self._running.get(service.id)
        if running is None:
            running = self._running[service.id] = _start(self._see(service))
        return running

    async def _see(self, service: Watched) -> None:
        try:
            async with self._turns:
                reason = await probe(service.spec.places[0], tls_verify=service.spec.tls_verify)
            if reason is None:
                service.answered()
            elif not service.leases:  # a server that is busy with a request may be late for its check
                service.unreachable(reason)
            self._seen[service.id] = self._now()
        finally:
            del self._running[service.id]

    async def close(self) -> None:
        """End the looks that still run."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _start(look: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(look)
