"""One question to an engine's HTTP API: bounded in time and size, redirects not followed, reasons in plain words."""

import asyncio
import ssl
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

LIMIT_S = 30.0
SETTLE_S = 10.0
MOST_BYTES = 8 * 1024 * 1024
SHORTEST_SECRET = 4  # shorter ones stand in every other word
MOST_WORDS = 300


class NoAnswer(Exception):
    """There was no answer that can be used; the text says why, without addresses and secrets."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, whatever its status."""

    status: int
    body: bytes

    def json(self) -> Any:
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            raise NoAnswer(f"{self.status}: its answer is no JSON", self.status) from None


class Tls(NamedTuple):
    """How an https address is asked: whom we trust and who we are; the name in its certificate, where that differs."""

    context: ssl.SSLContext
    server_name: str | None = None


T = TypeVar("T")


async def settled(call: Coroutine[Any, Any, T], *, limit: float = SETTLE_S, problem: type[Exception] = NoAnswer) -> T:
    """Cancelled, it first has the answer: what was sent may be obeyed after a stop that is sent later.

    The answer is lost all the same; only the order is kept. `problem` is what the call may raise.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_caught(call, problem))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=limit)
            raise
    result = task.result()
    if isinstance(result, Exception):
        raise result
    return result


async def _caught(call: Coroutine[Any, Any, T], problem: type[Exception]) -> T | Exception:
    """A group would wrap the error of its task."""
    try:
        return await call
    except problem as error:
        return error


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    limit: float = LIMIT_S,
    most: int = MOST_BYTES,
    tls: Tls | None = None,
) -> Answer:
    """Ask once, on a connection of its own. Raises NoAnswer and nothing else but cancellation."""
    try:
        async with (
            asyncio.timeout(limit),
            _session() as session,
            session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                ssl=tls.context if tls is not None else True,
                server_hostname=tls.server_name if tls is not None else None,
            ) as answer,
        ):
            return Answer(answer.status, await _whole(answer.content, most))
    except TimeoutError:
        raise NoAnswer(f"no answer within {limit:g}s") from None
    except (OSError, ValueError, aiohttp.ClientError) as error:
        # `from None`: the words of aiohttp's errors hold the address, and at times the headers.
        raise NoAnswer(_reason(error)) from None


def _session() -> aiohttp.ClientSession:
    """Without the environment's proxies and netrc: an engine is asked directly, with the headers it was given."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": "hestia", "Accept-Encoding": "identity"},
    )


async def _whole(content: aiohttp.StreamReader, most: int) -> bytes:
    body = bytearray()
    async for piece in content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > most:
            raise NoAnswer(f"its answer is longer than {most // 1024} KiB")
    return bytes(body)


def _reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for kind, words in _REASONS:
        if isinstance(error, kind) or isinstance(cause, kind):
            return words
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return f"no HTTP answer ({type(cause).__name__})"


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its host name is not known"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (aiohttp.ClientPayloadError, "the connection was cut in the middle of the answer"),
    (aiohttp.ServerDisconnectedError, "it closed the connection without an answer"),
    (aiohttp.InvalidURL, "its address is no URL"),
)


def said(answer: Answer) -> str:
    """What an answer says of its failure: many say nothing, with a JSON type and no body."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        found = answer.body.decode(errors="replace")
    if isinstance(found, dict):
        found = next((found[key] for key in ("error", "message", "detail", "reason") if found.get(key)), found)
    words = found if isinstance(found, str) else msgspec.json.encode(found).decode() if found else ""
    words = " ".join(words.split())
    if words.startswith("<"):  # a page for people, of a proxy in front of it
        return ""
    return words if len(words) <= MOST_WORDS else words[:MOST_WORDS] + " ..."


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret blotted out: engines quote what they were sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text
