"""The `kubernetes` kind: a deployment or stateful set that exists already is scaled up and down to nothing.

Only the scale subresource is written, by a merge patch of one number. The cluster starts its pods anew by itself when
they end; hence no watch: what is up is looked at by its readiness check. Why a pod does not run stands in its status,
and sometimes only in its events; who may not read those is told less.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hestia.launchers.kubeconfig import IN_CLUSTER, find
from hestia.launchers.kubernetes_access import Plugins
from hestia.launchers.kubernetes_api import NOT_FOUND, Api, ClusterDown, ClusterRefused, Container, Pod, Workload
from hestia.launchers.last_words import harmless
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import KubernetesLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record, RunState

STATE_S: Final = 5.0
GRACE_S: Final = 30.0  # Kubernetes' own
LAST_WORDS: Final = "5"
MOST_AT_ONCE: Final = "1000"
WHOLE_SECONDS: Final = len("2026-01-01T00:00:00")  # the API reads `sinceTime` no finer
HOPELESS: Final = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""What the cluster tries again for ever. A first failure (`ErrImagePull`) may be a matter of seconds."""


class Pace(NamedTuple):
    """Seconds."""

    look: float = 1.0
    under_way: float = 20.0  # a pod that is still pending then waits for an image or a node: readiness is asked for
    settled: float = 1.0  # a pod that runs for so long has not fallen over at once
    patience: float = 15.0  # a cluster may be out of reach for so long while something else is waited for
    margin: float = 30.0  # beyond the pods' own grace


PACE: Final = Pace()


class MissingWorkload(LaunchFailed):
    """What the configuration names does not exist."""


