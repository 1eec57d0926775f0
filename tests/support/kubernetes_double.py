"""A stand-in for a cluster's API server: deployments, stateful sets, their pods, events and logs.

What it answers is what a real `kubectl` reads from it (tests/engines/test_kubectl.py): zeros are left out, a pod that is
being deleted counts no more but is still listed, a workload's status lags behind its specification, merge patches must be
called by their name, errors are `Status` objects.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from tests.support.tls import CERTIFICATE, server_side

TOKEN = "token-of-the-double"
NUMBERS = itertools.count(1)
GROUPS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}


@dataclass
class Workload:
    name: str
    kind: str = "deployments"
    replicas: int = 0
    generation: int = 1
    observed: int = 1
    readiness: bool = False
    containers: int = 1
    grace: int = 1
    conditions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Pod:
    workload: Workload
    name: str
    phase: str = "Pending"
    ready: bool = False
    restarts: int = 0
    deleted: str | None = None
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: dict[str, Any] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def says(self, line: str) -> None:
        now = datetime.now(UTC)
        self.log.append(f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06}{next(NUMBERS) % 1000:03}Z {line}")


class KubernetesDouble:
    """`plays` says what becomes of a workload's pods: `image`, `crash`, `unschedulable`, `volume`, `quota`; else they run."""

    def __init__(self, tls: bool = True) -> None:
        self.tls = tls
        self.port = 0
        self.workloads: dict[tuple[str, str], Workload] = {}
        self.pods: list[Pod] = []
        self.plays: dict[str, str] = {}
        self.slow = 0.01
        self.grace = 0.05
        self.image_after = 0.02
        self.words: dict[str, tuple[str, ...]] = {}
        self.tokens = {TOKEN}
        self.forbidden: set[str] = set()  # `pods`, `events`, `pods/log`, `scale`
        self.fault: str | None = None
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.runner: web.AppRunner | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    # A server that comes and goes

    async def open(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._route)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=self._context())
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    def _context(self) -> ssl.SSLContext | None:
        if not self.tls:
            return None
        context = server_side()
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    async def close(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    # Material

    def make(self, name: str, replicas: int = 0, **more: Any) -> Workload:
        made = Workload(name, replicas=replicas, **more)
        self.workloads[made.kind, name] = made
        self._reconcile(made)
        return made

    def living(self, name: str) -> int:
        """Those whose program runs, also while they end."""
        return sum(pod.workload.name == name and "running" in pod.state for pod in self.pods)

    def config(self, **user: Any) -> dict[str, Any]:
        """A kubeconfig as JSON, which is YAML."""
        cluster = {"server": self.url, **({"certificate-authority": CERTIFICATE} if self.tls else {})}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "one", "user": "me"}}],
            "clusters": [{"name": "one", "cluster": cluster}],
            "users": [{"name": "me", "user": user or {"token": TOKEN}}],
        }

    # What the controllers do

    def _later(self, seconds: float, act: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()

        task = asyncio.ensure_future(wait())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _reconcile(self, workload: Workload) -> None:
        workload.observed = workload.generation
        if self.plays.get(workload.name) == "quota" and workload.replicas:
            words = f'pods "{workload.name}-x" is forbidden: exceeded quota: gpus'
            workload.conditions = [_condition("ReplicaFailure", "True", "FailedCreate", words)]
            return
        workload.conditions = []
        alive = [pod for pod in self.pods if pod.workload is workload and pod.deleted is None]
        for pod in alive[workload.replicas :]:
            pod.deleted, pod.ready = _now(), False
            self._later(self.grace, lambda pod=pod: self._gone(pod))
        for _ in range(workload.replicas - len(alive)):
            self._begin(Pod(workload, f"{workload.name}-{next(NUMBERS)}"))

    def _begin(self, pod: Pod) -> None:
        self.pods.append(pod)
        match self.plays.get(pod.workload.name):
            case "image":
                self._wait(pod, "ErrImagePull", "rpc error: not found")
                said = 'Back-off pulling image "no/such:1"'
                self._later(self.image_after, lambda: self._wait(pod, "ImagePullBackOff", said))
            case "crash":
                self._later(self.slow, lambda: self._crash(pod))
            case "unschedulable":
                words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
                pod.state, pod.conditions = {}, [_condition("PodScheduled", "False", "Unschedulable", words)]
            case "volume":
                pass
            case _:
                self._later(self.slow, lambda: self._run(pod))

    def _wait(self, pod: Pod, reason: str, message: str) -> None:
        pod.state = {"waiting": {"reason": reason, "message": message}}

    def _crash(self, pod: Pod) -> None:
        pod.says("no model here")
        pod.phase, pod.restarts = "Running", 2
        pod.last = {"terminated": {"exitCode": 3, "reason": "Error"}}
        self._wait(pod, "CrashLoopBackOff", "back-off 10s restarting failed container")

    def _run(self, pod: Pod) -> None:
        if pod.deleted is not None:
            return
        pod.phase, pod.ready, pod.state = "Running", True, {"running": {"startedAt": _now()}}
        for word in self.words.get(pod.workload.name, ()):
            pod.says(word)

    def _gone(self, pod: Pod) -> None:
        if pod in self.pods:
            self.pods.remove(pod)

    # Who asks

    async def _route(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        self.headers.append(dict(request.headers))
        if self.fault == "hang":
            await asyncio.sleep(60)
        if self.fault is not None and self.fault.isdigit():
            return _status(int(self.fault), "ServiceUnavailable", "the double is told to")
        if self.fault == "html":
            return web.Response(text="<html>not a cluster", content_type="text/html")
        if self.tls and not self._knows(request):
            return _status(401, "Unauthorized", "Unauthorized")
        return await self._answer(request)

    def _knows(self, request: web.Request) -> bool:
        transport = request.transport
        if transport is not None and transport.get_extra_info("peercert"):
            return True
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self.tokens

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/").split("/")
        match request.method, path:
            case "GET", ["version"]:
                return web.json_response({"major": "1", "minor": "30", "gitVersion": "v1.30.0"})
            case "GET", ["api"] | ["apis"] | ["api", "v1"] | ["apis", "apps", "v1"] | ["apis", "autoscaling", "v1"]:
                return web.json_response(_discovery(path))
            case method, ["apis", "apps", "v1", "namespaces", "default", kind, *rest] if kind in GROUPS:
                return await self._workloads(request, method, kind, rest)
            case "GET", ["api", "v1", "namespaces", "default", kind, *rest]:
                return self._core(request, kind, rest)
        return _status(404, "NotFound", "the server could not find the requested resource")

    async def _workloads(self, request: web.Request, method: str, kind: str, rest: list[str]) -> web.StreamResponse:
        if not rest:
            return await self._list(request, kind)
        workload = self.workloads.get((kind, rest[0]))
        if workload is None:
            return _status(404, "NotFound", f'{kind}.apps "{rest[0]}" not found')
        match method, rest[1:]:
            case "GET", []:
                return web.json_response(self._shown(workload))
            case "GET", ["scale"]:
                return web.json_response(_scale(workload, self._counted(workload)))
            case "PATCH" | "PUT", ["scale"]:
                return await self._scaled(request, workload)
        return _status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    async def _scaled(self, request: web.Request, workload: Workload) -> web.StreamResponse:
        if "scale" in self.forbidden:
            words = f'{workload.kind}.apps "{workload.name}" is forbidden: User "me" cannot patch resource "{workload.kind}/scale"'
            return _status(403, "Forbidden", words)
        if request.method == "PATCH" and request.content_type != "application/merge-patch+json":
            return _status(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {request.content_type}")
        said = await request.json()
        replicas = said.get("spec", {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            return _status(422, "Invalid", "spec.replicas: Invalid value: must be greater than or equal to 0")
        if replicas != workload.replicas:
            workload.replicas = replicas
            workload.generation += 1
            self._later(0.005, lambda: self._reconcile(workload))
        return web.json_response(_scale(workload, self._counted(workload)))

    async def _list(self, request: web.Request, kind: str) -> web.StreamResponse:
        chosen = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        found = [each for each in self.workloads.values() if each.kind == kind and chosen in {"", each.name}]
        if request.query.get("watch"):
            return await self._watch(request, found)
        items = [self._shown(each) for each in found]
        return web.json_response({"kind": f"{GROUPS[kind]}List", "apiVersion": "apps/v1", "metadata": {"resourceVersion": "1"}, "items": items})

    async def _watch(self, request: web.Request, found: list[Workload]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        before: list[str] = []
        while True:
            now = [json.dumps({"type": "MODIFIED", "object": self._shown(each)}) for each in found]
            for line in now:
                if line not in before:
                    await answer.write(line.encode() + b"\n")
            before = now
            await asyncio.sleep(0.02)

    def _core(self, request: web.Request, kind: str, rest: list[str]) -> web.StreamResponse:
        what = "pods/log" if rest[1:] == ["log"] else kind
        if what in self.forbidden:
            return _status(403, "Forbidden", f'{what} is forbidden: User "me" cannot list resource "{what}"')
        match kind, rest:
            case "pods", []:
                chosen = request.query.get("labelSelector", "").removeprefix("app=")
                items = [_pod(pod) for pod in self.pods if chosen in {"", pod.workload.name}]
                return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
            case "events", []:
                return web.json_response({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": self._events(request)})
            case "pods", [name]:
                return next((web.json_response(_pod(pod)) for pod in self.pods if pod.name == name), _status(404, "NotFound", "no"))
            case "pods", [name, "log"]:
                return self._log(request, name)
        return _status(404, "NotFound", "the server could not find the requested resource")

    def _events(self, request: web.Request) -> list[dict[str, Any]]:
        name = request.query.get("fieldSelector", "").partition(",")[0].removeprefix("involvedObject.name=")
        pod = next((pod for pod in self.pods if pod.name == name), None)
        if pod is None or self.plays.get(pod.workload.name) != "volume":
            return []
        say = ("an older word", "Unable to attach or mount volumes: unmounted volumes=[models]")
        return [
            {"type": "Warning", "reason": "FailedMount", "message": words, "lastTimestamp": f"2026-01-01T00:00:0{number}Z"}
            for number, words in enumerate(say)
        ]

    def _log(self, request: web.Request, name: str) -> web.Response:
        pod = next((pod for pod in self.pods if pod.name == name), None)
        if pod is None:
            return _status(404, "NotFound", f'pods "{name}" not found')
        if pod.workload.containers > 1 and not request.query.get("container"):
            return _status(400, "BadRequest", f"a container name must be specified for pod {name}, choose one of: [main side]")
        if not pod.log and pod.phase == "Pending":
            words = f'container "main" in pod "{name}" is waiting to start: ContainerCreating'
            return _status(400, "BadRequest", words)
        lines = pod.log
        if since := request.query.get("sinceTime"):
            lines = [line for line in lines if line[:19] >= since[:19]]
        if tail := request.query.get("tailLines"):
            lines = lines[-int(tail) :] if int(tail) else []
        stamped = request.query.get("timestamps") == "true"
        shown = [line if stamped else line.partition(" ")[2] for line in lines]
        return web.Response(text="".join(f"{line}\n" for line in shown))

    # As it is shown

    def _counted(self, workload: Workload) -> list[Pod]:
        """A pod that is being deleted counts no more."""
        return [pod for pod in self.pods if pod.workload is workload and pod.deleted is None]

    def _shown(self, workload: Workload) -> dict[str, Any]:
        counted = self._counted(workload)
        container = {"name": "main", "image": "box:1"} | ({"readinessProbe": {"tcpSocket": {"port": 80}}} if workload.readiness else {})
        side = [{"name": "side", "image": "box:1"}] * (workload.containers - 1)
        counts = {"replicas": len(counted), "updatedReplicas": len(counted), "readyReplicas": sum(pod.ready for pod in counted)}
        counts["availableReplicas"] = counts["readyReplicas"]
        status = {"observedGeneration": workload.observed, **{key: count for key, count in counts.items() if count}}
        if workload.kind == "statefulsets":
            status |= {"currentRevision": "1", "updateRevision": "1"}
        strategy = {"updateStrategy": {"type": "RollingUpdate"}} if workload.kind == "statefulsets" else {}
        return {
            "kind": GROUPS[workload.kind],
            "apiVersion": "apps/v1",
            "metadata": _meta(workload.name, workload.generation),
            "spec": strategy
            | {
                "replicas": workload.replicas,  # of a workload, a zero is shown
                "selector": {"matchLabels": {"app": workload.name}},
                "template": {
                    "metadata": {"labels": {"app": workload.name}},
                    "spec": {"containers": [container, *side], "terminationGracePeriodSeconds": workload.grace},
                },
            },
            "status": status | ({"conditions": workload.conditions} if workload.conditions else {}),
        }


def _scale(workload: Workload, counted: list[Pod]) -> dict[str, Any]:
    """Zeros are left out."""
    status = {"selector": f"app={workload.name}", **({"replicas": len(counted)} if counted else {})}
    spec = {"replicas": workload.replicas} if workload.replicas else {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": _meta(workload.name, workload.generation),
        "spec": spec,
        "status": {"replicas": 0, **status} if counted else status,
    }


def _meta(name: str, generation: int) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "default",
        "uid": f"uid-of-{name}",
        "resourceVersion": str(generation),
        "generation": generation,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


def _pod(pod: Pod) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": pod.phase, "conditions": [*pod.conditions]}
    if pod.state:
        ready = _condition("Ready", "True" if pod.ready else "False", "", "")
        status["conditions"].append(ready)
        names = ["main", "side"][: pod.workload.containers]
        status["containerStatuses"] = [
            {"name": name, "ready": pod.ready, "restartCount": pod.restarts, "state": pod.state, "lastState": pod.last, "image": "box:1", "imageID": ""}
            for name in names
        ]
    meta = _meta(pod.name, 1) | {"labels": {"app": pod.workload.name}}
    if pod.deleted is not None:
        meta["deletionTimestamp"] = pod.deleted
    containers = [{"name": name, "image": "box:1"} for name in ["main", "side"][: pod.workload.containers]]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"containers": containers}, "status": status}


def _condition(type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def _status(code: int, reason: str, message: str) -> web.Response:
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    return web.json_response(said, status=code)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _discovery(path: list[str]) -> dict[str, Any]:
    """What a client asks first: which groups there are, and which resources they have."""
    match path:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            names = ("apps", "autoscaling")
            groups = [
                {"name": name, "versions": [{"groupVersion": f"{name}/v1", "version": "v1"}], "preferredVersion": {"groupVersion": f"{name}/v1", "version": "v1"}}
                for name in names
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", "v1"]:
            resources = [("pods", "Pod", ["get", "list", "watch"]), ("pods/log", "Pod", ["get"]), ("events", "Event", ["list"])]
            version = "v1"
        case ["apis", "apps", "v1"]:
            resources = []
            for plural, kind in GROUPS.items():
                resources += [(plural, kind, ["get", "list", "watch"]), (f"{plural}/scale", "Scale", ["get", "patch", "update"])]
            version = "apps/v1"
        case _:
            resources, version = [], "autoscaling/v1"
    listed = []
    for name, kind, verbs in resources:
        more = {"group": "autoscaling", "version": "v1"} if kind == "Scale" else {}
        singular = name.removesuffix("s") if "/" not in name else ""
        short = {"deployments": ["deploy"], "statefulsets": ["sts"], "pods": ["po"]}.get(name, [])
        listed.append({"name": name, "singularName": singular, "namespaced": True, "kind": kind, "verbs": verbs, "shortNames": short, **more})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
