"""What ships beside the package says what is so: Containerfile, compose.yml, the units, the configuration to begin with."""

import configparser
import fnmatch
import json
import re
import subprocess

import pytest
import yaml

from hestia.roof.run import GRACE_S
from hestia.wire import USAGE
from hestia.words.spec import DEFAULT_LISTEN
from tests.house.tree import ROOT
from tests.whole.program import run

SAMPLE = ROOT / "etc" / "hestia_config.yml"
SWITCHED_OFF = re.compile(r"^( *)#(?! \S)(?=.*\S)", re.MULTILINE)
CONTAINERFILE = (ROOT / "Containerfile").read_text()
COMPOSE_TEXT = (ROOT / "compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
HESTIA, SEMAPHORE = COMPOSE["services"]["hestia"], COMPOSE["services"]["semaphore"]
FOR_ALL, FOR_ONE = "hestia.service", "hestia-user.service"


def unit(name):
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str
    parser.read(ROOT / "etc" / name)
    return parser


def instructions(name):
    whole = CONTAINERFILE.replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in whole.splitlines() if line.startswith(f"{name} ")]


def default(text):
    """A value of compose.yml when nothing is set."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)


# The configuration to begin with.


def test_the_configuration_to_begin_with_has_no_mistake_and_no_warning(tmp_path):
    done = run(tmp_path, "check", str(SAMPLE))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_example_in_it_works_when_it_is_switched_on(tmp_path):
    text, examples = SWITCHED_OFF.subn(r"\1", SAMPLE.read_text())
    file = tmp_path / "hestia_config.yml"
    file.write_text(text)
    file.chmod(0o600)
    done = run(tmp_path, "check", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert examples > 40
    assert set(yaml.safe_load(text)["services"]) >= {"ollama", "llama", "comfy", "jupyter", "whisper", "media", "notes"}


def test_what_it_calls_the_default_is_the_default():
    whole = yaml.safe_load(SWITCHED_OFF.sub(r"\1", SAMPLE.read_text()))
    assert tuple(whole["listen"]) == tuple(DEFAULT_LISTEN)


def test_it_suits_the_container_too(tmp_path):
    """There it is read with the variables of the image and of compose.yml, which find nothing to disagree with."""
    image = dict(re.findall(r"(\w+)=('[^']*'|\S+)", " ".join(instructions("ENV"))))
    ours = {name: text.strip("'") for name, text in image.items() if name.startswith("HESTIA")}
    ours["HESTIA__DATA_DIR"] = str(tmp_path)
    theirs = {name: default(text) for name, text in HESTIA["environment"].items()}
    done = run(tmp_path, "check", str(SAMPLE), **ours, **theirs)
    assert (done.returncode, done.stderr) == (0, "")


# The image.


def test_each_stage_stands_on_the_base_that_is_asked_for():
    stages = instructions("FROM")
    assert stages == ["${BASE} AS build", "${BASE}"]
    assert re.search(r"^ARG BASE=\S+-slim$", CONTAINERFILE, re.MULTILINE)


def test_the_image_needs_nothing_of_buildkit():
    assert "--mount" not in CONTAINERFILE
    assert "<<" not in CONTAINERFILE
    assert not CONTAINERFILE.startswith("# syntax")


def test_the_image_runs_as_nobody_in_particular_below_tini_and_keeps_data():
    assert instructions("USER")[-1] == "hestia"
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["tini", "--", "hestia"]
    assert json.loads(instructions("CMD")[0]) == ["serve"]
    assert instructions("VOLUME") == ["/data"]
    assert 'CMD ["hestiactl", "ping"]' in instructions("HEALTHCHECK")[0]
    assert "HESTIA__LISTEN='[\"0.0.0.0:8080\"]'" in instructions("ENV")[0]


def test_what_the_image_copies_is_sent_to_the_engine():
    """.dockerignore names what is let through; the rest of a working folder may be large, and secret."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    let_through = [line[1:] for line in lines if line.startswith("!")]
    copied = [name for line in instructions("COPY") if not line.startswith("--from") for name in line.split()[:-1]]
    assert lines[0] == "*"
    assert [name for name in copied if not any(fnmatch.fnmatch(one, name) for one in let_through)] == []
    assert [name for name in let_through if name != "wheelhouse" and not (ROOT / name).exists()] == []


def test_the_lock_has_what_the_image_is_built_with():
    lock = (ROOT / "requirements.lock").read_text()
    assert all(re.search(rf"^{name}==", lock, re.MULTILINE) for name in ("setuptools", "aiohttp", "uvloop"))


