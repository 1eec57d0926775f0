"""The units of `etc/` before the real systemd: what a gateway that is run by them may do, and how it comes back."""

import http.client
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time

import pytest

from tests.engines.unit_manager import ROOT, gateway, unit_manager
from tests.engines.user_manager import program
from tests.whole.program import free_port

WITHIN_S = 30
RESTARTS = 2
CONFIG = "/run/hestia.yml"
UNIT = "hestia.service"
CODE = {"x86_64": "b82a000000c3", "aarch64": "40058052c0035fd6"}  # a function that returns 42
DEVICES = ("/dev/fuse", "/dev/net/tun", "/dev/kvm", "/dev/loop-control", "/dev/kmsg")
# Our interpreter may be in a home, and in a namespace systemd finds no /proc/sys and no kernel log to protect.
NOT_HERE = {"ProtectHome", "ProtectKernelTunables", "ProtectKernelLogs"}
# What it may do, as a service that is launched finds out; it tells so over HTTP.
TRIES = """
import ctypes, http.server, json, mmap, os, pathlib, sys

def home():
    file = pathlib.Path.home() / "hestia-trial"
    file.write_text("mine")
    return file.read_text() == "mine"

def device():
    os.close(os.open(sys.argv[2], os.O_RDWR))
    return True

def memory():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex(sys.argv[3]))
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() == 42

def setuid():
    return "NoNewPrivs:\\t0" in pathlib.Path("/proc/self/status").read_text()

def tried(what):
    try:
        return what()
    except OSError as error:
        return str(error)

said = {what.__name__: tried(what) for what in (home, device, memory, setuid)} | {"pid": os.getpid()}

class Tell(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Tell).serve_forever()
"""


@pytest.fixture(scope="module")
def manager():
    with unit_manager() as manager:
        yield manager


class Gateway:
    """The gateway as the unit runs it, with one service that tells what it may do."""

    def __init__(self, manager):
        self.manager = manager
        self.port = free_port()
        self.device = next(each for each in DEVICES if _opens(each))

    def configure(self, **more):
        command = [program("python3", "python3"), "-c", TRIES, "{port}", self.device, CODE[platform.machine()]]
        service = {"launch": {"kind": "process", "command": command}, "idle_timeout": "10m"}
        said = {"listen": [f"127.0.0.1:{self.port}"], "services": {"ollama": None, "tries": service}, **more}
        self.manager.write(CONFIG, json.dumps(said))

    def install(self, *more):
        self.configure()
        self.manager.install(UNIT, *gateway(CONFIG, *more))

    def get(self, path="/services/tries/", status=200):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status == status, text
        return json.loads(text)

    def start(self):
        self.manager.must("start", UNIT)

    @property
    def main_pid(self):
        return int(self.manager.show(UNIT, "MainPID"))


def _opens(path):
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


def until(what, within=WITHIN_S):
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


@pytest.fixture
def served(manager):
    it = Gateway(manager)
    yield it
    manager.ask("stop", UNIT, "hestia.socket")
    manager.ask("reset-failed")
    manager.inside_run("rm", "-rf", "/run/units/hestia.service.d", "/run/units/hestia.socket", "/run/units/hestia.socket.d")
    manager.must("daemon-reload")


@pytest.mark.parametrize("unit, manner", [(UNIT, []), ("hestia.socket", []), ("hestia-user.service", ["--user"])])
def test_systemd_finds_nothing_to_say_about_a_unit(unit, manner, tmp_path):
    for file in (ROOT / "etc").glob("hestia*.s*"):
        words = file.read_text()
        lines = [line if not line.startswith("ExecStart=") else "ExecStart=/bin/true" for line in words.splitlines()]
        (tmp_path / file.name).write_text("\n".join(lines))
    argv = [program("systemd-analyze", "systemd"), *manner, "verify", str(tmp_path / unit)]
    environ = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_launched_opens_a_device_a_file_at_home_and_memory_for_code(served):
    served.install()
    served.start()
    told = served.get()
    told.pop("pid")
    assert told == {"home": True, "device": True, "memory": True, "setuid": True}


@pytest.mark.parametrize(
    "hardening, what",
    [
        ("PrivateDevices=yes", "device"),
        ("ProtectHome=read-only", "home"),
        ("MemoryDenyWriteExecute=yes", "memory"),
        ("NoNewPrivileges=yes", "setuid"),
    ],
)
def test_each_rule_that_the_unit_does_without_would_have_taken_something_away(served, hardening, what):
    served.install(hardening)
    served.start()
    assert served.get()[what] is not True