class KubernetesLauncher:
    """Start, stop and state, how many pods are ready and why not, and their output."""

    named = True

    def __init__(self, *, environ: Mapping[str, str] = os.environ, pace: Pace = PACE, pod: Path = IN_CLUSTER) -> None:
        self._environ = environ
        self._pace = pace
        self._pod = pod
        self._plugins = Plugins(environ)

    async def start(self, run: Run, record: Record) -> Told:
        """Returns when a pod runs, since until then the cluster says why none does, or when it takes its time."""
        launch = _launch(run)
        api = await self._api(launch)
        count = (await _look_up(api)).spec.replicas
        if count < launch.replicas:  # a larger figure of others is left alone
            await _scaled(api, launch.replicas)
            await self._until_one_runs(api)
        return Told()

    async def stop(self, run: Run) -> None:
        """Returns when the last pod has ended, as far as it may be seen."""
        api = await self._api(_launch(run, stop=True))
        try:
            if (await _look_up(api)).spec.replicas:
                await _scaled(api, 0)
            await self._until_none_is_left(api)
        except MissingWorkload:
            return

    async def state(self, run: Run) -> RunState:
        try:
            async with asyncio.timeout(STATE_S):
                return "running" if (await _look_up(await self._api(_launch(run)))).spec.replicas else "stopped"
        except MissingWorkload:
            return "stopped"
        except (LaunchFailed, TimeoutError):
            return "unknown"

    async def health(self, run: Run) -> str | None:
        """Pods with a readiness check of their own are healthy when they are ready; of others nothing is known."""
        try:
            async with asyncio.timeout(STATE_S):
                api = await self._api(_launch(run))
                found = await _look_up(api)
                if _is_ready(found):
                    return None if any("readinessProbe" in each for each in found.containers) else ""
                if found.status.observed_generation < found.metadata.generation:
                    return "the cluster has not acted on its new scale yet"
                ready, wanted = found.status.ready_replicas, found.spec.replicas
                return f"{ready} of {wanted} pods are ready{await _reason(api, found)}"
        except LaunchFailed as failed:
            return str(failed)
        except TimeoutError:
            return "the cluster gave no answer"

    async def lines(self, run: Run, last: int) -> list[str]:
        """Of the pods that are there: the cluster keeps no others'."""
        try:
            async with asyncio.timeout(STATE_S):
                api = await self._api(_launch(run))
                stamped = await _stamped(api, {"tailLines": str(last)})
        except (LaunchFailed, TimeoutError):
            return []
        return [line.partition(" ")[2] for line in stamped][-last:]

    async def follow(self, run: Run) -> AsyncGenerator[str, None]:
        """Of all its pods, those to come included."""
        seen = _newest(await self._new_lines(run, {"tailLines": "1"}))
        while True:
            await asyncio.sleep(self._pace.look)
            asked = {"sinceTime": f"{seen[:WHOLE_SECONDS]}Z"} if seen else {"tailLines": MOST_AT_ONCE}
            fresh = [line for line in await self._new_lines(run, asked) if _stamp(line) > seen]
            seen = max(_newest(fresh), seen)
            for line in fresh:
                yield line.partition(" ")[2]

    async def _new_lines(self, run: Run, params: Mapping[str, str]) -> list[str]:
        try:
            return await _stamped(await self._api(_launch(run)), params)
        except LaunchFailed:
            return []

    async def _api(self, launch: KubernetesLaunch) -> Api:
        target = await asyncio.to_thread(find, self._environ, launch.context, self._pod)
        return Api(target, self._plugins, launch)

    async def _until_one_runs(self, api: Api) -> None:
        clock, look = asyncio.get_running_loop().time, Look(api, self._pace)
        end, since, runs = clock() + self._pace.under_way, 0.0, ""
        while True:
            found, pods = await look()
            if not found.spec.replicas:
                raise LaunchFailed(f"the {api.what} `{api.name}` was scaled to nothing while it started")
            problem = await _hopeless(api, pods or ())
            if clock() >= end and not pods:  # only after a while: what it says may be of an earlier start
                problem = problem or _condition(found, "ReplicaFailure", "True")
            if problem:
                raise LaunchFailed(f"the {api.what} `{api.name}` does not run: {problem}")
            now = _running(pods) if pods is not None else "unseen" * bool(found.status.ready_replicas)
            if now != runs:
                since, runs = clock(), now
            if clock() >= end or (runs and clock() - since >= self._pace.settled):
                return
            await asyncio.sleep(self._pace.look)

    async def _until_none_is_left(self, api: Api) -> None:
        """Or until somebody scales it up again."""
        clock, look, end = asyncio.get_running_loop().time, Look(api, self._pace), None
        while True:
            found, pods = await look()
            left = sum(not pod.is_over for pod in pods) if pods is not None else found.status.replicas
            if found.spec.replicas or not left:
                return
            grace = found.pod.get("terminationGracePeriodSeconds", GRACE_S)
            end = end or clock() + float(grace) + self._pace.margin
            if clock() >= end:
                raise LaunchFailed(f"{left} pods of the {api.what} `{api.name}` do not end")
            await asyncio.sleep(self._pace.look)


class Look:
    """The workload and its pods, again and again: a cluster that is out of reach for a moment is asked again."""

    def __init__(self, api: Api, pace: Pace) -> None:
        self._api = api
        self._pace = pace
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + pace.patience  # it has just answered

    async def __call__(self) -> tuple[Workload, list[Pod] | None]:
        """Pods are None when they may not be seen."""
        while True:
            try:
                found = await _look_up(self._api), await _pods(self._api)
            except ClusterDown:
                if self._clock() >= self._end:
                    raise
                await asyncio.sleep(self._pace.look)
            else:
                self._end = self._clock() + self._pace.patience
                return found


def _launch(run: Run, *, stop: bool = False) -> KubernetesLaunch:
    for way in (run.stop_with, run.launch) if stop else (run.launch, run.stop_with):
        if isinstance(way, KubernetesLaunch):
            return way
    raise LaunchFailed("no Kubernetes workload has a part in it")


async def _look_up(api: Api) -> Workload:
    try:
        return await api.workload()
    except ClusterRefused as refused:
        if refused.status != NOT_FOUND:
            raise
        raise MissingWorkload(
            f"there is no {api.what} `{api.name}` in the namespace `{api.namespace}`."
            " Create it once (`kubectl apply`); Hestia only scales it"
        ) from refused


