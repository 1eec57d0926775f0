"""Secrets stay where they belong (section 10: launched programs get none; sections 8 and 13: logs, errors and the database)."""

from pathlib import Path

from hestia.roof.launching import Shown
from hestia.words.spec import ApiKey, Auth, Config, Dashboard, Semaphore
from tests.hostile.gateway import served

SECRETS = {"MY_KEY": "key-s3cr3t-the-operator", "MY_TOKEN": "token-s3cr3t-semaphore", "MY_PASSWORD": "password-s3cr3t-the-page"}
HEAD = """auth: {api_keys: [{name: mine, key: "${MY_KEY}"}], dashboard: {password: "${MY_PASSWORD}"}}
semaphore: {base_url: "http://127.0.0.1:1", token: "${MY_TOKEN}", project_id: 1}"""


def test_a_launched_program_sees_no_secret_of_the_gateway_whatever_its_variable_is_called(serve, tmp_path):
    ours = {"HESTIA_LOOP": "asyncio", "SEMAPHORE_API_TOKEN": "token-s3cr3t-semaphore", "NOTIFY_SOCKET": "/nowhere"}
    gateway = serve({"a": served(tmp_path, "a")}, HEAD, **SECRETS, **ours, COPY="key-s3cr3t-the-operator", PLAIN="in plain sight")
    pid = int(gateway.ask("GET", "/services/a/x", X_API_Key="key-s3cr3t-the-operator").body)
    seen = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"PLAIN=in plain sight" in seen
    assert [row for row in seen if b"-s3cr3t-" in row] == []
    assert [row for row in seen if row.startswith((b"NOTIFY_SOCKET", b"HESTIA_"))] == []
    shown = gateway.program.stderr.encode() + gateway.call({"jsonrpc": "2.0", "id": 1, "method": "config.show"})
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"-s3cr3t-" not in shown + kept
    assert {file.stat().st_mode & 0o077 for file in (tmp_path / "data").glob("hestia.db*")} == {0}


def test_a_variable_that_holds_a_secret_in_force_is_hidden_from_launchers_and_no_other():
    keys = (ApiKey(name="k", key="key-of-ours"), ApiKey(name="short", key="1"))
    config = Config(auth=Auth(api_keys=keys, dashboard=Dashboard(password="pass-of-ours")), semaphore=Semaphore(token="token-of-ours"))
    environ = {"K": "key-of-ours", "P": "pass-of-ours", "T": "token-of-ours", "SHLVL": "1", "PATH": "/bin"}
    configs = [config]
    shown = Shown(environ, lambda: configs[-1])
    assert dict(shown) == {"SHLVL": "1", "PATH": "/bin"}
    assert (shown.get("K"), "K" in shown, len(shown)) == (None, False, 2)
    configs.append(Config())  # a reload
    assert dict(shown) == environ
