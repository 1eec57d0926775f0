"""What the walk looks like: plain for files and pipes, coloured for people, and a pause that holds up nobody."""

import asyncio
import io
import os
import pty
import sys

import pytest

from hestia.cli.demo_screen import Screen, screen_of


def never():
    raise AssertionError("it is still there")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.fixture
def typed(monkeypatch):
    """Standard input is a terminal; what is written to the number that comes is typed there."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_without_a_terminal_it_is_plain_and_does_not_pause(typed):
    out = io.StringIO()
    screen = screen_of(out, {}, pause=True, gone=never)
    screen.title("One")
    screen.words("Two.")
    screen.command("curl x")
    screen.lines(["three"], "aside")
    screen.status("HTTP/1.1 503", 503)
    assert out.getvalue() == "\nOne\nTwo.\n\n  $ curl x\n  three\n  HTTP/1.1 503\n"
    assert screen.pauses is False


@pytest.mark.parametrize(
    "environ, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_has_colours_unless_the_environment_says_no(environ, coloured):
    out = Terminal()
    screen_of(out, environ, pause=False, gone=never).title("One")
    assert ("\x1b[" in out.getvalue()) is coloured


@pytest.mark.parametrize("status, code", [(200, "32"), (308, "32"), (503, "31"), (0, "31")])
def test_a_status_is_green_or_red(status, code):
    out = io.StringIO()
    Screen(out, never, colours=True).status("x", status)
    assert out.getvalue() == f"  \x1b[{code}mx\x1b[0m\n"


def test_words_are_wrapped_and_a_command_is_not():
    out = io.StringIO()
    screen = Screen(out, never, wide=20)
    screen.words("a word and " * 5)
    screen.command("curl " + "x" * 50)
    first, command = out.getvalue().split("\n\n")
    assert max(map(len, first.splitlines())) <= 20
    assert command.count("\n") == 1


@pytest.mark.parametrize("pause, terminal, expected", [(True, True, True), (False, True, False), (True, False, False)])
def test_it_pauses_only_between_two_terminals_and_when_it_is_wanted(typed, monkeypatch, pause, terminal, expected):
    if not terminal:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert screen_of(Terminal(), {}, pause=pause, gone=never).pauses is expected


def test_a_closed_standard_input_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert screen_of(Terminal(), {}, pause=True, gone=never).pauses is False


async def test_a_pause_waits_for_enter_and_the_loop_goes_on_meanwhile(typed):
    screen = Screen(io.StringIO(), never, pauses=True)
    async with asyncio.TaskGroup() as group:
        pausing = group.create_task(screen.pause())
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not pausing.done()
        os.write(typed, b"\n")
    assert screen.pauses is True


async def test_each_enter_is_one_step(typed):
    screen = Screen(io.StringIO(), never, pauses=True)
    os.write(typed, b"\n\n")
    async with asyncio.timeout(10):
        await screen.pause()
        await screen.pause()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(screen.pause(), 0.05)


async def test_who_closes_the_input_wants_no_more_pauses(typed):
    screen = Screen(io.StringIO(), never, pauses=True)
    os.write(typed, b"\x04")  # ^D
    async with asyncio.timeout(10):
        await screen.pause()
        assert screen.pauses is False
        await screen.pause()


async def test_a_pause_that_is_cancelled_lets_go_of_the_terminal(typed):
    screen = Screen(io.StringIO(), never, pauses=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(screen.pause(), 0.01)
    assert asyncio.get_running_loop().remove_reader(sys.stdin.fileno()) is False


def test_a_reader_that_left_is_told_and_raises_nothing():
    told = []
    screen = Screen(Gone(), lambda: told.append(1))
    screen.words("hello")
    assert told == [1]
