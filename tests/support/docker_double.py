"""A Docker Engine on a unix socket: the codes, races and traps of the real one (20.10, and Podman 4.3 with `podman`),
and the faults that a real one cannot be asked for.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

NUMBERS = itertools.count(1)
LIVES = {"running", "paused", "restarting"}


@dataclass
class Box:
    """A container. `grace` is how long its stop takes, `refuses` why it cannot be started, `ends` how it exits at once."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    says: list[tuple[int, bytes]] = field(default_factory=list)
    tty: bool = False
    grace: float = 0.02
    slow: float = 0.0
    refuses: str = ""
    ends: int | None = None
    ends_after: float = 0.0
    health: dict[str, Any] | None = None
    oom: bool = False
    auto_remove: bool = False
    id: str = field(default_factory=lambda: f"{next(NUMBERS):064x}")
    status: str = "created"
    code: int = 0
    error: str = ""
    begun: dt.datetime = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    finished: dt.datetime = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    starts: int = 0
    log: list[tuple[float, int, bytes]] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)

    def inspected(self) -> dict[str, Any]:
        state = {
            "Status": self.status,
            "Running": self.status in LIVES,
            "Paused": self.status == "paused",
            "Restarting": self.status == "restarting",
            "OOMKilled": self.oom,
            "Dead": False,
            "Pid": 4711 if self.status in {"running", "paused"} else 0,
            "ExitCode": self.code,
            "Error": self.error,
            "StartedAt": self.begun.isoformat().replace("+00:00", "123Z"),
            "FinishedAt": self.finished.isoformat().replace("+00:00", "Z"),
        }
        if self.health is not None:
            state["Health"] = self.health
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "State": state,
            "HostConfig": {"AutoRemove": self.auto_remove},
            "Config": {"Tty": self.tty, "Labels": self.labels or None, "StopTimeout": 1},
        }

    def listed(self) -> dict[str, Any]:
        return {"Id": self.id, "Names": [f"/{self.name}"], "State": self.status, "Labels": self.labels}

    def say(self, stream: int, text: bytes) -> None:
        self.log.append((dt.datetime.now(dt.UTC).timestamp(), stream, text))
        self.spoke.set()


