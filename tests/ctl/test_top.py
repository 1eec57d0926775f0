"""The live view, on a terminal that the test holds."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from hestia.ctl.show import Look
from hestia.ctl.top import Seen, cut, shown
from tests.support.control_server import command, environ, run

WITHIN = 20.0
LFLAG = 3


class OnTerminal:
    """`hestiactl top` with a terminal of its own."""

    def __init__(self, path):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.said = b""
        self.process = subprocess.Popen(
            command("top"), env=environ(HESTIA_SOCKET=path, TERM="xterm"), stdin=self.slave, stdout=self.slave, stderr=subprocess.PIPE, start_new_session=True
        )

    def until(self, words):
        end = time.monotonic() + WITHIN
        while words not in self.said:
            assert time.monotonic() < end, self.said
            self.read(0.1)

    def read(self, within):
        if select.select([self.master], [], [], within)[0]:
            with contextlib.suppress(OSError):
                self.said += os.read(self.master, 65536)

    def ended(self):
        """Its exit code, once it has given the terminal back."""
        end = time.monotonic() + WITHIN
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said
            self.read(0.05)
        self.read(0.05)
        assert termios.tcgetattr(self.slave) == self.before
        assert self.said.rfind(b"\x1b[?1049l") > self.said.rfind(b"\x1b[?1049h")
        assert self.said.rfind(b"\x1b[?25h") > self.said.rfind(b"\x1b[?25l")
        return self.process.returncode

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(gateway):
    one = OnTerminal(gateway.path)
    yield one
    one.close()


@pytest.mark.parametrize(("key", "code"), ((b"q", 0), (b"xQ", 0), (b"\x03", 130), (b"\x04", 0)))
def test_a_key_ends_it_and_the_terminal_is_as_before(terminal, key, code):
    terminal.until(b"q: quit")
    assert termios.tcgetattr(terminal.slave)[LFLAG] & termios.ECHO == 0
    os.write(terminal.master, key)
    assert terminal.ended() == code
    assert terminal.process.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)))
def test_a_signal_ends_it_and_the_terminal_is_as_before(terminal, number, code):
    terminal.until(b"q: quit")
    terminal.process.send_signal(number)
    assert terminal.ended() == code


def test_the_end_of_the_gateway_ends_it_with_words(gateway, terminal):
    terminal.until(b"q: quit")
    gateway.end()
    assert terminal.ended() == 7
    assert b"closed the connection" in terminal.process.stderr.read()


def test_it_shows_states_waiters_leases_and_requests_per_second_again_and_again(terminal):
    terminal.until(b"ollama")
    for words in (b"1 of 2 hot", b"2 leases", b"REQ/S", b"vram 12/24"):
        assert words in terminal.said
    terminal.said = b""
    terminal.until(b"requests/s")
    rate = float(terminal.said.split(b" requests/s")[0].split()[-1])
    assert 5 < rate < 25  # the fake counts ten for each service a round


def test_without_a_terminal_it_shows_one_picture(gateway):
    done = run("top", socket=gateway.path)
    assert (done.returncode, "1 of 2 hot" in done.stdout, "\x1b" in done.stdout) == (0, True, False)
    assert set(json.loads(run("top", "--json", socket=gateway.path).stdout)) == {"hello", "services", "machines", "metrics"}


def test_rates_are_differences_and_a_restart_is_no_negative_one():
    seen = Seen()
    assert seen.rates({"services": {"a": {"requests": 10}}}, 1.0) == {"a": 0.0}
    assert seen.rates({"services": {"a": {"requests": 30}, "b": {"requests": 4}}}, 3.0) == {"a": 10.0, "b": 0.0}
    assert seen.rates({"services": {"a": {"requests": 0}}}, 4.0) == {"a": 0.0}
    assert seen.rates({}, 5.0) == {}


def test_lines_are_cut_at_the_terminals_width_and_colours_end():
    assert cut("abcdef", 3) == "abc"
    assert cut("\x1b[32mabcdef\x1b[0m", 3) == "\x1b[32mabc\x1b[0m"
    assert cut("\x1b[32mab\x1b[0mcd", 3) == "\x1b[32mab\x1b[0mc"


def test_a_gateway_without_machines_or_services_is_shown_too():
    state = {"hello": {"version": "1"}, "services": [], "machines": [], "metrics": {}}
    assert shown(state, Seen(), Look(colours=False, fine=True), 0.0)[0] == "hestia 1  0 of 0 hot  0 waiting  0 leases  0.0 requests/s"
