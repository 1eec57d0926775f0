import base64
import json
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hestia.launchers.kubeconfig import Cluster, Exec, Target, User, Variable
from hestia.launchers.kubernetes_access import Credential, Plugins, access
from hestia.ports import LaunchFailed
from tests.support.tls import CERTIFICATE, KEY

VERSION = "client.authentication.k8s.io/v1"


def target(server="https://x", user=None, **cluster) -> Target:
    return Target(name="one", cluster=Cluster(server=server, **cluster), user=user or User())


def encoded(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


class TestAccess:
    def test_a_token_becomes_a_header(self):
        found = access(target("https://x/base/", User(token="abc")))
        assert (found.server, found.headers) == ("https://x/base", {"Authorization": "Bearer abc"})
        assert found.secrets == ["Bearer", "abc"]

    def test_a_token_file_goes_before_a_token_and_is_read_each_time(self, tmp_path):
        file = tmp_path / "token"
        one = target(user=User(token="old", token_file=str(file)))
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            assert access(one).headers == {"Authorization": f"Bearer {token}"}
        file.unlink()
        with pytest.raises(LaunchFailed, match="the token file .* cannot be read: no such file"):
            access(one)

    def test_a_name_and_a_password_become_a_header(self):
        assert access(target(user=User(username="a", password="b"))).headers == {"Authorization": "Basic YTpi"}

    def test_nothing_secret_goes_over_an_open_line(self):
        assert access(target("http://x", User(token="abc"))) == ("http://x", {}, None)

    def test_another_kind_of_address_is_refused(self):
        with pytest.raises(LaunchFailed, match="the server of the context `one` is no URL"):
            access(target("x:6443"))

    def test_certificates_are_checked_unless_the_file_says_not_to(self):
        checked = access(target(certificate_authority=CERTIFICATE, tls_server_name="other")).tls
        assert checked.context.verify_mode is ssl.CERT_REQUIRED
        assert checked.server_name == "other"
        assert not checked.context.verify_flags & ssl.VERIFY_X509_STRICT
        assert len(checked.context.get_ca_certs()) == 1
        assert access(target(insecure_skip_tls_verify=True)).tls.context.verify_mode is ssl.CERT_NONE

    @pytest.mark.parametrize(
        "user",
        [
            User(client_certificate=CERTIFICATE, client_key=KEY),
            User(client_certificate_data=encoded(CERTIFICATE), client_key_data=encoded(KEY)),
        ],
    )
    def test_a_client_certificate_is_loaded_and_left_nowhere(self, user, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        seen = []
        load = ssl.SSLContext.load_cert_chain

        def spy(self, path, **more):
            seen.append(stat.S_IMODE(Path(path).stat().st_mode))
            return load(self, path, **more)

        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
        access(target(user=user))
        assert seen == [0o600]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("cluster", "user"),
        [
            ({"certificate_authority_data": base64.b64encode(b"no pem").decode()}, User()),
            ({}, User(client_certificate_data=base64.b64encode(b"no pem").decode())),
            ({}, User(client_certificate=CERTIFICATE)),
        ],
    )
    def test_what_is_no_certificate_is_told(self, cluster, user):
        with pytest.raises(LaunchFailed, match="a certificate or key of the kubeconfig is no PEM text"):
            access(target(user=user, **cluster))

    def test_an_encrypted_key_is_told_and_asks_nobody(self, tmp_path):
        key = tmp_path / "key"
        argv = ["openssl", "pkcs8", "-topk8", "-in", KEY, "-out", str(key), "-passout", "pass:abcd"]
        subprocess.run(argv, check=True, capture_output=True)
        with pytest.raises(LaunchFailed, match="the client key of the kubeconfig is encrypted"):
            access(target(user=User(client_certificate=CERTIFICATE, client_key=str(key))))


@pytest.fixture
def plugin(tmp_path):
    """Says what the test writes, and keeps what it was given."""
    answer, seen = tmp_path / "answer", tmp_path / "seen"
    script = f"""
import os, sys
open({str(seen)!r}, "a").write(repr((sys.argv[1:], os.environ.get("KUBERNETES_EXEC_INFO"), os.environ.get("A"), os.environ.get("HESTIA_X"))) + "\\n")
text = open({str(answer)!r}).read()
print(text)
sys.exit(3 if "fail" in text else 0)
"""

    class Plugin:
        calls = property(lambda self: [eval(line) for line in seen.read_text().splitlines()])

        def says(self, **status):
            answer.write_text(json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}))

        def writes(self, text):
            answer.write_text(text)

        def target(self, **more):
            keys = {"command": sys.executable, "args": ("-c", script, "--x"), "api_version": VERSION, **more}
            cluster = {"certificate_authority": CERTIFICATE, "tls_server_name": "other"}
            return target(user=User(exec=Exec(**keys)), **cluster)

    return Plugin()


