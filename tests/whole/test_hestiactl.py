"""Every command of `hestiactl`, as a program against a gateway that is one."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hestia.ctl.commands import COMMANDS
from tests.whole.program import Program, environment
from tests.whole.upstream import upstream

CONFIG = """\
control_socket: "{home}/c.sock"
listen: ["127.0.0.1:@PORT@"]
services:
  ollama: null
  app: {{base_url: "{url}", listen: ["127.0.0.1:@OWN@"]}}
  slow:
    launch:
      kind: process
      command: ["{python}", -m, hestia.cli.hestia, demo, --port, "{{port}}", --start-delay, "0.5"]
    idle_timeout: 0
    cost_per_hour: 0.5
machines:
  desk: {{launch: {{kind: command, start: [touch, "{home}/up"], stop: [rm, -f, "{home}/up"], status: [test, -e, "{home}/up"]}}, capacity: {{vram: 24}}}}
"""
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
WITHIN = 20.0


def config_of(home: Path, url: str) -> str:
    return CONFIG.format(url=url, python=sys.executable, home=home)


class Gateway:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.socket = str(program.home / "c.sock")

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "hestia.ctl.main", "--socket", self.socket, *words]
        env, pipe = environment(self.program.home), subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd=self.program.home, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, code: int = 0) -> str:
        """What it prints. Nothing stands on standard error when all is well, and no result on standard output else."""
        process = self.begin(*words)
        out, err = process.communicate(timeout=WITHIN)
        assert process.returncode == code, (words, out, err)
        assert "Traceback" not in err
        return out if code in {0, 3} else err

    def json(self, *words: str, code: int = 0) -> dict:
        return json.loads(self.run(*words, "--json", code=code))

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.program.port}{path}", timeout=WITHIN) as answer:
            return answer.read()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("h")
    with upstream() as behind, Program(home, config_of(home, behind.url)) as program:
        one = Gateway(program.start())
        assert one.begin("events", "--service", "slow").communicate(timeout=WITHIN) == ("", "nothing has happened yet\n")
        yield one
        one.run("shutdown")


@pytest.mark.parametrize("words", ("status", "status app", "ps", "events", "top", "report", "activity", "metrics", "metrics app", "machines", "config check", "config show", "config show --routes", "strategies", "strategies reload", "keys list", "reload", "log-level", "ping"))
def test_what_is_only_asked_is_told_in_words_and_as_json(gateway, words):
    code = 3 if words == "status app" and gateway.json("status", "app")["state"] != "hot" else 0
    if words == "events":
        gateway.run("machines", "wake", "desk")
    told = gateway.run(*words.split(), code=code)
    assert told.strip()
    assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|\{\'|\x1b", told)
    if words != "events":
        assert isinstance(gateway.json(*words.split(), code=code), dict)


def test_a_service_is_started_waited_for_stopped_held_and_started_again(gateway):
    assert gateway.run("start", "slow", "--wait") == "slow: hot\n"
    shown = gateway.run("status", "slow")
    assert re.search(r"^state +hot$", shown, re.MULTILINE)
    assert "demo: listening on" in gateway.run("logs", "slow")
    assert gateway.run("restart", "slow").startswith("slow: starting")
    assert gateway.run("start", "slow", "--wait", "--timeout", "20s") == "slow: hot\n"
    assert re.fullmatch(rf"slow: cold \(held until {STAMP}Z\)\n", gateway.run("stop", "slow", "--hold", "2h", "--wait"))
    assert gateway.run("status", "slow", code=3)
    assert gateway.run("start", "slow", "--wait", "--timeout", "1ms", code=8).startswith("hestiactl: slow is not ready after")
    assert gateway.run("start", "slow", "--wait") == "slow: hot\n"
    assert re.search(r"slow +(cold|stopping)", gateway.run("stop", "--all"))
    events = gateway.run("events", "--service", "slow")
    assert re.search(rf"^{STAMP}\.\d+Z  service.ready +slow  hot  by command  on local  after ", events, re.MULTILINE)
    assert "service.stopped" in gateway.run("activity", "--service", "slow", "--kind", "service.stopped")
    assert re.search(r"slow .*[█#░.]+ .* hot .* asleep  \d+ requests?  \d+ starts", gateway.run("report", "--since", "1h"))


def test_a_request_is_listed_and_broken_off(gateway):
    client = gateway.program.connect()
    client.sendall(b"GET /services/app/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    rows = gateway.run("ps").splitlines()
    request, service, method, path, *_ = rows[1].split()
    assert (len(rows), service, method, path) == (2, "app", "GET", "/services/app/endless")
    assert gateway.run("cancel", request) == f"{request}: cancelled\n"
    while client.recv(65536):
        pass
    client.close()
    until(lambda: gateway.run("ps") == "no request is under way\n")


def test_what_happens_is_followed(gateway):
    process = gateway.begin("events", "-f", "-n", "0")
    asked = time.monotonic()
    gateway.run("start", "slow", "--wait")
    gateway.run("stop", "slow", "--wait")
    line = process.stdout.readline()
    while "service.stopped" not in line:
        assert line
        assert time.monotonic() - asked < WITHIN
        line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=WITHIN) == ("", "")
    assert process.returncode == 130


def test_a_log_is_followed_while_it_grows(gateway):
    gateway.run("start", "slow", "--wait")
    process = gateway.begin("logs", "slow", "-f")
    while "listening on" not in process.stdout.readline():
        pass
    gateway.run("stop", "slow", "--wait")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN)
    assert process.returncode in {0, 130}


def test_a_machine_is_held_woken_and_put_to_sleep(gateway):
    assert re.search(rf"^desk .* {STAMP}Z$", gateway.run("machines", "hold", "desk", "2h"), re.MULTILINE)
    assert re.search(r"^desk .* -$", gateway.run("machines", "wake", "desk"), re.MULTILINE)
    until(lambda: re.search(r"^desk +hot +vram 0/24", gateway.run("machines"), re.MULTILINE))
    assert "desk" in gateway.run("machines", "sleep", "desk")
    until(lambda: re.search(r"^desk +cold", gateway.run("machines"), re.MULTILINE))


def test_a_key_is_made_listed_and_revoked(gateway):
    key = gateway.run("keys", "create", "bob", "--services", "app").strip()
    try:
        assert re.fullmatch(r"hestia_[\w-]{20,}", key)
        assert re.search(r"^bob +app ", gateway.run("keys", "list"), re.MULTILINE)
        assert key not in gateway.run("keys", "list", "--json") + gateway.run("config", "show")
        assert "'nobody'" in gateway.run("keys", "create", "eve", "--services", "nobody", code=5)
    finally:
        assert gateway.run("keys", "revoke", "bob") == "bob: revoked\n"


def test_the_log_level_the_backup_and_completion(gateway):
    assert [gateway.run("log-level", level) for level in ("debug", "info")] == ["debug\n", "info\n"]
    path = gateway.program.home / "copy.db"
    assert re.fullmatch(rf"{re.escape(str(path))}: \d+ bytes\n", gateway.run("backup", "copy.db"))
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert gateway.run("__complete", "services").split() == ["app", "slow"]
    assert [bool(gateway.run("completion", shell)) for shell in ("bash", "zsh", "fish")] == [True] * 3


def test_settings_are_shown_as_people_write_them(gateway):
    rows = gateway.run("config", "show").splitlines()
    assert [row for row in rows if re.search(r" -?\d+\.0 ", row)] == []
    assert any(re.fullmatch(r"services\.slow\.cost_per_hour +0\.5 .*", row) for row in rows)
    assert any(re.fullmatch(r"services\.slow\.drain_timeout +30s +default", row) for row in rows)
    assert any(re.fullmatch(r"services\.slow\.launch\.kind +process +\S+:\d+:\d+", row) for row in rows)


def test_a_mistake_on_disk_is_found_and_the_gateway_stays_as_it_is(gateway):
    file: Path = gateway.program.file
    good = file.read_text()
    file.write_text(good.replace("idle_timeout: 0", "idle_tiemout: 0"))
    try:
        for words in (["config", "check"], ["reload"]):
            said = gateway.run(*words, code=2)
            assert re.search(rf"{re.escape(str(file))}:\d+:\d+: services.slow.idle_tiemout: .*idle_timeout", said)
        file.write_text(good + "retention: 30d\n")
        assert "retention" in gateway.run("reload") + gateway.run("config", "show")
    finally:
        file.write_text(good)
        gateway.run("reload")


@pytest.mark.parametrize("words", ("activity", "config show", "--help", "completion bash"))
def test_a_reader_that_leaves_early_sees_no_traceback(gateway, words):
    process = gateway.begin(*words.split())
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(WITHIN), process.stderr.read()) == (0, "")
    process.stderr.close()


def test_a_frozen_gateway_is_soon_said_not_to_answer(gateway):
    gateway.program.signal(signal.SIGSTOP)
    try:
        begun = [gateway.begin(*words.split()) for words in ("status", "start slow --wait", "ping")]
        for process in begun:
            out, err = process.communicate(timeout=WITHIN)
            assert (process.returncode, out) == (7, "")
            assert "is not answering" in err
    finally:
        gateway.program.signal(signal.SIGCONT)
    gateway.run("ping")


@pytest.mark.parametrize("name", ("drain", "shutdown"))
def test_the_end_is_asked_for_and_waited_for(tmp_path, name):
    with upstream() as behind, Program(tmp_path, config_of(tmp_path, behind.url)) as program:
        gateway = Gateway(program.start())
        assert gateway.run(name) == "the gateway ended\n"
        assert program.wait(WITHIN) == 0
        assert "not running" in gateway.run("ping", code=7)


def test_every_command_stands_here():
    text = Path(__file__).read_text()
    quoted = {" ".join(re.findall(r'"([^"]+)"', line)) for line in text.splitlines()} | {text}
    missing = [each.name for each in COMMANDS if not any(each.name in line for line in quoted)]
    assert missing == []
