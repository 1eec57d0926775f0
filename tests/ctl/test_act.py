"""Every command of `hestiactl`, as a program against a control socket."""

import json
import math
import signal

import pytest

from hestia.ctl.act import ACTS, COMPLETES
from hestia.ctl.commands import COMMANDS, named
from hestia.ctl.tell import TELLS
from tests.support.control_server import begin, run


def test_every_command_does_something_and_can_be_told():
    names = {command.name for command in COMMANDS}
    assert set(ACTS) == names
    assert set(TELLS) == names - {"events", "top", "completion", "__complete"}


def asked(gateway):
    return [each for each in gateway.house.keeper.asked if each[0] != "look"]


def test_status_is_a_table(gateway):
    done = run("status", socket=gateway.path)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].split() == ["ID", "STATE", "MACHINE", "LEASES", "WAITING", "IDLE", "NOTE"]
    assert lines[1].split()[:4] == ["ollama", "hot", "desk", "2"]
    assert "\x1b" not in done.stdout


def test_status_of_one_service_says_by_its_exit_code_whether_it_runs(gateway):
    done = run("status", "ollama", socket=gateway.path)
    assert (done.returncode, "state  " in done.stdout) == (0, True)
    done = run("status", "demo", socket=gateway.path)
    assert (done.returncode, "cold" in done.stdout) == (3, True)


@pytest.mark.parametrize("words", (["status", "nope"], ["start", "nope"], ["logs", "nope"], ["machines", "wake", "moon"], ["cancel", "r9"], ["keys", "revoke", "x"], ["metrics", "nope"]))
def test_an_unknown_id_is_exit_5_with_words_on_standard_error(gateway, words):
    done = run(*words, socket=gateway.path)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("hestiactl: no ")


def test_json_is_the_answer_of_the_api(gateway):
    for words in (["status", "--json"], ["--json", "status"], ["--format", "json", "status"], ["status", "--format=json"]):
        done = run(*words, socket=gateway.path)
        assert [each["id"] for each in json.loads(done.stdout)["services"]] == ["ollama", "demo"]


def test_start_returns_at_once(gateway):
    done = run("start", "demo", socket=gateway.path)
    assert (done.returncode, done.stdout) == (0, "demo: starting (launching, about 4.0s)\n")


def test_start_waits_until_ready(gateway):
    process = begin("start", "demo", "--wait", socket=gateway.path)
    gateway.until(lambda: gateway.house.keeper.waiting)
    assert process.poll() is None
    gateway.do(gateway.house.keeper.ready.set)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "demo: hot\n", "")


def test_a_start_that_takes_too_long_is_exit_8(gateway):
    done = run("start", "demo", "--wait", "--timeout", "50ms", socket=gateway.path)
    assert (done.returncode, done.stdout) == (8, "")
    assert asked(gateway) == [("start", "demo", "command", 0.05)]


def test_a_start_that_fails_is_exit_1_with_the_reason(gateway):
    gateway.house.keeper.fails = "demo did not start: exited with code 3"
    gateway.do(gateway.house.keeper.ready.set)
    done = run("start", "demo", "--wait", socket=gateway.path)
    assert (done.returncode, done.stderr) == (1, "hestiactl: demo did not start: exited with code 3\n")


def test_a_timeout_without_a_wait_is_usage(gateway):
    assert run("start", "demo", "--timeout", "5s", socket=gateway.path).returncode == 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["stop", "demo"], ("stop", "demo", None, False)),
        (["stop", "demo", "--hold"], ("stop", "demo", math.inf, False)),
        (["stop", "demo", "--hold", "2h"], ("stop", "demo", 7200.0, False)),
        (["stop", "--hold", "2h", "demo"], ("stop", "demo", 7200.0, False)),
        (["stop", "--hold=90", "demo", "--wait"], ("stop", "demo", 90.0, True)),
        (["stop", "--hold", "demo"], ("stop", "demo", math.inf, False)),
        (["stop", "--all"], ("stop_all", None)),
        (["stop", "--all", "--hold", "30m"], ("stop_all", 1800.0)),
        (["restart", "demo"], ("restart", "demo")),
        (["machines", "wake", "desk"], ("wake", "desk")),
        (["machines", "sleep", "desk"], ("sleep", "desk")),
        (["machines", "hold", "desk"], ("hold", "desk", math.inf)),
        (["machines", "hold", "desk", "1d"], ("hold", "desk", 86400.0)),
    ],
)
def test_commands_reach_the_keeper(gateway, words, wanted):
    assert run(*words, socket=gateway.path).returncode == 0
    assert asked(gateway) == [wanted]


