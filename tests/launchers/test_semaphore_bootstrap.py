"""What lies in etc/semaphore: the bootstrap against the double, the playbooks as YAML, and both with the launcher."""

import asyncio
import importlib.util
import re
import sys

import pytest
import yaml

from hestia.launchers.semaphore import SemaphoreLauncher
from hestia.launchers.semaphore_site import Pace
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run
from hestia.words.spec import Semaphore
from tests.house.tree import ROOT
from tests.support.conformance import started
from tests.support.semaphore_double import SemaphoreDouble

FOLDER = ROOT / "etc" / "semaphore"
PLAYBOOKS = sorted(FOLDER.glob("*.yml"))
ADMIN = {"SEMAPHORE_ADMIN": "admin", "SEMAPHORE_ADMIN_PASSWORD": "secret-of-admin"}


@pytest.fixture(scope="module")
def bootstrap():
    spec = importlib.util.spec_from_file_location("semaphore_bootstrap", FOLDER / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["2.10", "2.20"])
async def double(request):
    double = await SemaphoreDouble(request.param).open()
    yield double
    await double.close()


@pytest.fixture
def run(bootstrap, double, capsys):
    async def call(*words, environ=ADMIN):
        code = await asyncio.to_thread(bootstrap.main, ["--base-url", double.url, *words], environ)
        return code, capsys.readouterr()

    return call


def named(double, kind):
    return {row["name"]: row for row in double.lists[1, kind]}


async def test_it_makes_all_that_hestia_needs(run, double, tmp_path):
    key = tmp_path / "key"
    key.write_text("PRIVATE")
    code, said = await run(
        "--machine", "gpu ansible_host=10.0.0.5", "--ssh-key", str(key), "--service", "comfyui=docker"
    )
    assert code == 0, said.err
    assert [project["name"] for project in double.projects.values()] == ["hestia"]
    templates = named(double, "templates")
    assert set(templates) == {"hestia-start", "hestia-stop", "comfyui-start", "comfyui-stop"}
    assert templates["hestia-stop"]["playbook"] == "systemd-stop.yml"
    assert templates["comfyui-start"]["playbook"] == "docker-start.yml"
    assert templates["comfyui-start"]["environment_id"] == named(double, "environment")["hestia"]["id"]
    assert named(double, "inventory")["hestia"]["inventory"] == "gpu ansible_host=10.0.0.5"
    assert named(double, "inventory")["hestia"]["ssh_key_id"] == named(double, "keys")["hestia-ssh"]["id"]
    assert named(double, "keys")["hestia-ssh"]["ssh"]["private_key"] == "PRIVATE"


async def test_a_second_time_it_changes_nothing(run, double):
    words = ("--machine", "gpu", "--service", "comfyui=docker")
    assert (await run(*words))[0] == 0
    before = {key: [dict(row) for row in rows] for key, rows in double.lists.items()}
    double.asked.clear()
    code, said = await run(*words)
    assert (code, said.out) == (0, "done\n")
    assert double.lists == before
    assert {method for method, path in double.asked if path != "/api/auth/login"} == {"GET"}


async def test_what_differs_is_changed_and_what_is_not_asked_for_is_kept(run, double):
    await run("--machine", "gpu")
    named(double, "inventory")["hestia"]["become_key_id"] = 7
    named(double, "environment")["hestia"]["json"] = '{"mine": 1}'
    code, said = await run("--machine", "other", "--general", "docker")
    assert code == 0
    assert "changed inventory hestia\n" in said.out
    assert named(double, "inventory")["hestia"]["inventory"] == "other"
    assert named(double, "inventory")["hestia"]["become_key_id"] == 7
    assert named(double, "environment")["hestia"]["json"] == '{"mine": 1}'
    assert named(double, "templates")["hestia-start"]["playbook"] == "docker-start.yml"
    await run()
    assert named(double, "inventory")["hestia"]["inventory"] == "other"


async def test_a_token_is_written_once_for_its_owner_alone(run, tmp_path):
    file = tmp_path / "token"
    code, said = await run("--token-file", str(file))
    assert code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text()
    assert token.strip() not in said.out + said.err
    await run("--token-file", str(file))
    assert file.read_text() == token


async def test_the_launcher_works_with_what_was_made(run, double, tmp_path):
    file = tmp_path / "token"
    await run("--token-file", str(file))
    settings = Semaphore(base_url=double.url, token=file.read_text().strip())
    launcher = SemaphoreLauncher(lambda: settings, pace=Pace(poll=0.01))
    one = Run(id="1", owner="app", machine="gpu", base_url="http://127.0.0.1:9", launch=SemaphoreLaunch())
    one = await started(launcher, one)
    assert double.up == {"app": 1}
    await launcher.stop(one)
    assert double.up == {"app": 0}


async def test_a_token_may_be_used_instead_of_a_password(run, double, tmp_path):
    double.roles["of-an-admin"] = "admin"
    (tmp_path / "file").write_text("of-an-admin\n")
    assert (await run(environ={"SEMAPHORE_API_TOKEN_FILE": str(tmp_path / "file")}))[0] == 0


@pytest.mark.parametrize(
    "environ, words",
    [
        ({}, "set SEMAPHORE_ADMIN and SEMAPHORE_ADMIN_PASSWORD, or SEMAPHORE_API_TOKEN"),
        (ADMIN | {"SEMAPHORE_ADMIN_PASSWORD": "wrong-password"}, "POST /auth/login was answered 401: without a word"),
        ({"SEMAPHORE_API_TOKEN_FILE": "missing"}, "missing"),
    ],
)
async def test_what_fails_is_said_without_the_secret(run, environ, words):
    code, said = await run(environ=environ)
    assert code == 1
    assert words in said.err
    assert "wrong-password" not in said.err


async def test_a_server_that_is_away_is_said(run, double):
    await double.close()
    code, said = await run()
    assert code == 1
    assert "refused" in said.err
    await double.open()


def test_a_bad_service_is_a_usage_error(bootstrap):
    with pytest.raises(SystemExit) as end:
        bootstrap.main(["--service", "comfyui=magic"], {})
    assert end.value.code == 2


def test_it_needs_nothing_but_python(bootstrap):
    imported = set(re.findall(r"^(?:import|from) ([a-z_]+)", (FOLDER / "bootstrap.py").read_text(), re.MULTILINE))
    assert imported <= sys.stdlib_module_names


# The playbooks


@pytest.mark.parametrize("file", PLAYBOOKS, ids=lambda file: file.name)
def test_a_playbook_is_one_play_for_the_machine_that_hestia_names(file):
    [play] = yaml.safe_load(file.read_text())
    assert play["hosts"] in {"{{ hestia_machine }}", "localhost"}
    assert "hestia_machine" in file.read_text()
    assert all(task["name"] for task in play["tasks"])


def test_each_kind_of_the_bootstrap_has_both_playbooks(bootstrap):
    wanted = {f"{kind}-{action}.yml" for kind in bootstrap.KINDS for action in ("start", "stop")}
    assert {file.name for file in PLAYBOOKS} == wanted


def test_the_readme_names_every_playbook():
    text = (FOLDER / "README.md").read_text()
    assert [file.name for file in PLAYBOOKS if file.name not in text] == []


def test_the_readmes_command_line_is_understood(bootstrap):
    text = (FOLDER / "README.md").read_text()
    options = set(re.findall(r"(--[a-z][a-z-]*)", text))
    assert options
    assert options <= set(re.findall(r"(--[a-z][a-z-]*)", bootstrap.parser({}).format_help()))