def test_the_stricter_rules_of_the_docs_suit_a_gateway_that_launches_no_process(served):
    page = (ROOT / "hestia" / "docs" / "systemd.md").read_text()
    rules = re.search(r"```ini\n.*?\[Service\]\n(.*?)```", page, re.DOTALL)[1].splitlines()
    served.install(*(rule for rule in rules if rule.partition("=")[0] not in NOT_HERE))
    served.start()
    assert served.manager.show(UNIT, "MemoryDenyWriteExecute") == "yes"
    assert served.get("/v1/services/tries/status")["state"] == "cold"
    served.manager.must("reload", UNIT)


def test_it_is_started_when_it_answers_and_reloaded_by_a_signal(served):
    served.install()
    served.start()
    assert served.get("/__health")["status"] == "ok"
    served.configure(default_service="tries")
    assert served.get("/services/nobody/x", status=404)["error"]["code"]
    served.manager.must("reload", UNIT)
    until(lambda: served.manager.show(UNIT, "ActiveState") == "active")
    assert served.get("/services/nobody/x")["home"] is True


def test_a_gateway_that_is_killed_comes_back_and_adopts_what_it_launched(served):
    served.install()
    served.start()
    launched, killed = served.get()["pid"], served.main_pid
    served.manager.must("kill", "--kill-who=main", "--signal=KILL", UNIT)
    until(lambda: served.main_pid not in {0, killed} and served.manager.show(UNIT, "ActiveState") == "active")
    assert served.get()["pid"] == launched


def test_a_gateway_that_hangs_is_ended_by_the_watchdog_and_comes_back(served):
    served.install("WatchdogSec=2", "TimeoutAbortSec=1")
    served.start()
    launched, hung = served.get()["pid"], served.main_pid
    served.manager.must("kill", "--kill-who=main", "--signal=STOP", UNIT)
    until(lambda: served.main_pid not in {0, hung} and served.manager.show(UNIT, "ActiveState") == "active")
    assert served.get()["pid"] == launched


def test_a_stop_ends_what_was_launched_too(served):
    served.install()
    served.start()
    launched = served.get()["pid"]
    served.manager.must("stop", UNIT)
    assert served.manager.show(UNIT, "Result") == "success"
    assert str(launched) not in served.manager.inside_run("ls", "/proc").split()


def test_a_mistake_in_the_configuration_is_not_tried_again(served):
    served.install()
    served.manager.write(CONFIG, "services: {a: {base_ulr: x}}")
    assert served.manager.ask("start", UNIT).returncode != 0
    until(lambda: served.manager.show(UNIT, "ActiveState") == "failed")
    assert served.manager.show(UNIT, "ExecMainStatus") == "2"
    assert served.manager.show(UNIT, "NRestarts") == "0"


def test_over_a_restart_no_connection_is_refused_where_systemd_holds_the_address(served):
    served.install()
    address = f"127.0.0.1:{served.port}"
    served.manager.install("hestia.socket", "[Socket]", "ListenStream=", f"ListenStream={address}")
    served.manager.must("start", "hestia.socket")
    assert served.get("/__health")["status"] == "ok"  # the first connection starts it
    over, refused, cut, answered = threading.Event(), [], [], []

    def ask():
        while not over.is_set():
            try:
                answered.append(served.get("/__health")["status"])
            except ConnectionResetError as error:  # it came in the very moment in which the old one closed
                cut.append(repr(error))
            except (OSError, AssertionError, http.client.HTTPException) as error:
                refused.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        first = served.main_pid
        for _ in range(RESTARTS):
            served.manager.must("restart", UNIT)
        assert served.main_pid != first
    finally:
        over.set()
        asking.join()
    assert (refused, cut) == ([], [])
    assert len(answered) > 10


def test_a_user_runs_it_from_their_home(served):
    manager = served.manager
    served.configure()
    home = os.path.expanduser("~root")
    program_file = f"{home}/.local/share/hestia/venv/bin/hestia"
    manager.write(program_file, f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m hestia.cli.hestia "$@"\n')
    manager.inside_run("chmod", "+x", program_file)
    manager.write(f"{home}/.config/hestia/hestia_config.yml", manager.inside_run("cat", CONFIG))
    manager.install("hestia-user.service")
    manager.must("start", "hestia-user.service")
    try:
        assert served.get()["home"] is True
        assert "control.sock" in manager.inside_run("ls", "/run/testunits/hestia").split()
    finally:
        manager.must("stop", "hestia-user.service")
