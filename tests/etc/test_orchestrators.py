"""The stack file and the manifest: they say what they should, and grant what the launchers use and nothing beside."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from hestia.launchers.kubernetes import KubernetesLauncher, Pace
from hestia.launchers.swarm import Swarm
from hestia.ports import LaunchFailed
from hestia.roof.config import load_text
from hestia.words.launch_spec import KubernetesLaunch, SwarmLaunch
from hestia.words.run import Run
from tests.support.conformance import until
from tests.support.kubernetes_double import KubernetesDouble
from tests.support.swarm_double import SwarmDouble

ETC = Path(__file__).parents[2] / "etc"
STACK = yaml.safe_load((ETC / "swarm" / "stack.yml").read_text())
OBJECTS = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all((ETC / "kubernetes" / "hestia.yml").read_text())}
QUICK = Pace(look=0.01, under_way=0.2, settled=0.01)


def run_of(launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=launch)


class TestStack:
    @pytest.fixture
    def allowed(self):
        """As the filter reads them: by method, whole paths."""
        found: dict[str, list[str]] = {}
        for word in STACK["services"]["socket"]["command"]:
            if match := re.fullmatch(r"-allow([A-Z]+)=(.*)", word):
                found.setdefault(match[1], []).append(match[2])
        return lambda method, path: any(re.fullmatch(pattern, path) for pattern in found.get(method, ()))

    def test_its_configuration_is_one(self):
        loaded = load_text((ETC / "swarm" / "hestia_config.yml").read_text())
        assert (loaded.warnings, list(loaded.config.services)) == ((), ["app"])
        assert STACK["configs"]["hestia_config"]["file"] == "./hestia_config.yml"

    def test_only_the_filter_has_the_socket_and_only_hestia_reaches_the_filter(self):
        services = STACK["services"]
        holds = [name for name, each in services.items() if "docker.sock" in json.dumps(each.get("volumes"))]
        assert holds == ["socket"]
        assert "ports" not in services["socket"]
        assert services["socket"]["networks"] == ["engine"]
        assert STACK["networks"]["engine"]["internal"] is True
        assert [name for name, each in services.items() if "engine" in each["networks"]] == ["hestia", "socket"]
        assert services["hestia"]["environment"]["DOCKER_HOST"] == "tcp://socket:2375"

    def test_nothing_has_more_than_it_needs(self):
        for service in STACK["services"].values():
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["deploy"]["replicas"] == 1

    async def test_the_filter_lets_through_all_that_scaling_needs(self, tmp_path, allowed):
        refused = []

        class Filtered(SwarmDouble):
            async def _route(self, request: web.Request) -> web.StreamResponse:
                if not allowed(request.method, request.path):
                    refused.append((request.method, request.path))
                    return web.Response(status=403)
                return await super()._route(request)

        async with Filtered(tmp_path / "docker.sock") as double:
            for service in double.make("web_app.1"), double.make("web"):
                service["ID"] = "25zlz7rbe2mkvhdlr7qn8opr2"
            del double.services["web"]
            double.log = b"hello\n"
            launcher, run = Swarm(double.host), run_of(SwarmLaunch(service="web_app.1"))
            await launcher.start(run, None)
            assert await launcher.state(run) == "running"
            assert await launcher.health(run) == ""
            assert await launcher.lines(run, 5) == ["hello"]
            await launcher.stop(run)
        assert refused == []

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *[("GET", f"/v1.47/{each}") for each in ("services", "containers/json", "secrets", "configs", "nodes", "swarm")],
            *[("GET", f"/v1.47/{each}") for each in ("images/json", "containers/a/archive", "services/../containers/json")],
            *[("POST", f"/v1.47/{each}") for each in ("services/create", "containers/create", "containers/a/exec", "build")],
            *[("DELETE", f"/v1.47/services/{each}") for each in ("a", "a/update")],
            *[("PUT", "/v1.47/services/a/update"), ("POST", "/v1.47/services/a/../../containers/create/update")],
            *[("GET", "/v1.47/services/a/logs/x"), ("POST", "/v1.47/swarm/leave"), ("HEAD", "/_ping")],
        ],
    )
    def test_the_filter_lets_nothing_else_through(self, allowed, method, path):
        assert not allowed(method, path)


class TestManifest:
    @pytest.fixture
    def rules(self):
        """(verb, resource) -> the names it is limited to."""
        rules = OBJECTS["Role", "hestia-scales"]["rules"]
        groups = {"": "", "apps": "apps/"}
        return {
            (verb, groups[rule["apiGroups"][0]] + resource): rule.get("resourceNames")
            for rule in rules
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def test_its_configuration_is_one_and_names_what_the_role_names(self, rules):
        text = OBJECTS["ConfigMap", "hestia"]["data"]["hestia_config.yml"]
        config = load_text(text).config
        launches = [place.launch for service in config.services.values() for place in service.places]
        assert {launch.deployment for launch in launches} == set(rules["patch", "apps/deployments/scale"])
        assert {launch.namespace for launch in launches} == {OBJECTS["Role", "hestia-scales"]["metadata"]["namespace"]}

    def test_the_role_is_the_pods_own_and_nobody_elses(self):
        binding = OBJECTS["RoleBinding", "hestia-scales"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "hestia", "namespace": "hestia"}]
        assert binding["roleRef"]["name"] == "hestia-scales"
        pod = OBJECTS["Deployment", "hestia"]["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == "hestia"
        assert pod["automountServiceAccountToken"] is True
        assert not [kind for kind, _ in OBJECTS if kind.startswith("Cluster")]

    def test_the_rights_are_few(self, rules):
        assert rules == {
            ("get", "apps/deployments"): ["ollama"],
            ("get", "apps/deployments/scale"): ["ollama"],
            ("patch", "apps/deployments/scale"): ["ollama"],
            ("list", "pods"): None,
            ("get", "pods/log"): None,
            ("list", "events"): None,
        }

    def test_the_pod_can_do_little(self):
        pod = OBJECTS["Deployment", "hestia"]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            limits = container["securityContext"]
            assert limits["capabilities"] == {"drop": ["ALL"]}
            assert (limits["allowPrivilegeEscalation"], limits["readOnlyRootFilesystem"]) == (False, True)
        assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {"/etc/hestia", "/data", "/tmp"}

    def test_there_is_one_gateway_at_a_time(self):
        spec = OBJECTS["Deployment", "hestia"]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})

    async def test_the_role_allows_what_scaling_needs_and_nothing_that_it_does_not(self, rules, tmp_path):
        used, refused = set(), []

        class Guarded(KubernetesDouble):
            async def _answer(self, request: web.Request) -> web.StreamResponse:
                right, name = right_of(request)
                used.add(right)
                names = rules.get(right, [])
                if names is not None and name not in names:
                    refused.append((right, name))
                    return web.json_response({"message": "forbidden"}, status=403)
                return await super()._answer(request)

        async with Guarded() as double:
            (tmp_path / "config").write_text(json.dumps(double.config()))
            launcher = KubernetesLauncher(environ={"KUBECONFIG": str(tmp_path / "config")}, pace=QUICK)
            run = run_of(KubernetesLaunch(deployment="ollama"))
            double.words["ollama"] = ("hello",)
            double.make("ollama")
            await launcher.start(run, None)
            assert await launcher.state(run) == "running"
            assert await launcher.lines(run, 5) == ["hello"]
            await launcher.stop(run)
            double.plays["ollama"] = "volume"
            await launcher.start(run, None)
            assert "FailedMount" in await launcher.health(run)
            await launcher.stop(run)
            double.plays["ollama"] = "crash"
            with pytest.raises(LaunchFailed, match="no model here"):
                await launcher.start(run, None)
            await launcher.stop(run)
            await until(lambda: not double.pods)
        assert refused == []
        assert used == set(rules)

    async def test_a_pod_with_the_role_asks_with_its_own_token(self, tmp_path):
        async with KubernetesDouble() as double:
            cluster = double.config()["clusters"][0]["cluster"]
            (tmp_path / "ca.crt").write_bytes(Path(cluster["certificate-authority"]).read_bytes())
            token = tmp_path / "token"
            environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(double.port), "HOME": str(tmp_path)}
            launcher = KubernetesLauncher(environ=environ, pace=QUICK, pod=tmp_path)
            double.make("ollama", replicas=1)
            run = run_of(KubernetesLaunch(deployment="ollama"))
            for word in ("first", "renewed"):
                double.tokens = {word}
                token.write_text(word)
                assert await launcher.state(run) == "running"
            await asyncio.sleep(0)


def right_of(request: web.Request) -> tuple[tuple[str, str], str]:
    """The verb, the resource and the name that a cluster asks its rules about."""
    parts = request.path.strip("/").split("/")
    group = f"{parts[1]}/" if parts[0] == "apis" else ""
    kind, *rest = parts[parts.index("namespaces") + 2 :]
    name, *sub = rest or [""]
    verb = {"GET": "get" if name else "list", "PATCH": "patch"}[request.method]
    return (verb, group + "/".join([kind, *sub])), name
