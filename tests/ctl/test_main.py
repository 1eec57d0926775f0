"""The program's edges: help, usage, and its start."""

import statistics
import subprocess
import sys
import time

import pytest

import hestia
from hestia.ctl.main import main
from tests.support.control_server import command, environ, run


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_no_error(capsys, word):
    assert main([word]) == 0
    assert "usage: hestiactl" in capsys.readouterr().out


def test_a_command_has_help_of_its_own(capsys):
    assert main(["start", "--help"]) == 0
    assert "--timeout DURATION" in capsys.readouterr().out


def test_it_knows_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hestiactl {hestia.__version__}\n"


@pytest.mark.parametrize("words", ([], ["nope"], ["start"], ["ps", "--nope"]))
def test_usage_is_exit_2_with_words_on_standard_error(capsys, words):
    assert main(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("hestiactl: ")) == ("", True)


def test_help_starts_in_well_under_a_tenth_of_a_second():
    took = []
    for _ in range(5):
        before = time.monotonic()
        assert run("--help").returncode == 0
        took.append(time.monotonic() - before)
    assert min(took) < 0.1, statistics.median(took)


def loaded_by_nothing():
    """What this Python loads by itself: an editable install has a finder that loads more than a bare one."""
    done = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_loads_neither_json_nor_sockets():
    code = "import sys; from hestia.ctl.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environ(), capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("interrupted\n")[1].split())
    assert (loaded - loaded_by_nothing()) & {"json", "socket", "re", "typing", "enum", "asyncio", "argparse", "dataclasses", "msgspec"} == set()


def test_help_for_a_reader_that_left_is_quiet():
    process = subprocess.Popen(command("--help"), env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("closed", (">&-", "2>&-", "<&- >&- 2>&-"))
def test_closed_standard_streams_are_no_accident(gateway, closed):
    line = " ".join(command("status"))
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], env=environ(HESTIA_SOCKET=gateway.path), capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_an_output_that_is_full_is_a_failure_with_words(gateway):
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("status"), env=environ(HESTIA_SOCKET=gateway.path), stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == "hestiactl: the answer could not be written: No space left on device\n"
