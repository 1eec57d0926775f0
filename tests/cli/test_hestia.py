"""The program's commands, called in this process. What they do as a process stands in tests/whole."""

import json
import subprocess
import sys

import pytest

import hestia
from hestia.cli.demo import KINDS
from hestia.cli.hestia import COMMANDS, DEMO_SERVERS, main
from tests.house.tree import ROOT

GOOD = "services:\n  a: {base_url: 'http://127.0.0.1:9'}\n"
BAD = "services:\n  a: {base_ur: 'http://127.0.0.1:9'}\nlisten: 7\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No file and no variable of the developer's counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hestia.cli.hestia.os.environ", {"HOME": str(tmp_path)})
    return tmp_path


def usage(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


def test_version_prints_it(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"hestia {hestia.__version__}\n"


def test_help_names_every_command_with_its_sentence(capsys):
    assert usage(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text and command.run.__doc__ in text for name, command in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(capsys, name):
    assert usage([name, "--help"]) == 0
    assert COMMANDS[name].run.__doc__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frob"],
        ["serve", "--log-level", "loud"],
        ["serve", "--conf", "x"],
        ["check", "a", "b"],
        ["demo", "--port", "70000"],
        ["demo", "--port", "0", "--once"],
        ["demo", "--port", "0", "--no-pause"],
        ["demo", "--port", "0", "--listen", "127.0.0.1:0"],
        ["demo", "--port", "0", "--as", "fast"],
        ["demo", "--as", "chat"],
        ["demo", "--start-delay", "1"],
        ["demo", "--while", "1"],
        ["demo", "--listen", "0.0.0.0:8080"],
        ["demo", "--listen", "[::]:8080"],
        ["demo", "--listen", "unix:/run/demo.sock"],
        ["demo", "--listen", "8080"],
        ["demo", "--listen", "127.example:8080"],
        ["demo", "--port", "-1"],
        ["demo", "--port", "x"],
        ["demo", "--port", "1", "--start-delay", "nan"],
        ["demo", "--port", "1", "--start-delay", "soon"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_with_words_on_standard_error(capsys, words):
    assert usage(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: hestia" in said.err


@pytest.mark.parametrize("words", [["--listen", "[::1]:0"], ["--listen", "localhost:0"], ["--listen", "127.0.0.2:0"], []])
def test_the_demo_listens_on_loopback(monkeypatch, words):
    asked = []
    monkeypatch.setattr("hestia.cli.demo_tour.run_tour", lambda listen, **how: asked.append((listen, how)) or 0)
    assert main(["demo", *words, "--once"]) == 0
    assert asked == [(words[1] if words else "127.0.0.1:0", {"pause": True, "once": True})]


def test_the_demo_has_the_servers_that_it_names():
    assert set(DEMO_SERVERS) == set(KINDS)


def test_check_of_a_good_file_says_ok_and_which(capsys, elsewhere):
    file = elsewhere / "good.yml"
    file.write_text(GOOD)
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out == f"ok: {file}\n"


def test_check_takes_the_file_as_serve_does_too(capsys, elsewhere):
    file = elsewhere / "good.yml"
    file.write_text(GOOD)
    assert main(["check", "--config", str(file)]) == 0
    assert capsys.readouterr().out == f"ok: {file}\n"


def test_check_without_a_file_says_that_the_defaults_hold(capsys):
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "ok: no configuration file, the built-in defaults\n"


def test_check_of_an_empty_file_says_that_it_says_nothing(capsys, elsewhere):
    (elsewhere / "empty.yml").touch()
    assert main(["check", "empty.yml"]) == 0
    assert capsys.readouterr().out == "ok: empty.yml says nothing, the built-in defaults\n"


def test_check_prints_warnings_and_still_says_ok(capsys, elsewhere):
    file = elsewhere / "open.yml"
    file.write_text(GOOD)
    file.chmod(0o646)
    assert main(["check", str(file)]) == 0
    said = capsys.readouterr()
    assert said.out == f"ok: {file}\n"
    assert said.err == f"warning: {file}: everybody may write this file: chmod o-w\n"


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_mistake_is_told_and_the_exit_is_2(capsys, elsewhere, command):
    file = elsewhere / "bad.yml"
    file.write_text(BAD)
    assert main([command, "--config", str(file)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{file}:2:7: services.a.base_ur" in said.err
    assert f"{file}:3:9: listen" in said.err
    assert "Traceback" not in said.err


@pytest.fixture
def served(monkeypatch):
    """What `serve` was called with, instead of a gateway that runs."""
    seen = []
    monkeypatch.setattr("hestia.roof.run.serve", lambda loaded, again, *, watch: seen.append((loaded, again, watch)) or 0)
    return seen


def test_flags_of_serve_reach_the_configuration_and_only_those_given(served):
    words = ["--listen", "127.0.0.1:1", "--listen", "[::1]:1", "--log-level", "debug", "--data-dir", "state"]
    assert main(["serve", *words]) == 0
    ((loaded, _again, watch),) = served
    assert loaded.config.listen == ("127.0.0.1:1", "[::1]:1")
    assert loaded.config.log.level == "debug"
    assert loaded.config.data_dir.endswith("/state")
    assert loaded.config.control_socket.endswith("/state/control.sock")
    assert not watch


def test_the_control_socket_of_a_flag_is_the_one(served, elsewhere):
    assert main(["serve", "--control-socket", "run/c.sock"]) == 0
    assert served[0][0].config.control_socket == str(elsewhere / "run" / "c.sock")


def test_a_reload_reads_the_file_of_then_under_the_flags_of_the_start(served, elsewhere):
    file = elsewhere / "mine.yml"
    file.write_text(GOOD)
    assert main(["serve", "--config", str(file), "--log-level", "debug", "--watch"]) == 0
    _, again, watch = served[0]
    file.write_text(GOOD.replace("a:", "b:") + "log: {level: error}\n")
    assert "b" in again().config.services
    assert again().config.log.level == "debug"
    assert watch


def test_a_flag_with_a_bad_value_is_a_mistake_that_names_the_flag(capsys):
    assert main(["serve", "--listen", "nonsense"]) == 2
    assert "--listen" in capsys.readouterr().err


def test_schema_is_json_schema(capsys):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "services" in schema["properties"]


def test_an_interrupt_is_exit_130(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hestia.roof.run.serve", interrupted)
    assert main(["serve"]) == 130


def test_a_reader_that_leaves_is_no_traceback():
    words = [sys.executable, "-m", "hestia.cli.hestia", "schema"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as child:
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(30) == 0


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
@pytest.mark.parametrize(("words", "code"), [("version", 0), ("check", 0), ("check nowhere.yml", 2)])
def test_a_closed_standard_stream_changes_no_exit_code(elsewhere, closed, words, code):
    shut = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m hestia.cli.hestia {words} {shut}"],
        check=False,
        cwd=elsewhere,
        env={"HOME": str(elsewhere), "PYTHONPATH": str(ROOT)},
        timeout=30,
    )
    assert done.returncode == code


def test_version_does_not_pay_for_the_gateway():
    code = "import sys; from hestia.cli.hestia import main; main(['version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"aiohttp", "asyncio", "msgspec"} & set(done.stdout.split()) == set()
