"""Puts one row of a table to the test: end to end, then a victim on a new connection. Gives back complaints, none if all is well."""

from __future__ import annotations

from tests.support import hostile_answers, hostile_requests
from tests.support.gateway import Running
from tests.support.hostile_answers import View
from tests.support.wire import (
    BrokenError,
    MalformedError,
    Message,
    Upstream,
    Wire,
    answering,
    in_pieces,
    in_turn,
    saying,
    turns,
)

WITHIN = 2.0
VICTIM = b"GET /services/a/victim HTTP/1.1\r\nHost: localhost\r\nX-Token: %b\r\n\r\n"


async def _first_answer(client: Wire, method: bytes) -> Message | None:
    try:
        return await client.answer(method, WITHIN)
    except (BrokenError, ConnectionError):
        return None


async def victim(gateway: Running, token: bytes) -> list[str]:
    """Somebody else's request, on a new connection, through the same pool."""
    try:
        message = await gateway.ask(VICTIM % token, within=WITHIN)
    except (AssertionError, BrokenError, MalformedError) as error:
        return [f"the victim got nothing: {error!r}"]
    wanted = b"GET|/victim|" + token + b"|"
    return [] if message.body == wanted else [f"the victim got {message.raw!r}"]


async def try_request(gateway: Running, upstream: Upstream, row: hostile_requests.Row, *, pieces: bool) -> list[str]:
    """Sends the row and looks at both sides."""
    client = await gateway.dial()
    try:
        complaints = await _send_and_look(client, row, pieces=pieces)
        complaints += await _upstream_saw(upstream, row)
    finally:
        client.transport.abort()
    return complaints + await victim(gateway, b"after-request")


async def _send_and_look(client: Wire, row: hostile_requests.Row, *, pieces: bool) -> list[str]:
    await client.send_pieces(in_pieces(row.raw)) if pieces else client.transport.write(row.raw)
    try:
        message = await _first_answer(client, row.raw.split(b" ", 1)[0])
        status = message.status if message else 0
        complaints = [] if status in row.status else [f"answered {status} instead of {row.status}"]
        if row.closes or not message:
            await client.until(lambda: client.ended, WITHIN)
            if message and client.unread:
                complaints.append(f"more was answered: {client.unread!r}")
    except AssertionError as error:
        return [str(error)]
    except MalformedError as error:
        return [f"the client got what is no answer: {error}"]
    if message and status >= 400 and row.raw[:40] in message.body:
        complaints.append("the answer echoes the input")
    return complaints


async def _upstream_saw(upstream: Upstream, row: hostile_requests.Row) -> list[str]:
    await turns(5)
    if row.seen is None:
        return [f"the upstream saw {upstream.seen!r}"] if upstream.seen else []
    try:
        if row.seen == "aborted":
            for wire in upstream.wires:
                await wire.until(lambda wire=wire: wire.ended, WITHIN)
            return [f"the upstream saw a whole request: {seen.raw!r}" for seen in upstream.requests()]
        seen = upstream.requests()
    except AssertionError:
        return ["the upstream's connection was left open"]
    except MalformedError as error:
        return [f"the upstream saw what is no request: {error}"]
    return [] if row.seen(seen) else [f"the upstream saw {upstream.seen!r}"]


def misbehaving(row: hostile_answers.Row, *, pieces: bool) -> Upstream:
    """An upstream that plays the row once, on its first connection, and is well-behaved in everything else."""
    steps: list[bytes | str] = []
    for step in row.steps:
        steps += in_pieces(step) if pieces and isinstance(step, bytes) else [step]
    return Upstream(in_turn(saying(*steps, then=answering), answering))


async def try_answer(gateway: Running, upstream: Upstream, row: hostile_answers.Row) -> list[str]:
    """Asks, looks at the answer, asks again on the same connection if that still stands, then sends a victim."""
    client = await gateway.dial()
    try:
        complaints = await _ask_and_look(client, row)
        if len(upstream.requests()) != 1:
            complaints.append(f"the upstream was asked {len(upstream.requests())} times")
        if not complaints and not client.ended and row.request.startswith(b"GET") and b"HTTP/1.1" in row.request:
            complaints += await _again(client)
    finally:
        client.transport.abort()
    complaints += await victim(gateway, b"after-answer")
    if row.rule.startswith("surplus") and not upstream.wires[0].ended:
        complaints.append("a connection with more on it than its answer was kept")
    return complaints


async def _ask_and_look(client: Wire, row: hostile_answers.Row) -> list[str]:
    await client.send(row.request)
    try:
        message = await _first_answer(client, row.method)
        await client.until(lambda: message or client.lost or client.eof, WITHIN)
        await turns(3)
    except AssertionError as error:
        return [str(error)]
    except MalformedError as error:
        return [f"the client got what is no answer: {error}"]
    view = View(message, bytes(client.received), client.reset)
    if not row.view(view):
        return [f"the client got {view.got[:2000]!r}, reset: {view.reset}"]
    if message and client.unread:
        return [f"the client got more: {client.unread[:2000]!r}"]
    if message and message.get(b"connection") == b"close":
        await client.until(lambda: client.ended, WITHIN)
    return []


async def _again(client: Wire) -> list[str]:
    await client.send(VICTIM % b"again")
    try:
        message = await _first_answer(client, b"GET")
    except (AssertionError, MalformedError) as error:
        return [f"a second request on the same connection: {error}"]
    if message is None or message.body != b"GET|/victim|again|":
        return [f"a second request on the same connection got {message.raw if message else client.unread!r}"]
    return []