# compose.yml.


def test_compose_builds_here_and_publishes_on_loopback_only():
    assert HESTIA["build"] == {"context": ".", "dockerfile": "Containerfile"}
    assert HESTIA["ports"] == ["127.0.0.1:8080:8080"]
    assert SEMAPHORE["ports"] == ["127.0.0.1:3000:3000"]
    assert HESTIA["environment"]["OLLAMA_BASE_URL"] == "http://host.docker.internal:11434"
    assert HESTIA["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_compose_mounts_folders_read_only_and_two_volumes():
    assert HESTIA["volumes"] == ["hestia_sqlite:/data", "./etc:/etc/hestia:ro", "./strategies:/etc/hestia/strategies:ro"]
    assert set(COMPOSE["volumes"]) == {"hestia_sqlite", "semaphore_data"}
    assert "/var/run/docker.sock" not in yaml.safe_dump(COMPOSE)


@pytest.mark.parametrize("folder", ["etc", "strategies", "etc/semaphore", "etc/strategies"])
def test_every_folder_that_compose_mounts_and_mounts_upon_is_in_a_clone(folder):
    """A folder that is mounted read-only cannot be given a place to mount another one upon."""
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", folder]
    assert subprocess.run(listed, check=True, capture_output=True, timeout=30).stdout


def test_the_container_has_longer_to_stop_than_exchanges_have():
    assert HESTIA["stop_grace_period"] == "60s"
    assert GRACE_S < 60


def test_compose_starts_without_a_variable_and_semaphore_only_when_asked():
    assert ":?" not in COMPOSE_TEXT
    assert all(":-" in name for name in re.findall(r"(?<!\$)\$\{(\w+[^}]*)\}", COMPOSE_TEXT))
    assert SEMAPHORE["profiles"] == ["semaphore"]
    assert "profiles" not in HESTIA


@pytest.mark.parametrize("password, code, said", [("", 78, "SEMAPHORE_ADMIN_PASSWORD is empty"), ("open sesame", 127, "server-wrapper")])
def test_semaphore_refuses_an_empty_password_and_nothing_else(password, code, said):
    argv = [each.replace("$$", "$") for each in SEMAPHORE["command"]]
    done = subprocess.run(
        argv, env={"SEMAPHORE_ADMIN_PASSWORD": password}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, said in done.stderr) == (code, True)


# The units.


@pytest.mark.parametrize("name", [FOR_ALL, FOR_ONE])
def test_a_unit_tells_systemd_when_it_is_ready_and_leaves_what_it_launched_to_the_next(name):
    service = unit(name)["Service"]
    assert (service["Type"], service["KillMode"], service["Delegate"]) == ("notify", "process", "yes")
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["WatchdogSec"]) >= 10
    assert int(service["TimeoutStopSec"]) > GRACE_S
    assert service["OOMPolicy"] == "continue"
    assert service["RestartPreventExitStatus"] == str(USAGE)


def test_no_rule_of_a_unit_takes_from_services_what_they_need():
    rules = {*unit(FOR_ALL)["Service"], *unit(FOR_ONE)["Service"]}
    forbidden = {"PrivateDevices", "DevicePolicy", "ProtectHome", "MemoryDenyWriteExecute", "NoNewPrivileges", "PrivateTmp"}
    implying = {"SystemCallFilter", "RestrictNamespaces", "LockPersonality", "RestrictSUIDSGID", "ProtectKernelModules"}
    assert rules & (forbidden | implying) == set()
    assert unit(FOR_ALL)["Service"]["ProtectSystem"] == "full"


def test_the_socket_unit_opens_the_default_addresses():
    opened = re.findall(r"^ListenStream=(.*)$", (ROOT / "etc" / "hestia.socket").read_text(), re.MULTILINE)
    assert tuple(opened) == tuple(DEFAULT_LISTEN)


# The docs.


@pytest.mark.parametrize("page", ["container.md", "systemd.md", "install.md", "security.md"])
def test_the_yaml_of_a_page_can_be_read(page):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "hestia" / "docs" / page).read_text(), re.DOTALL)
    assert all(isinstance(yaml.safe_load(block), dict) for block in blocks)


def test_what_the_docs_say_about_build_arguments_is_so():
    page = (ROOT / "hestia" / "docs" / "container.md").read_text()
    told = {name: text.split("`")[1] for name, text in re.findall(r"^\| `([A-Z]+)` \| (.*?) \|$", page, re.MULTILINE)}
    assert told == {name: text.strip('"') for name, text in (line.split("=") for line in instructions("ARG"))}


