"""The demo servers: small programs to try a gateway on with nothing else installed. `hestia demo --port` runs one."""

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import WSMsgType, web

from hestia.cli.demo_servers import big_app, chat_app, health
from hestia.wire import DONE, FAILED

EVENTS: Final = 10
EVENT_EVERY_S: Final = 0.5
BODY_SHOWN: Final = 1024  # of an echoed body; the rest is only counted, so that any size may be sent
LOOK_EVERY_S: Final = 0.5  # for the process that it must not outlive
FLAKY: Final = "flaky"

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hestia demo</title>
<style>:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}
</style></head><body>
<h1>It works</h1>
<p>This page comes from the demo service, through Hestia. Its other addresses:</p>
<ul>
<li><a href="echo">echo</a>: what arrived here, as JSON (any method)</li>
<li><a href="stream">stream</a>: ten server-sent events, two a second</li>
<li><code>ws</code>: a WebSocket that repeats what it is told</li>
<li><a href="health">health</a>: what a readiness check asks</li>
</ul>
</body></html>
"""

Closer = Callable[[], Awaitable[None]]


async def page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html", headers={"X-Content-Type-Options": "nosniff"})


async def echo(request: web.Request) -> web.Response:
    """Method, path, headers and body as this side saw them: what a gateway changed can be read off."""
    begin, size = b"", 0
    async for chunk in request.content.iter_any():
        begin += chunk[: BODY_SHOWN - len(begin)]
        size += len(chunk)
    names = list(dict.fromkeys(request.headers))
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "headers": {name: ", ".join(request.headers.getall(name)) for name in names},
        "body_bytes": size,
        "body_begins": begin.decode(errors="replace"),
    }
    return web.json_response(seen, dumps=lambda value: json.dumps(value, indent=2) + "\n")


async def stream(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await answer.prepare(request)
    for number in range(1, EVENTS + 1):
        await answer.write(f"id: {number}\ndata: event {number} of {EVENTS}\n\n".encode())
        await asyncio.sleep(EVENT_EVERY_S)
    return answer


async def socket(request: web.Request) -> web.WebSocketResponse:
    talk = web.WebSocketResponse(heartbeat=30)
    await talk.prepare(request)
    async for message in talk:
        if message.type is WSMsgType.TEXT:
            await talk.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await talk.send_bytes(message.data)
    return talk


def demo_app() -> web.Application:
    app = web.Application(client_max_size=0)
    app.router.add_get("/", page)
    app.router.add_get("/health", health)
    app.router.add_get("/stream", stream)
    app.router.add_get("/ws", socket)
    app.router.add_route("*", "/echo", echo)
    return app


APPS: Final[Mapping[str, Callable[[], web.Application]]] = {"slow": demo_app, "chat": chat_app, "big": big_app}
KINDS: Final = (*APPS, FLAKY)


async def start_demo(port: int = 0, kind: str = "slow") -> tuple[int, Closer]:
    """Serve on loopback in the running loop; a free port unless one is named. The closer takes it down again."""
    runner = web.AppRunner(APPS[kind](), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError:
        await runner.cleanup()
        raise
    taken: int = runner.addresses[0][1]
    return taken, runner.cleanup


async def told_while_loading(told: asyncio.Event, seconds: float) -> bool:
    """Whether it was told to end meanwhile. It says how far it is, once a second."""
    for left in range(math.ceil(seconds), 0, -1):
        say(f"loading a model that it does not have: {left} s left")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(1.0, seconds - (math.ceil(seconds) - left))):
                return await told.wait()
    return told.is_set()


def say(words: str) -> None:
    print(f"demo: {words}", file=sys.stderr, flush=True)


def end_with(parent: int, told: asyncio.Event) -> None:
    """Look now and then whether who started us is still there: a gateway that was killed could not end us."""
    if os.getppid() == parent:
        asyncio.get_running_loop().call_later(LOOK_EVERY_S, end_with, parent, told)
    else:
        told.set()


async def serve_until_told(port: int, start_delay: float, kind: str = "slow", parent: int | None = None) -> int:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    if parent is not None:
        end_with(parent, told)
    if await told_while_loading(told, start_delay):
        return DONE
    if kind == FLAKY:
        say("out of memory: it asked for more than there is, as it always does")
        return FAILED
    taken, close = await start_demo(port, kind)
    try:
        say(f"listening on http://127.0.0.1:{taken}/")
        await told.wait()
        say("told to end")
    finally:
        await close()
    return DONE


def run_demo(port: int, start_delay: float, kind: str = "slow", parent: int | None = None) -> int:
    """Serve until TERM or INT. The delay stands for a model that loads: it shows what a cold start looks like."""
    try:
        return asyncio.run(serve_until_told(port, start_delay, kind, parent))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own words name the address twice
        say(f"cannot listen on 127.0.0.1:{port}: {reason}")
        return FAILED
