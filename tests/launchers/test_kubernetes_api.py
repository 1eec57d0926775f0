import sys

import pytest

from hestia.launchers.kubeconfig import Cluster, Exec, Target, User
from hestia.launchers.kubernetes_access import Plugins
from hestia.launchers.kubernetes_api import Api, ClusterDown, ClusterRefused, Meta, Pod, PodSpec
from hestia.words.launch_spec import KubernetesLaunch
from tests.support.conformance import until
from tests.support.kubernetes_double import TOKEN, KubernetesDouble
from tests.support.tls import CERTIFICATE, KEY

WEB = KubernetesLaunch(deployment="web")


@pytest.fixture
async def double():
    async with KubernetesDouble() as cluster:
        yield cluster


def target(double, user=None, **more) -> Target:
    keys = {"server": double.url, "certificate_authority": CERTIFICATE, **more}
    return Target(name="one", cluster=Cluster(**keys), user=user or User(token=TOKEN))


def api(double, user=None, **more) -> Api:
    return Api(target(double, user, **more), Plugins({}), WEB)


async def test_a_workload_is_read_with_its_zeros(double):
    double.make("web", replicas=0)
    found = await api(double).workload()
    assert (found.spec.replicas, found.status.replicas, found.status.ready_replicas) == (0, 0, 0)
    assert [each["name"] for each in found.containers] == ["main"]


async def test_a_client_certificate_is_enough(double):
    double.make("web")
    assert await api(double, User(client_certificate=CERTIFICATE, client_key=KEY)).workload()


async def test_pods_are_those_of_its_selector(double):
    double.make("web", replicas=2)
    double.make("other", replicas=1)
    await until(lambda: double.living("web") == 2)
    assert [pod.metadata.name for pod in await api(double).pods()] == [pod.name for pod in double.pods[:2]]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"certificate_authority": None}, "the cluster of one: its certificate is not trusted"),
        ({"tls_server_name": "other.example"}, "its certificate is not trusted"),
        ({"server": "https://localhost:1"}, "the cluster of one: connection refused"),
    ],
)
async def test_a_cluster_that_cannot_be_asked_is_told(double, more, words):
    with pytest.raises(ClusterDown, match=words):
        await api(double, **more).workload()


async def test_a_name_in_the_certificate_may_differ(double):
    double.make("web")
    server = f"https://127.0.0.1:{double.port}"
    assert await api(double, server=server, tls_server_name="localhost").workload()


async def test_a_certificate_may_go_unchecked(double):
    double.make("web")
    assert await api(double, certificate_authority=None, insecure_skip_tls_verify=True).workload()


@pytest.mark.parametrize(("fault", "kind"), [("503", ClusterDown), ("429", ClusterDown), ("html", ClusterDown)])
async def test_what_may_pass_is_told_from_what_was_refused(double, fault, kind):
    double.make("web")
    double.fault = fault
    with pytest.raises(kind):
        await api(double).workload()
    double.fault = None
    with pytest.raises(ClusterRefused, match='404: deployments.apps "no" not found') as refused:
        await Api(target(double), Plugins({}), KubernetesLaunch(deployment="no")).workload()
    assert refused.value.status == 404


async def test_an_expired_credential_of_a_plugin_is_asked_for_once_more(double, tmp_path):
    double.make("web")
    file = tmp_path / "token"
    script = f'print(\'{{"status": {{"token": "%s"}}}}\' % open({str(file)!r}).read())'
    version = "client.authentication.k8s.io/v1"
    user = User(exec=Exec(command=sys.executable, args=("-c", script), api_version=version))
    file.write_text("old")
    one = Api(target(double, user), Plugins({}), WEB)
    with pytest.raises(ClusterRefused, match="401"):
        await one.workload()
    asked = len(double.asked)
    assert asked == 2  # once with each: a plugin that gives no better one is not asked for ever
    file.write_text(TOKEN)
    assert await one.workload()


async def test_an_engines_words_are_without_our_token(double):
    double.fault = "503"
    one = api(double, User(token="told"))  # the double says `the double is told to`
    with pytest.raises(ClusterDown, match=r"the double is \*\*\* to"):
        await one.workload()


async def test_the_newest_warning_is_told(double):
    double.plays["web"] = "volume"
    double.make("web", replicas=1)
    found = (await api(double).pods())[0]
    assert (await api(double).warning(found)).startswith("FailedMount: Unable to attach")


def test_the_container_that_talks_may_be_named():
    pods = PodSpec(containers=({"name": "first"}, {"name": "second"}))
    assert Pod(metadata=Meta(), spec=pods).talker == "first"
    annotations = {"kubectl.kubernetes.io/default-container": "second"}
    assert Pod(metadata=Meta(annotations=annotations), spec=pods).talker == "second"
    assert Pod(metadata=Meta()).talker == ""
