"""`hestia hash-password`: what it prints is what the configuration takes."""

import io
import sys

import pytest

from hestia.cli import hash_password
from hestia.cli.hash_password import run_hash_password
from hestia.rules.passwords import LONGEST, fits, read_hash


class Terminal(io.StringIO):
    def isatty(self):
        return True


def typing(monkeypatch, *words):
    answers = iter(words)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(hash_password, "getpass", lambda prompt: next(answers))


def piping(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_piped_password_is_one_line_of_hash(monkeypatch, capsys):
    piping(monkeypatch, "correct horse\r\nnot this\n")
    assert run_hash_password() == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert fits("correct horse", read_hash(out.strip()))


def test_a_typed_password_is_asked_for_twice(monkeypatch, capsys):
    typing(monkeypatch, "häßlich", "häßlich")
    assert run_hash_password() == 0
    assert fits("häßlich", read_hash(capsys.readouterr().out.strip()))


def test_two_hashes_of_one_password_differ(monkeypatch, capsys):
    for _ in range(2):
        piping(monkeypatch, "x")
        run_hash_password()
    first, second = capsys.readouterr().out.split()
    assert first != second


@pytest.mark.parametrize(
    ("said", "words"), [(["a", "b"], "differ"), (["", ""], "empty"), (["x" * (LONGEST + 1)], "at most")]
)
def test_what_is_no_password_is_refused_in_words(monkeypatch, capsys, said, words):
    typing(monkeypatch, *said)
    assert run_hash_password() == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_an_empty_pipe_is_refused(monkeypatch, capsys):
    piping(monkeypatch, "")
    assert run_hash_password() == 1
    assert "empty" in capsys.readouterr().err
