"""The end of a program in one line."""

import errno

import pytest

from hestia.launchers.last_words import CHARACTERS, ended, harmless, why_not


@pytest.mark.parametrize(
    ("code", "lines", "words"),
    [
        (0, [], "exited with code 0"),
        (3, ["a", "", "b"], "exited with code 3: a | b"),
        (-9, [], "was ended by signal SIGKILL"),
        (-11, ["x"], "was ended by signal SIGSEGV: x"),
        (-99, [], "was ended by signal 99"),
        (None, ["x"], "ended (its exit code went to an earlier gateway): x"),
        (127, ["hestia-gate: 1: exec: ./s: not found"], "./s: not found"),
        (126, ["hestia-gate: 1: exec: ./s: Permission denied"], "./s: Permission denied"),
        (127, ["own words"], "exited with code 127: own words"),
        (1, ["hestia-gate: 1: exec: fake"], "exited with code 1: hestia-gate: 1: exec: fake"),
    ],
)
def test_how_it_ended(code, lines, words):
    assert ended(code, lines, {}) == words


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\x00b\x07", "a\\x00b\\x07"),
        ("tab\there", "tab here"),
        ("\u202eevil", "\\x202eevil"),
        ("\x1b", "\\x1b"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_left(line, shown):
    assert harmless([line], {}) == shown


def test_only_the_last_lines_and_so_many_characters():
    assert harmless([str(number) for number in range(100)], {}) == "95 | 96 | 97 | 98 | 99"
    text = harmless(["x" * 100_000 + "end"], {})
    assert len(text) <= CHARACTERS + 3
    assert text.endswith("end")


def test_values_of_secret_variables_are_not_shown():
    env = {"API_KEY": "sk-12345", "DB_PASSWORD": "sk-12345-longer", "HOST": "example.org", "EMPTY_TOKEN": ""}
    assert harmless(["sk-12345-longer at example.org with sk-12345"], env) == "*** at example.org with ***"


def test_an_error_of_the_system_has_no_numbers_and_paths():
    assert why_not(PermissionError(errno.EACCES, "x", "/secret")) == "permission denied"
    assert why_not(OSError("plain")) == "plain"
