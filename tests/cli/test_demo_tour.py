"""`hestia demo` as people run it: the whole walk, ^C at every step, and nothing left behind."""

import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from hestia.cli.demo_walk import STEPS
from tests.house.tree import ROOT

LIMIT = 60.0  # for what takes seconds on an idle machine
SOON = 10.0
HESTIA = [sys.executable, "-m", "hestia.cli.hestia"]
ONLY = "import sys; from hestia.cli import demo_walk as w; w.STEPS = w.STEPS[{0}:{1}]; from hestia.cli.hestia import main; sys.exit(main(sys.argv[1:]))"


def only(first, last):
    """The program, with a walk of these steps."""
    return [sys.executable, "-c", ONLY.format(first, last)]


def own_terminal():
    """What is typed there is for this session, so that ^C is heard."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Tour:
    """One demo, and everything it says. Temporary files lie in a folder of its own."""

    def __init__(self, folder, *words, program=HESTIA, terminal=False, **environ):
        self.folder = folder
        self.text = ""
        ours, theirs = pty.openpty() if terminal else os.pipe()
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        env = {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "TERM": "xterm", **environ}
        self.process = subprocess.Popen(
            [*program, "demo", *words], stdin=theirs if terminal else subprocess.DEVNULL, stdout=theirs, stderr=theirs,
            env=env, cwd=folder, start_new_session=True,
            preexec_fn=own_terminal if terminal else None,  # noqa: PLW1509 -- one system call, and no lock
        )  # fmt: skip
        os.close(theirs)
        self.ours = ours
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while piece := self._piece():
            self.text += piece.decode(errors="replace").replace("\r\n", "\n")

    def _piece(self):
        try:
            return os.read(self.ours, 65536)
        except OSError:  # how a terminal ends
            return b""

    def until(self, words, limit=LIMIT):
        deadline = time.monotonic() + limit
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self.reader.is_alive(), self.text
            time.sleep(0.01)
        return self

    def end(self, limit=LIMIT):
        """The exit code, once everything it said has been read."""
        code = self.process.wait(limit)
        self.reader.join(SOON)
        return code

    @property
    def url(self):
        return re.search(r"http://127\.0\.0\.1:\d+", self.text)[0]

    def servers(self):
        """Processes that were launched for it."""
        mark = f"--while\0{self.process.pid}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def left(self):
        """What it should not have left: processes, files, a port that answers."""
        found = [*self.servers(), *self.folder.iterdir()]
        if "http://" in self.text:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(self.url.rpartition(":")[2]))) == 0:
                    found.append(self.url)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(SOON)
        os.close(self.ours)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "t"
    made.mkdir()
    return made


def parts_of(text):
    """What each step told."""
    titles = [f"{number}/{len(STEPS)}  {step.title}\n" for number, step in enumerate(STEPS, 1)]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    return [text[begin:end] for begin, end in zip(places, [*places[1:], len(text)], strict=True)]


def test_the_whole_walk_shows_what_it_says_and_leaves_nothing(folder):
    with Tour(folder, "--no-pause", "--once") as tour:
        assert tour.end() == 0, tour.text
    assert "not what was meant" not in tour.text
    assert "\x1b" not in tour.text
    assert "Enter" not in tour.text
    around, slow, page, chat, flaky, line, room, asleep = parts_of(tour.text)
    assert [name for name in ("slow", "chat", "flaky", "big") if re.search(rf"^  {name} +cold ", around, re.MULTILINE)] == ["slow", "chat", "flaky", "big"]
    assert int(re.search(r"start;dur=(\d+)", slow)[1]) >= 2000
    assert slow.count("HTTP/1.1 200 OK") == 2
    assert slow.count("Server-Timing") == 1
    assert re.search(r"HTTP/1\.1 503 .*\n.*\n  Retry-After: \d+\n", page)
    assert "<title>slow is starting</title>" in page
    assert '"status": "cold"' in chat
    assert "Nothing ran before you asked. Hestia found me by the name of my model" in chat
    assert flaky.index("HTTP/1.1 200 OK") < flaky.index("service.ready") < flaky.index("place.fallback") < flaky.index("service.starting")
    assert "out of memory" in flaky or "exited with code 1" in flaky
    assert re.findall(r"^  (\d): HTTP/1\.1 (\d+)", line, re.MULTILINE) in ([("3", "503"), ("4", "503"), ("1", "200"), ("2", "200")], [("4", "503"), ("3", "503"), ("1", "200"), ("2", "200")])
    assert line.count("queue_full: ") == line.count("Retry-After: ") == 2
    assert re.search(r"^  local .*vram 20/24 .*big", room, re.MULTILINE)
    assert re.search(r"^  chat +hot ", room, re.MULTILINE)
    assert re.search(r"^  big +cold ", room, re.MULTILINE)
    assert "by idle" in asleep
    assert f"{tour.url}/dashboard/" in asleep
    assert tour.left() == []


SEEN = {
    "cold_then_hot": "$ curl -i",
    "by_model": "Nothing ran",
    "full_line": "queue_full",
}


@pytest.mark.parametrize("number", range(len(STEPS)), ids=lambda number: STEPS[number].show.__name__)
def test_an_interrupt_at_any_step_ends_everything_within_seconds(folder, number):
    name = STEPS[number].show.__name__
    with Tour(folder, "--no-pause", program=only(number, number + 1)) as tour:
        tour.until(SEEN.get(name, f"{STEPS[number].title}\n"))
        tour.process.send_signal(signal.SIGINT)
        assert tour.end(SOON) in ({0, 130} if name == "look_around" else {130}), tour.text
        assert "Traceback" not in tour.text
        assert "All that was launched is ended" in tour.text
        assert tour.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_after_the_walk_it_serves_until_it_is_told_to_end_and_that_is_no_failure(folder, number):
    with Tour(folder, "--no-pause", program=only(0, 1)) as tour:
        tour.until("until you end it with ^C")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{tour.url}/services/flaky/health", timeout=LIMIT) as answer:
            assert answer.status == 200
        assert len(tour.servers()) == 1
        tour.process.send_signal(number)
        assert tour.end(SOON) == 0, tour.text
        assert tour.left() == []


def test_hestiactl_can_end_it(folder):
    with Tour(folder, "--no-pause", program=only(0, 1)) as tour:
        tour.until("until you end it with ^C")
        control = re.search(r"HESTIA_SOCKET=(\S+)", tour.text)[1]
        words = [sys.executable, "-m", "hestia.ctl.main", "--socket", control, "shutdown"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert tour.end(SOON) == 0
        assert tour.left() == []


def test_on_a_terminal_each_step_waits_for_enter_and_is_coloured(folder):
    with Tour(folder, "--once", program=only(0, 3), terminal=True) as tour:
        tour.until("Enter: on. ^C: end. ")
        assert f"2/3  {STEPS[1].title}" not in tour.text
        assert f"\x1b[1m1/3  {STEPS[0].title}\x1b[0m" in tour.text
        os.write(tour.ours, b"\n")
        tour.until(f"2/3  {STEPS[1].title}")
        os.write(tour.ours, b"\x03")  # ^C
        assert tour.end(SOON) == 130
        assert tour.left() == []


def test_an_interrupt_while_it_waits_for_enter_ends_it(folder):
    with Tour(folder, program=only(0, 2), terminal=True, NO_COLOR="1") as tour:
        tour.until("Enter: on. ^C: end. ")
        os.write(tour.ours, b"\x03")
        assert tour.end(SOON) == 130
        assert "\x1b" not in tour.text
        assert tour.left() == []


def test_who_kills_it_does_not_keep_its_servers(folder):
    with Tour(folder, "--no-pause", program=only(1, 2)) as tour:
        tour.until("HTTP/1.1 200 OK")
        assert len(tour.servers()) == 1
        tour.process.kill()
        deadline = time.monotonic() + SOON
        while tour.servers():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_second_signal_ends_it_at_once(folder):
    with Tour(folder, "--no-pause", program=only(1, 2)) as tour:
        tour.until("$ curl -i")
        os.kill(tour.process.pid, signal.SIGTERM)
        os.kill(tour.process.pid, signal.SIGINT)
        assert tour.end(SOON) in {130, 143}  # the kernel may tell them in another order
        assert list(folder.iterdir()) == []


def test_a_reader_that_leaves_ends_it(folder):
    words = [*HESTIA, "demo", "--no-pause"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=env) as process:
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait(LIMIT) in {0, 130}
        assert process.stderr.read() == b""
    assert list(folder.iterdir()) == []


def test_an_address_that_is_taken_is_one_line_and_exit_1(folder):
    with socket.create_server(("127.0.0.1", 0)) as other, Tour(folder, "--listen", f"127.0.0.1:{other.getsockname()[1]}", "--once") as tour:
        assert tour.end() == 1
        assert str(other.getsockname()[1]) in tour.text
        assert tour.text.startswith("hestia: ")
        assert tour.text.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_it_listens_where_it_is_asked_to(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Tour(folder, "--listen", f"127.0.0.1:{port}", "--once", "--no-pause", program=only(0, 1)) as tour:
        assert tour.end() == 0, tour.text
        assert tour.url == f"http://127.0.0.1:{port}"
