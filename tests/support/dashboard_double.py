"""A gateway as the dashboard sees it: the page's real files, and an API whose answers the test sets."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count
from typing import Any

from aiohttp import web

from hestia.doors.dashboard import ABOUT, HEADERS, assets

STATUS = {
    "state": "cold",
    "readiness": "not_ready",
    "phase": None,
    "reason": None,
    "machine": "local",
    "base_url": "http://127.0.0.1:9000",
    "managed": True,
    "places": [],
    "waiters": 0,
    "leases": 0,
    "idle_for_s": None,
    "idle_timeout_s": 900.0,
    "hot_since": None,
    "last_used": None,
    "starts": 0,
    "last_start_s": None,
    "expected_start_s": None,
    "last_error": None,
    "cooldown_s": None,
    "held_until": None,
    "kept_by": [],
}
SPREAD = {"count": 0, "sum": 0.0, "p50": None, "p95": None, "p99": None}


def stamp(ago: float = 0.0, now: float | None = None) -> str:
    moment = (time.time() if now is None else now) - ago
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Double:
    """Its fields are what it answers; `asked` is what was done. With `now` its clock stands still."""

    def __init__(self, now: float | None = None) -> None:
        self.now = now
        self.url = ""
        self.services: dict[str, dict[str, Any]] = {}
        self.machines: list[dict[str, Any]] = [
            {"id": "local", "state": "hot", "capacity": {}, "used": {}, "holds": [], "leases": 0, "held_until": None, "last_error": None}
        ]
        self.inflight: list[dict[str, Any]] = []
        self.metrics: dict[str, dict[str, Any]] = {}
        self.activity: list[dict[str, Any]] = []  # oldest first
        self.report: dict[str, Any] = {"since": self.stamp(7 * 86400), "until": self.stamp(), "services": [], "machines": [], "cost": None, "saving": None}
        self.about: dict[str, Any] = {
            "version": "0.1.0", "started": self.stamp(90000), "file": "/etc/hestia/hestia_config.yml", "session": False, "services_at": None, "routes": [], "strategies": [],
        }
        self.logs: dict[str, list[str]] = {}
        self.refuses: dict[str, tuple[int, str]] = {}  # the end of a path -> status and detail
        self.asked: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self.listeners: set[asyncio.Queue[Any]] = set()
        self.log_readers: set[asyncio.Queue[str]] = set()
        self.numbers = count(int(time.time() * 1e6))
        self.page = 1000

    def stamp(self, ago: float = 0.0) -> str:
        return stamp(ago, self.now)

    # --- what a test does

    def service(self, id_: str, **more: Any) -> dict[str, Any]:
        self.services[id_] = {"id": id_, **STATUS, **more}
        self.metrics.setdefault(id_, metrics(id_))
        return self.services[id_]

    def becomes(self, id_: str, state: str, kind: str, **more: Any) -> None:
        """A change, with its event."""
        self.services[id_].update(state=state, phase="launching" if state == "starting" else None)
        self.tell(kind, service=id_, state=state, **more)

    def tell(self, kind: str, *, ago: float = 0.0, quiet: bool = False, **more: Any) -> None:
        entry = self.entry(kind, ago=ago, **more)
        self.activity.append(entry)
        self.activity.sort(key=lambda each: each["id"])
        if not quiet:
            for queue in self.listeners:
                queue.put_nowait(entry)

    def entry(self, kind: str, *, ago: float = 0.0, **more: Any) -> dict[str, Any]:
        number = int(((self.now or time.time()) - ago) * 1e6) if ago else next(self.numbers)
        fields = dict.fromkeys(("service", "place", "machine", "state", "cause", "request_id", "took_s"))
        return {"id": number, "ts": self.stamp(ago), "kind": kind, **fields, "more": {}, **more}

    def hang_up(self) -> None:
        """The streams end, as at the end of a gateway."""
        for queue in (*self.listeners, *self.log_readers):
            queue.put_nowait(None)

    # --- what it answers

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.noted])
        app.on_response_prepare.append(self.date)
        for path, asset in assets().items():
            app.router.add_get(path, asset.answer)
        app.router.add_get(ABOUT, self.say(lambda _: self.about))
        app.router.add_get("/v1/services", self.say(lambda _: {"services": list(self.services.values())}))
        app.router.add_get("/v1/services/{id}/status", self.say(lambda request: self.services[request.match_info["id"]]))
        app.router.add_get("/v1/services/{id}/logs", self.follow_log)
        app.router.add_post("/v1/services/{id}/{verb}", self.service_verb)
        app.router.add_get("/v1/machines", self.say(lambda _: {"machines": self.machines}))
        app.router.add_post("/v1/machines/{id}/{verb}", self.machine_verb)
        app.router.add_get("/v1/inflight", self.say(lambda _: {"inflight": self.inflight}))
        app.router.add_post("/v1/inflight/{id}/cancel", self.cancel)
        app.router.add_get("/v1/metrics", self.say(lambda _: {"connections": 1, "services": self.metrics}))
        app.router.add_get("/v1/report", self.say(lambda _: self.report))
        app.router.add_get("/v1/activity", self.say(self.page_of))
        app.router.add_get("/v1/events", self.follow)
        app.router.add_get("/services/{id}/{rest:.*}", self.relayed)
        return app

    async def date(self, _: web.Request, response: web.StreamResponse) -> None:
        """The page takes the gateway's clock from here."""
        if self.now is not None:
            response.headers["Date"] = formatdate(self.now, usegmt=True)

    @web.middleware
    async def noted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method == "POST":
            self.asked.append(("POST", request.path_qs))
        self.loads.append(request.path_qs)
        refused = next((what for end, what in self.refuses.items() if request.path.endswith(end)), None)
        if refused is not None:
            status, detail = refused
            problem = {"type": "urn:hestia:error:x", "title": "No", "status": status, "detail": detail, "code": "x"}
            return web.Response(status=status, body=json.dumps(problem).encode(), content_type="application/problem+json")
        return await handler(request)

    def say(self, answer: Any) -> Any:
        async def handler(request: web.Request) -> web.Response:
            try:
                return web.json_response(answer(request))
            except KeyError:
                return web.json_response({"detail": "no service is called so", "status": 404}, status=404)

        return handler

    async def relayed(self, request: web.Request) -> web.Response:
        return web.Response(text=f"<!doctype html><title>{request.match_info['id']}</title>", content_type="text/html")

    async def service_verb(self, request: web.Request) -> web.Response:
        one = self.services[request.match_info["id"]]
        hold = request.query.get("hold")
        if request.match_info["verb"] == "start":
            one.update(held_until=None)
            self.becomes(one["id"], "starting", "service.starting", cause="command")
        else:
            one.update(held_until={None: None, "true": "forever"}.get(hold, self.stamp(-7200)))
            one.update(leases=0, waiters=0)
            self.becomes(one["id"], "cold", "service.stopped", cause="hold" if hold else "command")
        return web.json_response(one, status=202)

    async def machine_verb(self, request: web.Request) -> web.Response:
        one = next(each for each in self.machines if each["id"] == request.match_info["id"])
        one.update(state="hot" if request.match_info["verb"] == "wake" else "cold", holds=[])
        return web.json_response(one, status=202)

    async def cancel(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        self.inflight = [each for each in self.inflight if each["request_id"] != id_]
        return web.json_response({"request_id": id_, "cancelled": True}, status=202)

    def page_of(self, request: web.Request) -> dict[str, Any]:
        asked = request.query
        fits = [
            each
            for each in reversed(self.activity)
            if asked.get("service") in {None, each["service"]}
            and asked.get("kind") in {None, each["kind"]}
            and asked.get("since", "") <= each["ts"] < asked.get("until", "9")
            and each["id"] < int(asked.get("cursor", "9" * 18).rpartition("-")[2])
        ]
        most = min(int(asked.get("limit", "100")), self.page)
        page = fits[:most]
        return {"activity": page, "next": f"0-{page[-1]['id']}" if len(fits) > most else None}

    async def follow(self, request: web.Request) -> web.StreamResponse:
        return await self.stream(request, self.listeners, [], lambda entry: f"id: {entry['id']}\ndata: {json.dumps(entry)}\n\n")

    async def follow_log(self, request: web.Request) -> web.StreamResponse:
        lines = self.logs.get(request.match_info["id"])
        if lines is None:
            return web.json_response({"detail": "it has no log: Hestia did not launch it", "status": 404}, status=404)
        return await self.stream(request, self.log_readers, lines, lambda line: f"data: {json.dumps({'line': line})}\n\n")

    async def stream(self, request: web.Request, queues: set[Any], first: list[Any], render: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        queue: asyncio.Queue[Any] = asyncio.Queue()
        queues.add(queue)
        try:
            await response.prepare(request)
            await response.write(b"retry: 200\n\n" + "".join(map(render, first)).encode())
            while (item := await queue.get()) is not None:
                await response.write(render(item).encode())
        except ConnectionError:
            pass
        finally:
            queues.discard(queue)
        return response


def metrics(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "state": "cold", "requests": 0, "errors": 0, "codes": {}, "unfinished": {}, "bytes_in": 0, "bytes_out": 0, "leases": 0, "waiters": 0,
        "hot_seconds": 0.0, "idle_stops": 0, "starts": [], "request_seconds": SPREAD, "overhead_seconds": SPREAD, "start_seconds": SPREAD, **more,
    }


class Door:
    """The double on its port. It can end and come back, as a gateway that is started again."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.port = 0
        self.runner: web.AppRunner | None = None

    async def open(self) -> None:
        self.runner = web.AppRunner(self.double.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.double.url = f"http://localhost:{self.port}"

    async def close(self) -> None:
        self.double.hang_up()
        if self.runner is not None:
            await self.runner.cleanup()


@asynccontextmanager
async def serving(double: Double):
    door = Door(double)
    await door.open()
    try:
        yield door
    finally:
        await door.close()


SECURITY = HEADERS["Content-Security-Policy"]
