"""The few calls to a cluster's API that scaling needs, with the cluster's reasons in words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from hestia.launchers.json_api import LIMIT_S, Answer, NoAnswer, ask, said, settled, without
from hestia.launchers.kubeconfig import Target
from hestia.launchers.kubernetes_access import Access, Plugins, access
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import KubernetesLaunch

MERGE: Final = "application/merge-patch+json"
UNAUTHORIZED, NOT_FOUND, TOO_MANY, SERVER_ERROR = 401, 404, 429, 500
OK: Final = range(200, 300)
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


class ClusterDown(LaunchFailed):
    """The cluster cannot be asked, or cannot answer now."""


class ClusterRefused(LaunchFailed):
    """The cluster said no, with its own reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Meta(Struct, frozen=True, rename="camel"):
    name: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None


class Count(Struct, frozen=True, rename="camel"):
    """The numbers of a specification. A zero is left out by the cluster, except where it is not."""

    replicas: int = 0
    template: dict[str, Any] = {}


class Condition(Struct, frozen=True):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None


class WorkloadStatus(Struct, frozen=True, rename="camel"):
    replicas: int = 0
    ready_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] | None = None


class Workload(Struct, frozen=True, rename="camel"):
    """A deployment or a stateful set."""

    metadata: Meta
    spec: Count
    status: WorkloadStatus = WorkloadStatus()

    @property
    def containers(self) -> list[dict[str, Any]]:
        return list(self.pod.get("containers") or ())

    @property
    def pod(self) -> dict[str, Any]:
        found = self.spec.template.get("spec")
        return found if isinstance(found, dict) else {}


class ScaleStatus(Struct, frozen=True):
    selector: str = ""


class Scale(Struct, frozen=True):
    status: ScaleStatus = ScaleStatus()


class Waiting(Struct, frozen=True):
    reason: str = ""
    message: str | None = None


class Terminated(Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    reason: str | None = None
    message: str | None = None


class ContainerState(Struct, frozen=True):
    waiting: Waiting | None = None
    running: dict[str, Any] | None = None
    terminated: Terminated | None = None


class Container(Struct, frozen=True, rename="camel"):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str | None = None
    message: str | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[Container, ...] | None = None
    init_container_statuses: tuple[Container, ...] | None = None


class PodSpec(Struct, frozen=True):
    containers: tuple[dict[str, Any], ...] = ()


class Pod(Struct, frozen=True):
    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ends(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def is_over(self) -> bool:
        return self.status.phase in {"Succeeded", "Failed"}

    @property
    def talker(self) -> str:
        """The container whose output is meant when none is named."""
        named = (self.metadata.annotations or {}).get(DEFAULT_CONTAINER)
        return named or next((str(each.get("name", "")) for each in self.spec.containers), "")


class _Event(Struct, frozen=True, rename="camel"):
    type: str = ""
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None


class _Pods(Struct, frozen=True):
    items: tuple[Pod, ...] | None = None


class _Events(Struct, frozen=True):
    items: tuple[_Event, ...] | None = None


T = TypeVar("T")


class Api:
    """A conversation about one workload. What it raises is a LaunchFailed."""

    def __init__(self, target: Target, plugins: Plugins, launch: KubernetesLaunch) -> None:
        self._target = target
        self._plugins = plugins
        self._access: Access | None = None
        self.what = "stateful set" if launch.statefulset else "deployment"
        self.name = launch.statefulset or launch.deployment or ""
        self.namespace = launch.namespace
        kind = "statefulsets" if launch.statefulset else "deployments"
        self._workload = f"/apis/apps/v1/namespaces/{_part(self.namespace)}/{kind}/{_part(self.name)}"
        self._core = f"/api/v1/namespaces/{_part(self.namespace)}"

    async def workload(self) -> Workload:
        return await self._get(self._workload, Workload)

    async def scale(self, replicas: int) -> None:
        """A change of one number, whatever else is written meanwhile. Cancelled, it first has the answer."""
        body = msgspec.json.encode({"spec": {"replicas": replicas}})
        await settled(self._ask("PATCH", f"{self._workload}/scale", body=body), problem=LaunchFailed)

    async def pods(self) -> list[Pod]:
        selector = (await self._get(f"{self._workload}/scale", Scale)).status.selector
        if not selector:
            return []
        return list((await self._get(f"{self._core}/pods", _Pods, {"labelSelector": selector})).items or ())

    async def warning(self, pod: Pod) -> str:
        """The newest word of warning about it: what no status says, as that a volume cannot be mounted."""
        chosen = f"involvedObject.name={pod.metadata.name},type=Warning"
        found = (await self._get(f"{self._core}/events", _Events, {"fieldSelector": chosen})).items or ()
        last = max(found, key=lambda each: each.last_timestamp or each.event_time or "", default=None)
        return f"{last.reason}: {last.message}" if last is not None else ""

    async def log(self, pod: Pod, params: Mapping[str, str]) -> list[str]:
        path = f"{self._core}/pods/{_part(pod.metadata.name)}/log"
        answer = await self._ask("GET", path, {"container": pod.talker, **params})
        return answer.body.decode(errors="replace").splitlines()

    async def _get(self, path: str, kind: type[T], params: Mapping[str, str] = {}) -> T:
        answer = await self._ask("GET", path, params)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ClusterDown(f"what answers for {self._target.name} is no Kubernetes: {error}") from error

    async def _ask(
        self, method: str, path: str, params: Mapping[str, str] = {}, body: bytes | None = None
    ) -> Answer:
        """Once more with a new credential when the plugin's is not accepted any more."""
        answer = await self._asked(method, path, params, body)
        if answer.status == UNAUTHORIZED and self._plugins.forget(self._target):
            self._access = None
            answer = await self._asked(method, path, params, body)
        if answer.status in OK:
            return answer
        reason = self._words(answer)
        if answer.status == TOO_MANY or answer.status >= SERVER_ERROR:
            raise ClusterDown(reason)
        raise ClusterRefused(answer.status, reason)

    async def _asked(self, method: str, path: str, params: Mapping[str, str], body: bytes | None) -> Answer:
        if self._access is None:
            given = await self._plugins.credential(self._target)
            self._access = await asyncio.to_thread(access, self._target, given)
        known = self._access
        headers = {**known.headers, "Accept": "application/json", **({"Content-Type": MERGE} if body else {})}
        url = f"{known.server}{path}" + (f"?{urlencode(params)}" if params else "")
        try:
            return await ask(method, url, headers=headers, body=body, limit=LIMIT_S, tls=known.tls)
        except NoAnswer as problem:
            raise ClusterDown(f"the cluster of {self._target.name}: {problem}") from None

    def _words(self, answer: Answer) -> str:
        secrets = self._access.secrets if self._access is not None else []
        reason = without(said(answer), secrets)
        return f"the cluster answered {answer.status}" + (f": {reason}" if reason else "")


def _part(name: str) -> str:
    return quote(name, safe="")