@pytest.mark.parametrize("words", (["stop"], ["stop", "demo", "--all"]))
def test_a_stop_names_one_service_or_all(gateway, words):
    assert run(*words, socket=gateway.path).returncode == 2
    assert asked(gateway) == []


def test_local_cannot_sleep_and_that_is_usage(gateway):
    assert run("machines", "sleep", "local", socket=gateway.path).returncode == 2


def test_logs_are_printed_harmlessly(gateway):
    gateway.house.keeper.log.kept = ["fine", "\x1b[2Jevil\x07", "\x9b31m", "ü → 語", ""]
    done = run("logs", "demo", socket=gateway.path)
    assert done.stdout == "fine\n\\x1b[2Jevil\\x07\n\\x9b31m\nü → 語\n\n"
    assert run("logs", "demo", "--lines", "1", "--json", socket=gateway.path).stdout == '{\n  "lines": [\n    ""\n  ]\n}\n'


def test_logs_go_on_until_interrupted_and_say_nothing_then(gateway):
    process = begin("logs", "demo", "-f", "-n", "1", socket=gateway.path)
    assert process.stdout.readline() == "line 199\n"
    gateway.do(gateway.house.keeper.log.stream.items.put_nowait, "line 200")
    assert process.stdout.readline() == "line 200\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    gateway.until(lambda: gateway.house.keeper.log.stream.closed)


def test_a_log_that_ends_ends_the_following(gateway):
    gateway.do(gateway.house.keeper.log.stream.items.put_nowait, None)
    done = run("logs", "demo", "-f", "-n", "0", socket=gateway.path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "hestiactl: the log has ended\n")


def test_events_are_the_last_ones_oldest_first(gateway):
    lines = run("events", socket=gateway.path).stdout.splitlines()
    assert ["service.starting" in lines[0], "service.ready" in lines[1], len(lines)] == [True, True, 2]
    assert "by request" in lines[0]


def test_events_go_on_after_the_last_one_that_was_shown(gateway):
    process = begin("events", "-f", "--json", socket=gateway.path)
    assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [7, 8]
    gateway.until(lambda: gateway.house.events.streams)
    assert gateway.house.events.streams[0].after == "8"
    gateway.do(lambda: gateway.house.events.tell(id=9, kind="service.idle", service="ollama"))
    assert json.loads(process.stdout.readline())["kind"] == "service.idle"
    gateway.end()
    out, err = process.communicate(timeout=20)
    assert process.returncode in {0, 7}
    assert "ended" in err
    assert out == ""


