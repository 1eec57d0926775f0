import os
import resource
import stat
import time

import pytest

from hestia.roof.config import load, load_text, said_at
from hestia.rules.marks import ConfigError
from tests.house.tree import ROOT

A = "services:\n  a: {base_url: 'http://127.0.0.1:9000'}\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def mistakes(path, environ=None):
    with pytest.raises(ConfigError) as caught:
        load(str(path), environ or {})
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_example_has_no_mistake_and_no_warning():
    assert load(str(ROOT / "etc" / "hestia_config.yml"), {}).warnings == ()


def test_the_named_file_comes_before_the_variable_and_that_before_the_usual_place(tmp_path):
    for name, level in (("named.yml", "debug"), ("variable.yml", "warning"), ("here/hestia_config.yml", "error")):
        (tmp_path / name).write_text(f"log: {{level: {level}}}\n")
    environ = {"HESTIA_CONFIG": str(tmp_path / "variable.yml")}
    assert load("../named.yml", environ).config.log.level == "debug"
    assert load(None, environ).config.log.level == "warning"
    assert load(None, {}).config.log.level == "error"
    assert load(None, {}).source == "hestia_config.yml"


def test_a_control_group_that_there_is_not_is_a_mistake(tmp_path):
    (tmp_path / "a.yml").write_text("control_group: no-such-group\nlog: {levl: info}\n")
    assert mistakes(tmp_path / "a.yml") == [
        f'{tmp_path}/a.yml:1:16: control_group: this machine knows no such group: groupadd "no-such-group"',
        f"{tmp_path}/a.yml:2:7: log.levl: unknown key; did you mean level?",
    ]


def test_a_control_group_whose_socket_lies_where_it_cannot_go_is_warned_of():
    environ = {"XDG_RUNTIME_DIR": "/run/user/1"}
    (warning,) = load_text("control_group: root\n", environ=environ).warnings
    assert warning.startswith("hestia_config.yml:1:16: control_group: ")
    assert "set `control_socket` to a path outside /run/user/1" in warning
    assert not load_text("control_group: root\ncontrol_socket: /run/hestia/control.sock\n", environ=environ).warnings
    assert not load_text("control_group: root\n", environ={"HOME": "/h"}).warnings


def test_a_control_socket_that_is_too_long_is_a_mistake(tmp_path):
    (tmp_path / "a.yml").write_text(f"control_socket: /{'a' * 200}\n")
    (words,) = mistakes(tmp_path / "a.yml")
    assert words.startswith(f"{tmp_path}/a.yml:1:17: control_socket: is too long: ")


def test_a_strategy_that_there_is_not_is_told_beside_the_other_mistakes(tmp_path):
    (tmp_path / "a.yml").write_text("services: {a: {base_url: 'http://h', balance: least_bsy, idle_timout: 5m}}\n")
    assert [words.partition(": ")[2][:20] for words in mistakes(tmp_path / "a.yml")] == ["services.a.balance: ", "services.a.idle_timo"]


def test_strategies_that_are_broken_are_told_and_with_those_that_are_missing_they_are_mistakes(tmp_path):
    (tmp_path / "strategies").mkdir()
    broken = tmp_path / "strategies" / "mine.py"
    broken.write_text("def register_strategy(registry:\n")
    (tmp_path / "a.yml").write_text("log: {level: info}\n")
    assert load(str(tmp_path / "a.yml"), {}).broken == (f"{broken}:1: '(' was never closed",)
    (tmp_path / "a.yml").write_text("routes: [{match: {path: /x}, strategy: mine}]\n")
    why, missing = mistakes(tmp_path / "a.yml")
    assert "routes[0].strategy: no route strategy is called 'mine'" in missing
    assert why.endswith(f"strategies_dir: {broken}:1: '(' was never closed")


def test_without_a_file_there_are_the_defaults():
    loaded = load(None, {})
    assert loaded.source is None
    assert list(loaded.config.services) == ["ollama", "demo"]


def test_a_file_in_its_usual_place_that_leads_nowhere_is_not_the_defaults(tmp_path):
    os.symlink("nowhere", tmp_path / "here" / "hestia_config.yml")
    with pytest.raises(ConfigError, match="No such file"):
        load(None, {})


def test_a_named_file_that_is_missing_is_a_mistake(tmp_path):
    assert mistakes(tmp_path / "none.yml")[0].endswith("none.yml: cannot be read: No such file or directory")
    with pytest.raises(ConfigError, match="No such file"):
        load(None, {"HESTIA_CONFIG": "none.yml"})


def test_a_folder_is_no_configuration(tmp_path):
    assert mistakes(tmp_path) == [f"{tmp_path}: is a folder, not a configuration file"]


def test_a_path_that_is_none_is_a_mistake():
    assert "cannot be read" in mistakes("a\0b")[0]
    assert "cannot be read" in mistakes("a" * 5000)[0]