async def _scaled(api: Api, replicas: int) -> None:
    try:
        await api.scale(replicas)
    except ClusterRefused as refused:
        raise LaunchFailed(f"the {api.what} `{api.name}` was not scaled to {replicas}: {refused}") from refused


async def _pods(api: Api) -> list[Pod] | None:
    """None: they may not be seen."""
    try:
        return await api.pods()
    except ClusterRefused:
        return None


def _is_ready(found: Workload) -> bool:
    status = found.status
    return status.observed_generation >= found.metadata.generation and 0 < found.spec.replicas <= status.ready_replicas


def _running(pods: Iterable[Pod]) -> str:
    """Which pod runs in which of its lives, so that another life is told from the same one."""
    for pod in pods:
        statuses = pod.status.container_statuses or ()
        if not pod.ends and statuses and all(each.state.running is not None for each in statuses):
            return f"{pod.metadata.name} {sum(each.restart_count for each in statuses)}"
    return ""


async def _hopeless(api: Api, pods: Iterable[Pod]) -> str:
    """Why waiting is in vain; nothing while it is not."""
    for pod in pods:
        for container in _containers(pod) if not pod.ends else ():
            waiting = container.state.waiting
            if waiting is not None and waiting.reason in HOPELESS:
                return await _told(api, pod, container)
    return ""


async def _told(api: Api, pod: Pod, container: Container) -> str:
    """The cluster's reason; for a program that fell over its exit code and last words instead of `back-off 10s`."""
    waiting, ended = container.state.waiting, container.last_state.terminated
    reason = waiting.reason if waiting is not None else ""
    if ended is None:
        return ": ".join(filter(None, (reason, (waiting.message if waiting is not None else None) or "")))
    words = ended.message or harmless(await _last_words(api, pod, container), {})
    return f"{reason}: {container.name} exited with code {ended.exit_code}" + (f": {words}" if words else "")


async def _last_words(api: Api, pod: Pod, container: Container) -> list[str]:
    for previous in ("true", "false"):
        try:
            asked = {"container": container.name, "tailLines": LAST_WORDS, "previous": previous}
            return await api.log(pod, asked)
        except LaunchFailed:
            continue
    return []


async def _reason(api: Api, found: Workload) -> str:
    """Of the first pod that is not ready, else of the workload."""
    try:
        pods = [pod for pod in await api.pods() if not pod.ends]
        words = next(filter(None, [await _why(api, pod) for pod in pods if not _pod_is_ready(pod)]), "")
    except LaunchFailed:
        words = ""
    words = words or _condition(found, "ReplicaFailure", "True") or _condition(found, "Progressing", "False")
    return f": {words}" if words else ""


async def _why(api: Api, pod: Pod) -> str:
    for container in _containers(pod):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason and waiting.reason not in {"ContainerCreating", "PodInitializing"}:
            return await _told(api, pod, container)
    for each in pod.status.conditions or ():
        if each.type == "PodScheduled" and each.status == "False":
            return f"{each.reason}: {each.message}"
    if pod.status.reason:
        return f"{pod.status.reason}: {pod.status.message or ''}"
    try:
        return await api.warning(pod)
    except LaunchFailed:
        return ""


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


def _pod_is_ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _condition(found: Workload, type_: str, status: str) -> str:
    """Of the present generation: what is said of an older one is over."""
    if found.status.observed_generation < found.metadata.generation:
        return ""
    said = (each for each in found.status.conditions or () if each.type == type_ and each.status == status)
    return next((f"{each.reason}: {each.message}" for each in said), "")


async def _stamped(api: Api, params: Mapping[str, str]) -> list[str]:
    """Lines of all pods in the order of their time, each with it. A pod that has not begun has none."""
    lines: list[str] = []
    for pod in await api.pods():
        try:
            lines += await api.log(pod, {"timestamps": "true", **params})
        except ClusterRefused:
            continue
    return sorted(lines, key=_stamp)


def _stamp(line: str) -> str:
    """The clusters' times are UTC with nine digits or fewer: they sort as texts once their end is the same."""
    return line.partition(" ")[0].removesuffix("Z")


def _newest(lines: Iterable[str]) -> str:
    return max(map(_stamp, lines), default="")
