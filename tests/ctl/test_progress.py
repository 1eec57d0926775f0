"""The line of `start --wait`."""

import contextlib
import io
import os
import pty
import select
import socket
import subprocess
import time

import pytest

from hestia.ctl import progress
from hestia.ctl.client import Failed, Where
from hestia.ctl.progress import line
from tests.support.control_server import command, environ


@pytest.mark.parametrize(
    ("passed", "status", "says"),
    [
        (2.0, {}, "demo: starting, 2.0s"),
        (2.0, {"state": "starting", "phase": "waking_machine"}, "demo: waking its machine, 2.0s"),
        (2.0, {"state": "starting", "expected_start_s": 0}, "demo: starting, 2.0s"),
    ],
)
def test_without_an_expected_time_it_says_how_long_it_has_taken(passed, status, says):
    assert line("demo", passed, status) == says


def test_one_that_is_ready_is_not_said_to_start():
    assert line("demo", 3.8, {"state": "hot", "expected_start_s": 3.8}) == ""


def test_it_is_never_full_before_it_is_ready():
    said = line("demo", 100.0, {"phase": "launching", "expected_start_s": 4.0})
    assert said.startswith("demo: launching ")
    assert said.endswith(" 1m 40s of about 4.0s")
    assert "░" in said or "." in said.split()[2]


def test_on_a_terminal_a_frozen_gateway_is_given_up_too(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "ANSWER_S", 0.3)
    monkeypatch.setattr(progress, "STATUS_S", 0.05)
    monkeypatch.setattr(progress.sys, "stderr", screen := Screen())
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(f"{tmp_path}/c.sock")
        frozen.listen()
        with pytest.raises(Failed, match="is not answering"):
            progress.start(Where(f"{tmp_path}/c.sock", ""), {"id": "demo", "wait": True})
    assert screen.getvalue().endswith("\r\x1b[K")


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_on_a_terminal_the_wait_has_a_line_that_goes_away(gateway):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("start", "demo", "--wait"), env=environ(HESTIA_SOCKET=gateway.path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave, text=True
    )
    os.close(slave)
    said, end = b"", time.monotonic() + 20
    while said.count(b"of about 4.0s") < 2:
        assert time.monotonic() < end, said
        if select.select([master], [], [], 0.1)[0]:
            said += os.read(master, 65536)
    gateway.do(gateway.house.keeper.ready.set)
    assert process.stdout.read() == "demo: hot\n"
    assert process.wait(20) == 0
    process.stdout.close()
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            said += data
    os.close(master)
    assert "launching" in said.decode()
    assert said.endswith(b"\r\x1b[K")