class TestPlugins:
    async def test_without_a_plugin_there_is_nothing_to_ask(self):
        assert await Plugins({}).credential(target()) is None
        assert not Plugins({}).forget(target())

    async def test_its_token_is_kept_until_it_is_forgotten(self, plugin):
        plugins, one = Plugins({"HESTIA_X": "ours"}), plugin.target(env=(Variable("A", "b"),))
        plugin.says(token="first")
        assert access(one, await plugins.credential(one)).headers == {"Authorization": "Bearer first"}
        plugin.says(token="second")
        assert (await plugins.credential(one)).token == "first"
        assert plugins.forget(one)
        assert (await plugins.credential(one)).token == "second"
        words, info, own, ours = plugin.calls[0]
        assert (words, own, ours) == (["--x"], "b", None)
        assert json.loads(info) == {"apiVersion": VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}

    async def test_a_credential_that_ends_soon_is_asked_for_anew(self, plugin):
        end = datetime(2026, 1, 1, 12, tzinfo=UTC)
        now = end.timestamp() - 3600
        plugins, one = Plugins({}, lambda: now), plugin.target()
        for expiration in ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00"):
            plugins.forget(one)
            plugin.says(token="first", expirationTimestamp=expiration)
            assert (await plugins.credential(one)).token == "first"
            plugin.says(token="second")
            assert (await plugins.credential(one)).token == "first"
            now = end.timestamp() - 10
            assert (await plugins.credential(one)).token == "second"
            now = end.timestamp() - 3600

    async def test_it_is_told_of_the_cluster_where_it_wants_that(self, plugin):
        plugin.says(token="a")
        await Plugins({}).credential(plugin.target(provide_cluster_info=True))
        cluster = json.loads(plugin.calls[0][1])["spec"]["cluster"]
        assert cluster == {
            "server": "https://x",
            "tls-server-name": "other",
            "certificate-authority-data": encoded(CERTIFICATE),
        }

    async def test_it_may_give_a_certificate(self, plugin):
        plugin.says(clientCertificateData=Path(CERTIFICATE).read_text(), clientKeyData=Path(KEY).read_text())
        one = plugin.target()
        found = access(one, await Plugins({}).credential(one))
        assert found.headers == {}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("fail: log in again", "exited with code 3: fail: log in again"),
            ("no json", "gave no credential"),
            ("{}", "gave no credential"),
            ('{"status": {}}', "gave neither a token nor a certificate"),
            ('{"status": {"token": 5, "x": "secret-word"}}', "gave no credential"),
        ],
    )
    async def test_one_that_gives_nothing_is_told(self, plugin, text, words):
        plugin.writes(text)
        with pytest.raises(LaunchFailed, match=words) as failed:
            await Plugins({}).credential(plugin.target())
        assert "secret-word" not in str(failed.value)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"api_version": "client.authentication.k8s.io/v1alpha1"}, "speaks `.*v1alpha1`"),
            ({"interactive_mode": "Always"}, "wants a terminal"),
            ({"command": "/no/such", "install_hint": "Get it\nfrom there."}, "/no/such cannot be run: no such file or directory. Get it from there"),
        ],
    )
    async def test_one_that_cannot_be_run_is_told(self, plugin, more, words):
        with pytest.raises(LaunchFailed, match=words):
            await Plugins({}).credential(plugin.target(**more))

    def test_a_given_certificate_goes_before_the_files(self):
        given = Credential(client_certificate_data="no pem", client_key_data="no pem")
        with pytest.raises(LaunchFailed, match="no PEM"):
            access(target(user=User(client_certificate=CERTIFICATE, client_key=KEY)), given)