class DockerDouble:
    """`async with DockerDouble(path) as engine`; containers are put in by `add`."""

    def __init__(self, path: Path, *, podman: bool = False, newest: str = "1.41", oldest: str = "1.12") -> None:
        self.path = path
        self.podman = podman
        self.newest, self.oldest = newest, oldest
        self.boxes: list[Box] = []
        self.calls: list[str] = []
        self.fault = ""  # 500, hang, bad json, no message, not docker
        self.streams: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self.streamed = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.runner: web.AppRunner | None = None
        self.released = asyncio.Event()

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def add(self, name: str, **more: Any) -> Box:
        box = Box(name, **more)
        self.boxes.append(box)
        return box

    def compose(self, project: str, service: str, depends_on: str = "", number: int = 1, **more: Any) -> Box:
        labels = {
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number),
            "com.docker.compose.oneoff": more.pop("oneoff", "False"),
            "com.docker.compose.depends_on": depends_on,
        }
        return self.add(f"{project}-{service}-{number}", labels=labels, **more)

    def remove(self, box: Box) -> None:
        self.boxes.remove(box)
        self.event(box, "destroy")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def open(self) -> None:
        app = web.Application(middlewares=[self._door])
        app.router.add_route("*", "/{tail:.*}", self._route)
        self.runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self.runner.setup()
        await web.UnixSite(self.runner, str(self.path)).start()

    async def close(self) -> None:
        """As at the end of the daemon: the streams break and its socket is gone, the containers live on."""
        self.released.set()
        self.cut()
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.released = asyncio.Event()

    def cut(self) -> None:
        """Break every stream of events."""
        for stream in self.streams:
            stream.put_nowait(None)

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        if self.fault == "hang":
            await self.released.wait()
        if self.fault == "not docker":
            return web.Response(text="hello")
        if request.path == "/_ping":
            return web.Response(text="OK", headers={"Api-Version": self.newest})
        if self.fault == "500":
            return _error(500, "the store is\nbroken")
        if self.fault == "bad json":
            return web.Response(body=b'{"Id": [', content_type="application/json")
        if self.fault == "no message":
            return web.Response(status=500, body=b"")
        return await handler(request)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        _, version, *parts = request.path.split("/")
        if refusal := self._version(version):
            return refusal
        match request.method, parts:
            case "GET", ["containers", "json"]:
                return self._list(request)
            case "GET", ["events"]:
                return await self._events(request)
            case _, ["containers", name, verb]:
                box = next((box for box in self.boxes if box.name == name or box.id.startswith(name)), None)
                if box is None:
                    return _error(404, f"No such container: {name}")
                if (request.method, verb) == ("GET", "json"):
                    return web.json_response(box.inspected())
                if (request.method, verb) == ("GET", "logs"):
                    return await self._logs(request, box)
                if request.method == "POST":
                    # aiohttp lets a handler go on when its client leaves, as the engine does
                    return await {
                        "start": self._start,
                        "stop": self._stop,
                        "pause": self._pause,
                        "unpause": self._unpause,
                    }[verb](box)
        return _error(404, "page not found")

    def _version(self, version: str) -> web.Response | None:
        said = tuple(map(int, version.removeprefix("v").split(".")))
        if self.podman:
            return None
        if said > tuple(map(int, self.newest.split("."))):
            return _error(400, f"client version {version} is too new. Maximum supported API version is {self.newest}")
        if said < tuple(map(int, self.oldest.split("."))):
            return _error(400, f"client version {version} is too old. Minimum supported API version is {self.oldest}")
        return None

    def _list(self, request: web.Request) -> web.Response:
        filters = json.loads(request.query.get("filters", "{}"))
        every = "all" in request.query
        found = [box for box in self.boxes if (every or box.status in LIVES) and _labelled(box, filters)]
        return web.json_response([box.listed() for box in found])

    async def _start(self, box: Box) -> web.Response:
        async with box.turn:
            if box.status == "paused":
                return self._improper(409, "cannot start a paused container, try unpause instead")
            if box.status in {"running", "restarting"}:
                return web.Response(status=304)  # also while it is being stopped
            await asyncio.sleep(0.005 + box.slow)
            if box.refuses:
                box.error, box.code = ("", 0) if self.podman else (box.refuses, 127)
                return self._improper(400, box.refuses)
            self.began(box)
            return web.Response(status=204)

    def began(self, box: Box) -> None:
        box.status, box.code, box.error = "running", 0, ""
        box.starts += 1
        box.begun = dt.datetime.now(dt.UTC)
        box.ended.clear()
        for stream, text in box.says:
            box.say(stream, text)
        self.event(box, "start")
        if box.ends is not None:
            self._later(box.ends_after, lambda: self.end(box, box.ends))

    def end(self, box: Box, code: int, status: str = "exited") -> None:
        """It exits, by itself or by a signal."""
        box.status, box.code = status, code
        box.finished = dt.datetime.now(dt.UTC)
        box.ended.set()
        box.spoke.set()
        self.event(box, "die")

    def _later(self, seconds: float, what: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            what()

        task = asyncio.ensure_future(later())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _stop(self, box: Box) -> web.Response:
        if self.podman and box.status == "paused":
            return self._improper(409, "container state improper")
        if box.status not in LIVES:
            return web.Response(status=204 if self.podman and box.status == "created" else 304)
        await asyncio.sleep(box.grace)
        if box.status in LIVES:
            self.end(box, 143)
            self.event(box, "stop")
        return web.Response(status=204)

    async def _pause(self, box: Box) -> web.Response:
        if box.status != "running":
            return self._improper(409, f"Container {box.id} is not running")
        box.status = "paused"
        self.event(box, "pause")
        return web.Response(status=204)

    async def _unpause(self, box: Box) -> web.Response:
        if box.status != "paused":
            return self._improper(500, f"Container {box.id} is not paused")
        box.status = "running"
        self.event(box, "unpause")
        return web.Response(status=204)

    def _improper(self, status: int, words: str) -> web.Response:
        return _error(500 if self.podman else status, words)

    def event(self, box: Box, action: str) -> None:
        said = {"Type": "container", "Action": action, "Actor": {"ID": box.id, "Attributes": {"name": box.name, **box.labels}}}
        for stream in self.streams:
            stream.put_nowait(said)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        filters = json.loads(request.query.get("filters", "{}"))
        response = web.StreamResponse()
        response.content_type = "application/json"
        stream: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.streams.add(stream)
        self.streamed += 1
        try:
            await response.prepare(request)
            while (said := await stream.get()) is not None:
                if _wanted(said, filters, self.podman):
                    await response.write(json.dumps(said).encode() + b"\n")
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.streams.discard(stream)
        return response

    async def _logs(self, request: web.Request, box: Box) -> web.StreamResponse:
        query = request.query
        if "stdout" not in query and "stderr" not in query:
            return _error(400, "Bad parameters: you must choose at least one stream")
        since = float(query.get("since") or 0)
        tail = query.get("tail", "all")
        at = len(box.log)
        found = [one for one in box.log if one[0] >= since]
        if tail != "all":
            found = found[len(found) - int(tail) :] if int(tail) < len(found) else found
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        await response.prepare(request)
        await self._write(response, box, found)
        while query.get("follow") == "1" and box.status in LIVES:
            box.spoke.clear()
            await self._write(response, box, box.log[at:])
            at = len(box.log)
            await box.spoke.wait()
        if query.get("follow") == "1":
            await self._write(response, box, box.log[at:])
        return response

    async def _write(self, response: web.StreamResponse, box: Box, entries: list[tuple[float, int, bytes]]) -> None:
        for _, stream, text in entries:
            await response.write(text if box.tty else bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text)


def _error(status: int, words: str) -> web.Response:
    return web.json_response({"message": words}, status=status)


def _labelled(box: Box, filters: dict[str, list[str]]) -> bool:
    for label in filters.get("label", ()):
        name, _, value = label.partition("=")
        if name not in box.labels or (value and box.labels[name] != value):
            return False
    return True


def _wanted(said: dict[str, Any], filters: dict[str, list[str]], podman: bool) -> bool:
    attributes = said["Actor"]["Attributes"]
    events, action = filters.get("event"), said["Action"].split(":")[0]
    if podman:  # it shows one name and filters by another
        action = {"die": "died", "destroy": "remove"}.get(action, action)
    if events and action not in events:
        return False
    names = filters.get("container")
    if names and attributes["name"] not in names and not any(said["Actor"]["ID"].startswith(name) for name in names):
        return False
    return all(attributes.get(label.partition("=")[0]) == label.partition("=")[2] for label in filters.get("label", ()))
