"""What a program is given, and what is said when it cannot run."""

import os
import sys

import pytest

from hestia.launchers.environment import runnable, scrubbed
from hestia.ports import LaunchFailed

ENV = {"PATH": os.defpath}


def test_what_is_the_gateways_own_is_left_out():
    environ = {
        "PATH": "/bin",
        "HESTIA_API_KEYS": "a=b",
        "HESTIA__LISTEN": "x",
        "SEMAPHORE_API_TOKEN": "t",
        "SEMAPHORE_API_TOKEN_FILE": "f",
        "NOTIFY_SOCKET": "s",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "WATCHDOG_USEC": "1",
        "NAMED": "n",
        "OLLAMA_HOST": "h",
    }
    assert scrubbed(environ, {"NAMED"}, {"MINE": "m"}) == {"PATH": "/bin", "OLLAMA_HOST": "h", "MINE": "m"}


def test_the_launch_goes_before_the_gateways_environment():
    assert scrubbed({"A": "1"}, set(), {"A": "2"}) == {"A": "2"}
    assert scrubbed({"S": "1"}, {"S"}, {"S": "2"}) == {"S": "2"}  # the operator asked for it


@pytest.mark.parametrize("name", ["a-b", "a.b", "1a", "", "a b", "a=b"])
def test_a_variable_that_would_be_lost_is_refused(name):
    with pytest.raises(LaunchFailed, match="env"):
        scrubbed({}, set(), {name: "x"})


def test_its_value_never_appears():
    with pytest.raises(LaunchFailed) as failed:
        scrubbed({}, set(), {"A": "secret\0"})
    assert "secret" not in str(failed.value)


def test_a_program_is_found_on_its_own_path(tmp_path):
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(LaunchFailed, match="tool: not found"):
        runnable(("tool",), ENV, str(tmp_path))
    program.chmod(0o700)
    assert runnable(("tool", "x"), {"PATH": str(tmp_path)}, "/") == ("tool", "x")
    assert runnable(("./tool",), ENV, str(tmp_path)) == ("./tool",)
    with pytest.raises(LaunchFailed, match="tool: not found"):
        runnable(("./tool",), ENV, "/")


def test_hestia_finds_itself_where_no_path_names_it():
    assert runnable(("hestia", "demo"), {"PATH": "/no"}, "/") == (sys.executable, "-m", "hestia.cli.hestia", "demo")


def test_without_a_path_the_systems_own_is_searched():
    assert runnable(("sh",), {}, "/") == ("sh",)
