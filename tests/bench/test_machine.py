"""Cores, processes and the small client."""

import os
import sys
import time

import pytest

from bench.machine import Child, cores, free_port, get, share, tree, whole
from bench.upstream import SMALL


@pytest.mark.parametrize(
    ("available", "proxy", "upstream", "load", "pinned"),
    (
        ([0], {0}, {0}, {0}, False),
        ([1, 0], {0}, {1}, {1}, True),
        ([4, 5, 6], {4}, {5}, {6}, True),
        ([0, 1, 2, 3], {0}, {1}, {2, 3}, True),
    ),
)
def test_the_proxy_has_a_core_to_itself_where_there_is_one(available, proxy, upstream, load, pinned):
    found = share(available)
    assert (found.proxy, found.upstream, found.load, found.pinned) == (proxy, upstream, load, pinned)


@pytest.mark.parametrize(
    ("answer", "done"),
    (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 1\r\n", False),
    ),
)
def test_an_answer_is_whole_when_its_length_is_there(answer, done):
    assert whole(answer) is done


def test_a_child_runs_where_it_is_told_and_is_counted_and_stopped(tmp_path):
    on = frozenset((min(os.sched_getaffinity(0)),))
    port = free_port()
    child = Child([sys.executable, "-m", "bench.upstream", str(port)], on, tmp_path / "out", {"PYTHONPATH": "."})
    try:
        child.wait_for(port, "/small")
        assert get(port, "/small") == SMALL
        assert os.sched_getaffinity(child.pid) == on
        assert child.cpu_s() > 0
        assert child.waited_s() >= 0
        assert child.rss_mib() > 1
    finally:
        child.stop()
    assert child.process.returncode is not None


def test_a_child_that_ends_at_once_says_its_last_words(tmp_path):
    code = "import sys; sys.exit('no such option')"
    child = Child([sys.executable, "-c", code], cores().proxy, tmp_path / "out")
    with pytest.raises(RuntimeError, match="it ended with 1: no such option"):
        child.wait_for(free_port(), "/small")


def test_what_wanted_a_core_that_another_had_has_waited(tmp_path):
    on = frozenset((min(os.sched_getaffinity(0)),))
    busy = [Child([sys.executable, "-c", "while True: pass"], on, tmp_path / "out") for _ in range(2)]
    try:
        until = time.monotonic() + 10
        while not all(child.waited_s() > 0.02 for child in busy) and time.monotonic() < until:  # what is waited for
            time.sleep(0.02)
        assert all(child.waited_s() > 0.02 for child in busy)
    finally:
        for child in busy:
            child.stop()


def test_a_tree_begins_with_its_root():
    assert tree(os.getpid())[0] == os.getpid()
