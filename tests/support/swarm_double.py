"""A Docker Engine that is a swarm, on a unix socket: versions, late ends, and the traps of the real one (20.10)."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.docker_double import DockerDouble

NUMBERS = itertools.count(1)


@dataclass
class Task:
    service: str
    state: str = "preparing"
    desired: str = "running"
    err: str = ""
    forgotten: bool = False  # it ends, but the list of tasks has it no more
    id: str = field(default_factory=lambda: f"task{next(NUMBERS)}")
    created: str = field(default_factory=lambda: f"2026-01-01T00:00:00.{next(NUMBERS):09}Z")

    def listed(self) -> dict[str, Any]:
        status = {"State": self.state} | ({"Err": self.err} if self.err else {})
        return {"ID": self.id, "CreatedAt": self.created, "Status": status, "DesiredState": self.desired}


class SwarmDouble(DockerDouble):
    """`slow` and `grace` are how long a task takes to run and to end; `refuses` why none runs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.services: dict[str, dict[str, Any]] = {}
        self.task_list: list[Task] = []
        self.manager = True
        self.slow = 0.01
        self.grace = 0.05
        self.refuses: dict[str, str] = {}
        self.overtaken = 0  # so many writes find that another one came first
        self.log = b""
        self.emptied_at = 0  # somebody scales to nothing right after so many looks at a service

    def make(self, name: str, replicas: int = 0, **mode: Any) -> dict[str, Any]:
        spec = {
            "Name": name,
            "Labels": {"kept": "as it is"},
            "TaskTemplate": {"ContainerSpec": {"Image": "box:1", "StopGracePeriod": 10**9}, "ForceUpdate": 0},
            "Mode": mode or {"Replicated": {"Replicas": replicas}},
        }
        self.services[name] = {"ID": f"id-of-{name}", "Version": {"Index": 10}, "Spec": spec}
        self._reconcile(name)
        return self.services[name]

    def replicas(self, name: str) -> int:
        return int(self.services[name]["Spec"]["Mode"].get("Replicated", {}).get("Replicas", 0))

    def living(self, name: str) -> int:
        return sum(task.service == name and task.state == "running" for task in self.task_list)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if not self.manager:
            return _error(503, 'This node is not a swarm manager. Use "docker swarm init" to connect this node.')
        _, _, *parts = request.path.split("/")
        match request.method, parts:
            case "GET", ["tasks"]:
                return self._tasks(request)
            case "GET", ["services", name]:
                found = self._service(name)
                answer = web.json_response(found) if found else _error(404, f"service {name} not found")
                self._count_look(found)
                return answer
            case "GET", ["services", name, "logs"]:
                return web.Response(body=b"\1\0\0\0" + len(self.log).to_bytes(4, "big") + self.log)
            case "POST", ["services", name, "update"]:
                return await self._update(request, name)
        return await super()._route(request)

    def _count_look(self, service: dict[str, Any] | None) -> None:
        self.emptied_at -= 1
        if service and not self.emptied_at:
            service["Spec"]["Mode"] = {"Replicated": {"Replicas": 0}}
            service["Version"]["Index"] += 1
            self._reconcile(service["Spec"]["Name"])

    def _service(self, name: str) -> dict[str, Any] | None:
        return next((one for key, one in self.services.items() if name in {key, one["ID"]}), None)

    def _tasks(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query["filters"])["service"][0]
        service = self._service(wanted)
        found = [task for task in self.task_list if service and task.service == service["Spec"]["Name"] and not task.forgotten]
        return web.json_response([task.listed() for task in found])

    async def _update(self, request: web.Request, name: str) -> web.Response:
        said = await request.json()
        await asyncio.sleep(0.005)
        service = self._service(name)
        if service is None:
            return _error(404, f"service {name} not found")
        if self.overtaken:
            self.overtaken -= 1
            service["Version"]["Index"] += 1
        if int(request.query.get("version", -1)) != service["Version"]["Index"]:
            return _error(500, "rpc error: code = Unknown desc = update out of sequence")
        service["Spec"] = copy.deepcopy(said)
        service["Version"]["Index"] += 1
        for task in self.task_list:  # the trap: those that are still ending are forgotten
            task.forgotten |= task.desired == "remove"
        self._reconcile(said["Name"])
        return web.json_response({"Warnings": None})

    def _reconcile(self, name: str) -> None:
        wanted = self.replicas(name)
        alive = [task for task in self.task_list if task.service == name and task.desired == "running"]
        for task in alive[wanted:]:
            task.desired = "remove"
            self._later(self.grace, lambda task=task: self._end(task))
        for _ in range(wanted - len(alive)):
            task = Task(name)
            self.task_list.append(task)
            self._later(self.slow, lambda task=task: self._begin(task))

    def _begin(self, task: Task) -> None:
        if task.desired != "running":
            return
        if err := self.refuses.get(task.service, ""):
            task.state, task.err, task.desired = "rejected", err, "shutdown"
            self._later(0.1, lambda: self._reconcile(task.service))
        else:
            task.state = "running"

    def _end(self, task: Task) -> None:
        self.task_list.remove(task)
        task.state = "shutdown"


def _error(status: int, words: str) -> web.Response:
    return web.json_response({"message": words}, status=status)
