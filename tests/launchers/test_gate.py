"""The gate: the pid is the program's own, and nothing of it runs before the gate is opened."""

import os
import subprocess

import pytest

from hestia.launchers.gate import Gated
from hestia.ports import LaunchFailed

ENV = {"PATH": os.defpath}


def gated(folder, *command, env=ENV):
    output = os.open(folder / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return Gated(command, env, str(folder), output)
    finally:
        os.close(output)


def test_the_program_has_the_pid_of_the_child_that_waited(tmp_path):
    child = gated(tmp_path, "/bin/sh", "-c", "echo $$; cat; echo end")
    assert child.waiting
    child.open()
    assert not child.waiting
    assert child.child.wait(10) == 0
    assert (tmp_path / "out").read_text() == f"{child.owned.pid}\nend\n"


def test_a_gate_that_is_shut_lets_nothing_through(tmp_path):
    child = gated(tmp_path, "/bin/sh", "-c", "echo ran")
    child.shut()
    child.open()  # too late
    assert child.child.wait(10) == 1
    assert (tmp_path / "out").read_text() == ""


def test_words_go_through_as_they_are(tmp_path):
    words = ["a b", "$HOME", "'", '"', "\\n", "", "*", "é"]
    child = gated(tmp_path, "printf", "<%s>", *words)
    child.open()
    assert child.child.wait(10) == 0
    assert (tmp_path / "out").read_text() == "".join(f"<{word}>" for word in words)


def test_one_that_was_killed_at_the_gate_is_no_error(tmp_path):
    child = gated(tmp_path, "true")
    child.child.kill()
    child.child.wait()
    child.open()


def test_another_child_does_not_hold_the_gate_open(tmp_path):
    first = gated(tmp_path, "true")
    with subprocess.Popen(["sleep", "1000"]) as other:
        second = gated(tmp_path, "true")
        first.shut()
        assert first.child.wait(10) == 1
        second.shut()
        assert second.child.wait(10) == 1
        other.kill()


def test_what_cannot_be_spawned_says_why(tmp_path):
    with pytest.raises(LaunchFailed, match="argument list too long"):
        gated(tmp_path, "true", "x" * 3_000_000)
