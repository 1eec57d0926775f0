import base64
import textwrap

import pytest

from hestia.launchers.kubeconfig import Cluster, Context, Exec, User, Variable, find, pem
from hestia.ports import LaunchFailed

ONE = """
    apiVersion: v1
    kind: Config
    current-context: home
    preferences: {}
    contexts:
    - {name: home, context: {cluster: k3s, user: me, namespace: default}}
    - {name: far, context: {cluster: cloud, user: plugin}}
    clusters:
    - name: k3s
      cluster: {server: "https://k3s.lan:6443", certificate-authority: ca.crt}
    - name: cloud
      cluster: {server: "https://cloud/", insecure-skip-tls-verify: true, tls-server-name: other, proxy-url: ""}
    users:
    - {name: me, user: {token: 0123, client-certificate: /abs/me.crt}}
    - name: plugin
      user:
        exec:
          apiVersion: client.authentication.k8s.io/v1
          command: ./bin/give-token
          args: [--region, eu]
          env:
          - {name: A, value: "1"}
          - {name: B, value: ""}
          installHint: null
          interactiveMode: IfAvailable
          provideClusterInfo: false
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


def test_the_current_context_is_taken_unless_one_is_named(write):
    environ = {"KUBECONFIG": write(ONE)}
    assert find(environ, None).cluster.server == "https://k3s.lan:6443"
    assert find(environ, "far").cluster == Cluster(
        server="https://cloud/", insecure_skip_tls_verify=True, tls_server_name="other"
    )


def test_texts_stay_as_they_are_written(write):
    assert find({"KUBECONFIG": write(ONE)}, None).user.token == "0123"


def test_paths_are_relative_to_the_file_that_says_them(write, tmp_path):
    environ = {"KUBECONFIG": write(ONE)}
    target = find(environ, None)
    assert target.cluster.certificate_authority == str(tmp_path / "ca.crt")
    assert target.user.client_certificate == "/abs/me.crt"
    assert find(environ, "far").user.exec == Exec(
        command=str(tmp_path / "bin/give-token"),
        args=("--region", "eu"),
        env=(Variable("A", "1"), Variable("B")),
        api_version="client.authentication.k8s.io/v1",
        interactive_mode="IfAvailable",
    )


def test_the_file_of_the_home_folder_is_the_usual_one(write, tmp_path):
    write(ONE, ".kube/config")
    assert find({"HOME": str(tmp_path)}, None).name == "home"


def test_several_files_are_one_and_the_first_word_counts(write):
    second = """
        current-context: other
        contexts: [{name: other, context: {cluster: mine, user: me}}]
        clusters: [{name: mine, cluster: {server: "https://mine"}}]
        users: [{name: me, user: {token: another}}]
    """
    environ = {"KUBECONFIG": f"{write(ONE)}:/does/not/exist:{write(second, 'second')}"}
    assert find(environ, None).name == "home"
    target = find(environ, "other")
    assert (target.cluster.server, target.user.token) == ("https://mine", "0123")


def test_a_pod_finds_its_own_cluster(tmp_path):
    environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    (tmp_path / "token").write_text("t")
    target = find(environ, None, tmp_path)
    assert target.cluster.server == "https://[fd00::1]:6443"
    assert target.user == User(token_file=str(tmp_path / "token"))
    assert find(environ | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, tmp_path).cluster.server == "https://10.0.0.1:6443"


def test_a_pod_with_a_kubeconfig_uses_that(write, tmp_path):
    environ = {"KUBECONFIG": write(ONE), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert find(environ, None, tmp_path).name == "home"


def test_a_pod_without_a_service_account_says_so(tmp_path):
    with pytest.raises(LaunchFailed, match="this pod has no service account"):
        find({"HOME": "/nowhere", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, tmp_path)


def test_nothing_to_go_by_is_told(tmp_path):
    with pytest.raises(LaunchFailed, match=f"no kubeconfig: there is no {tmp_path}/.kube/config"):
        find({"HOME": str(tmp_path)}, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "is no kubeconfig"),
        ("just a text", "is no kubeconfig"),
        ("contexts: [3]", "is no kubeconfig"),
        ("contexts: [{context: {}}]", "is no kubeconfig"),
        ("users: [{name: a, user: {exec: {args: secret-word}}}]", "is no kubeconfig"),
        ("!!python/object/apply:os.getcwd []", "has no current context"),
        ("\xff", "is no kubeconfig"),
        ("", "has no current context: name one as `launch.context`"),
        ("current-context: a", "has no context `a`"),
        ("{current-context: a, contexts: [{name: b, context: null}]}", "has no context `a`; there are: b"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "the cluster `c` of .* has no server"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],"
            + " clusters: [{name: c, cluster: {server: 'https://x'}}]}",
            "the user `u` of the context `a` is not there",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_content(write, text, words):
    path = write("")
    with open(path, "wb") as file:
        file.write(text.encode("latin-1"))
    with pytest.raises(LaunchFailed, match=words) as failed:
        find({"KUBECONFIG": path}, None)
    assert "secret-word" not in str(failed.value)


@pytest.mark.parametrize(
    ("cluster", "user", "key"),
    [
        ("proxy-url: socks5://x", "token: a", "proxy-url"),
        ("", "auth-provider: {name: gcp}", "auth-provider"),
        ("", "{token: a, as: root}", "as"),
    ],
)
def test_what_would_be_ignored_is_refused(write, cluster, user, key):
    more = f", {cluster}" if cluster else ""
    user = user if user.startswith("{") else f"{{{user}}}"
    text = f"""
        current-context: a
        contexts: [{{name: a, context: {{cluster: c, user: u}}}}]
        clusters: [{{name: c, cluster: {{server: "https://x"{more}}}}}]
        users: [{{name: u, user: {user}}}]
    """
    with pytest.raises(LaunchFailed, match=f"the context `a` says `{key}`, which Hestia does not understand"):
        find({"KUBECONFIG": write(text)}, None)


def test_a_context_may_have_no_user(write):
    text = """
        current-context: a
        contexts: [{name: a, context: {cluster: c}}]
        clusters: [{name: c, cluster: {server: "http://127.0.0.1:8001"}}]
    """
    assert find({"KUBECONFIG": write(text)}, None).user == User()
    assert Context() == Context(cluster="", user="")


def test_a_file_that_may_not_be_read_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(LaunchFailed, match="there is no"):
        find({"KUBECONFIG": str(tmp_path / "a")}, None)


def test_what_stands_in_the_file_goes_before_what_it_names(tmp_path):
    path = tmp_path / "ca"
    path.write_bytes(b"named")
    assert pem(base64.b64encode(b"said").decode(), str(path), "authority") == b"said"
    assert pem(None, str(path), "authority") == b"named"
    assert pem(None, None, "authority") is None
    with pytest.raises(LaunchFailed, match="the authority .*/none cannot be read: no such file or directory"):
        pem(None, str(tmp_path / "none"), "authority")
    with pytest.raises(LaunchFailed, match="the authority in the kubeconfig is no base64"):
        pem("a", None, "authority")