def test_a_reader_that_leaves_is_no_error(gateway):
    gateway.house.keeper.log.kept = ["x" * 1000] * 10_000
    process = begin("logs", "demo", "-f", "-n", "10000", socket=gateway.path)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_ps_lists_requests_and_cancel_ends_one(gateway):
    lines = run("ps", socket=gateway.path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["REQUEST", "r2", "r1"]
    assert run("cancel", "r1", socket=gateway.path).stdout == "r1: cancelled\n"
    run("cancel", "r2", socket=gateway.path)
    assert run("ps", socket=gateway.path).stdout == "no request is under way\n"


def test_the_report_has_a_bar_for_each_service(gateway):
    lines = run("report", "--since", "1d", socket=gateway.path).stdout.splitlines()
    row = next(line for line in lines if line.startswith("ollama"))
    assert "██████░░░░░░░░░░░░░░░░░░" in row
    assert "6h 0m hot  18h 0m asleep  40 requests  3 starts" in row
    assert "saved 2.16" in row
    assert any("woken by request (3)" in line for line in lines)


def test_activity_passes_its_filters_on(gateway):
    done = run("activity", "--service", "ollama", "--kind", "service.ready", "--limit", "1", socket=gateway.path)
    assert done.stdout.count("\n") == 1
    wanted = gateway.house.archive.wanted[0]
    assert (wanted.service, wanted.kind, wanted.limit) == ("ollama", "service.ready", 1)
    assert run("activity", "--since", "soon", socket=gateway.path).returncode == 2


def test_metrics_are_figures(gateway):
    assert run("metrics", socket=gateway.path).stdout.splitlines()[0].split()[:3] == ["SERVICE", "REQUESTS", "ERRORS"]
    assert "ollama" not in run("metrics", "demo", socket=gateway.path).stdout


def test_a_reload_says_what_changed_and_what_needs_a_restart(gateway):
    done = run("reload", socket=gateway.path)
    assert (done.returncode, done.stdout) == (0, "changed: ollama\nneeds a restart: data_dir\n")


def test_a_rejected_reload_is_exit_2_and_names_line_and_column(gateway):
    gateway.house.settings.break_it()
    for words in (["reload"], ["config", "check"]):
        done = run(*words, socket=gateway.path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "hestia_config.yml:3:5: services.ollama.idle_timout: unknown key" in done.stderr
    assert json.loads(run("config", "check", "--json", socket=gateway.path).stdout)["ok"] is False


def test_the_configuration_is_shown_with_its_sources(gateway):
    assert run("config", "check", socket=gateway.path).stdout == "ok: /etc/hestia/hestia_config.yml\n"
    lines = run("config", "show", socket=gateway.path).stdout.splitlines()
    assert ["semaphore.token", "(secret)", "$SEMAPHORE_API_TOKEN"] in [line.split() for line in lines]
    routes = run("config", "show", "--routes", socket=gateway.path).stdout
    assert "host chat.example.org" in routes
    assert list(json.loads(run("config", "show", "--routes", "--json", socket=gateway.path).stdout)) == ["routes"]


def test_strategies_are_listed_and_read_again(gateway):
    assert "by_model" in run("strategies", socket=gateway.path).stdout
    assert run("strategies", "reload", socket=gateway.path).returncode == 0
    assert gateway.house.strategies.reloads == 1
    gateway.house.strategies.problems = ("mine.py line 3: expected ':'",)
    done = run("strategies", "reload", socket=gateway.path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "loaded: /s/mine.py\n", "mine.py line 3: expected ':'\n")


def test_keys_are_made_listed_and_revoked(gateway):
    done = run("keys", "create", "me", "--services", "demo, ollama", socket=gateway.path)
    assert (done.stdout, "only time" in done.stderr) == ("hst_secret\n", True)
    assert gateway.house.keys.names == {"me": ("demo", "ollama")}
    assert "demo, ollama" in run("keys", "list", socket=gateway.path).stdout
    assert run("keys", "create", "other", "--services", "nope", socket=gateway.path).returncode == 5
    assert run("keys", "create", "other", "--services", "", socket=gateway.path).returncode == 2
    assert run("keys", "revoke", "me", socket=gateway.path).stdout == "me: revoked\n"
    assert run("keys", "list", socket=gateway.path).stdout == "there is no key\n"


def test_the_log_level_is_told_and_changed(gateway):
    assert run("log-level", socket=gateway.path).stdout == "info\n"
    assert run("log-level", "debug", socket=gateway.path).stdout == "debug\n"
    assert run("log-level", "loud", socket=gateway.path).returncode == 2


def test_a_backup_lies_beside_whoever_asked(gateway, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("backup", "h.db", socket=gateway.path).stdout == f"{tmp_path}/h.db: 4096 bytes\n"
    assert gateway.house.archive.wanted == [f"{tmp_path}/h.db"]


def test_ping_says_who_is_there(gateway):
    done = run("ping", socket=gateway.path)
    assert (done.returncode, "listens on http://127.0.0.1:8080" in done.stdout) == (0, True)


@pytest.mark.parametrize("name", ("drain", "shutdown"))
def test_the_end_is_waited_for(gateway, name):
    done = run(name, socket=gateway.path)
    assert (done.returncode, done.stdout) == (0, "the gateway ended\n")
    assert "2 exchanges under way" in done.stderr
    assert gateway.house.gateway.ends == [name]


@pytest.mark.parametrize(("kind", "wanted"), (("services", "ollama\ndemo\n"), ("machines", "local\ndesk\n"), ("requests", "r2\nr1\n"), ("keys", "")))
def test_completion_gets_ids_from_the_gateway(gateway, kind, wanted):
    assert run("__complete", kind, socket=gateway.path).stdout == wanted
    assert set(COMPLETES) == set(named("__complete").args[0].choices)


def test_names_that_the_terminal_cannot_write_are_no_error(gateway):
    gateway.house.keeper.log.kept = ["ü"]
    assert run("logs", "demo", socket=gateway.path, PYTHONIOENCODING="ascii").stdout == "\\xfc\n"
    assert "#" in run("report", socket=gateway.path, PYTHONIOENCODING="ascii").stdout


def test_an_interrupt_while_waiting_is_quiet(gateway):
    process = begin("start", "demo", "--wait", socket=gateway.path)
    gateway.until(lambda: gateway.house.keeper.waiting)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    gateway.until(lambda: not gateway.house.keeper.waiting)


def test_a_flag_before_the_command_names_the_socket(gateway):
    assert run("--socket", gateway.path, "ping").returncode == 0
    assert run("ping", "--socket", gateway.path, socket="/nowhere/x").returncode == 0
