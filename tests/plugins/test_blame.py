import pytest

from hestia.plugins.blame import said, shown, where


def problem_of(source, path="/rules/a.py"):
    try:
        exec(compile(source, path, "exec"), {"__name__": "a"})
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - any problem will do
        return problem


@pytest.mark.parametrize(
    "source, words",
    [
        ("x = 1\ny = (", "/rules/a.py:2: '(' was never closed"),
        ("\n\n1 / 0", "/rules/a.py:3: ZeroDivisionError: division by zero"),
        ("\nimport nothing_here", "/rules/a.py:2: ModuleNotFoundError: No module named 'nothing_here'"),
        ("raise ValueError('say it')", "/rules/a.py:1: say it"),
        ("def f():\n  raise KeyError('k')\nf()", "/rules/a.py:2: KeyError: 'k'"),
        ("import json\njson.loads('{')", "/rules/a.py:2: Expecting property name enclosed in double quotes"),
        ("raise SystemExit", "/rules/a.py:1: SystemExit"),
    ],
)
def test_a_problem_names_the_file_the_line_and_what_it_was(source, words):
    assert where(problem_of(source), "/rules/a.py").startswith(words)


def test_a_problem_of_a_call_names_the_line():
    assert said(problem_of("\n1/0"), "/rules/a.py") == "ZeroDivisionError: division by zero (line 2)"
    assert said(ValueError("x"), "/rules/a.py") == "x"


def test_what_cannot_tell_what_it_is_is_named_by_its_type():
    broken = type("Broken", (), {"__repr__": lambda self: 1 / 0})
    assert shown(broken()) == "<Broken>"
    assert len(shown("x" * 9999)) == 200