def test_a_file_that_may_not_be_read_is_a_mistake(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hestia.roof.config._bytes", refuse)
    assert mistakes(tmp_path / "x.yml")[0].endswith("x.yml: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: \xff\xfe", ":1:4: is not UTF-8 text"),
        (b"log: {}\n# caf\xe9\n", ":2:6: is not UTF-8 text"),
        ("a: 1".encode("utf-16"), ":1:1: is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01\x00\x00", ": holds a character that YAML does not allow"),
        (bytes(range(128)), ": holds a character that YAML does not allow"),
    ],
)
def test_what_is_no_text_is_no_configuration(tmp_path, data, words):
    (tmp_path / "x.yml").write_bytes(data)
    assert words in mistakes(tmp_path / "x.yml")[0]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "x.yml").write_bytes(b"\xef\xbb\xbflog: {level: debug}\r\n")
    assert load(str(tmp_path / "x.yml"), {}).config.log.level == "debug"


@pytest.mark.parametrize("line", ["a: b\n", "- x\n", "# comment\n", "a" * 79 + "\n"])
def test_ten_megabytes_are_refused_in_a_second_and_little_memory(tmp_path, line):
    (tmp_path / "x.yml").write_text(line * (10 * 2**20 // len(line)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    assert "is too large" in mistakes(tmp_path / "x.yml")[0]
    assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert mistakes(tmp_path / "pipe") == [f"{tmp_path}/pipe: cannot be read: it is a pipe, not a file"]
    (tmp_path / "x.yml").write_text("tls: {certificate: pipe, key: pipe}\n")
    assert len(mistakes(tmp_path / "x.yml")) == 2


def test_the_null_device_is_no_configuration_and_no_mistake():
    assert load("/dev/null", {}) == load_text("")


def test_a_device_without_an_end_is_refused():
    assert "is too large" in mistakes("/dev/zero")[0]


@pytest.mark.parametrize(
    "text", ["".join(f"k{index}: 1\n" for index in range(20_000)), "trusted_proxies: [" + "x, " * 40_000 + "]\n"]
)
def test_thousands_of_mistakes_are_told_in_a_moment(text):
    start = time.process_time()
    with pytest.raises(ConfigError):
        load_text(text)
    assert time.process_time() - start < 5


def test_relative_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "x.yml").write_text("data_dir: data\n")
    assert load(str(tmp_path / "x.yml"), {}).config.data_dir == str(tmp_path / "data")
    assert load("../x.yml", {"HESTIA__DATA_DIR": "data"}).config.data_dir == str(tmp_path / "here" / "data")
    assert load("../x.yml", {}, flags={"data_dir": "data"}).config.data_dir == str(tmp_path / "here" / "data")


def test_the_folders_follow_who_runs_it():
    config = load_text("", environ={"HOME": "/users/me"}).config
    assert config.data_dir == "/users/me/.local/state/hestia"
    assert config.control_socket == "/users/me/.local/state/hestia/control.sock"
    config = load_text("", environ={"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}).config
    assert (config.data_dir, config.control_socket) == ("/s/hestia", "/r/hestia/control.sock")


def test_files_that_are_named_must_be_there(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "x.yml").write_text("services: {a: {base_url: 'https://x', tls_verify: ca.pem}}\n")
    assert load(str(tmp_path / "x.yml"), {}).config.services["a"].tls_verify == str(tmp_path / "ca.pem")
    (tmp_path / "x.yml").write_text("strategies_dir: ca.pem\n")
    assert mistakes(tmp_path / "x.yml")[0].endswith("x.yml:1:17: strategies_dir: there is no such folder")


def test_a_file_that_everybody_may_change_is_worth_a_warning(tmp_path):
    path = tmp_path / "x.yml"
    path.write_text("services: {a: {base_url: 'http://x', headers: {set: {x: y}}}}\n")
    path.chmod(0o646)
    assert [warning.partition(": ")[2] for warning in load(str(path), {}).warnings] == [
        "everybody may write this file: chmod o-w",
        "everybody may read this file, and it holds a secret: chmod o-r",
    ]
    path.chmod(stat.S_IRUSR)
    assert load(str(path), {}).warnings == ()


@pytest.mark.parametrize("key", ["required: true", "api_keys: [{name: a, key: b}]", "dashboard: {password: x}"])
def test_a_lock_is_taken_as_it_is_written(key):
    assert load_text(f"auth: {{{key}}}\n").warnings == ()


def test_what_is_understood_is_no_warning():
    said = A.replace("}", ", idle_timeout: 10m, launch: null, keep_warm: [], queue_timeout: auto, balance: round_robin}")
    assert load_text(said).warnings == ()


def test_mistakes_come_in_the_order_of_the_file():
    with pytest.raises(ConfigError) as caught:
        load_text("default_service: b\nlog: {level: x}\nzebra: 1\n" + A + "  c: {}\n")
    assert [mistake.mark.line for mistake in caught.value.mistakes] == [1, 2, 3, 6]


def test_where_each_setting_was_said_is_known():
    text = "log: {level: debug}\ndefaults: {idle_timeout: 5m}\nservices:\n  a: {base_url: http://127.0.0.1:1, retry_delay_ms: 5}\n"
    marks = load_text(text, name="c.yml", environ={"HESTIA__RETENTION": "5d"}).marks
    said = [
        (("log", "level"), "c.yml:1:14"),
        (("services", "a", "idle_timeout"), "c.yml:2:26"),
        (("services", "a", "retry_delay"), "c.yml:4:53"),
        (("retention",), "HESTIA__RETENTION"),
        (("services", "a", "queue_size"), "default"),
        (("listen",), "default"),
    ]
    assert [(path, said_at(marks, path)) for path, _ in said] == said
