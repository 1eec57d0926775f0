import ast
from pathlib import Path

import pytest

import hestia
from hestia.words import events

PACKAGE = Path(hestia.__file__).parent


def names_in_the_code():
    """First arguments of every `.event("name", ...)`, and the names that the log itself writes."""
    found = {"request", "log.dropped"}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "event" and node.args:
                name = node.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    found.add(name.value)
            # `loop.add_signal_handler(SIGHUP, log.event, "name", ...)`
            for before, after in zip(node.args, node.args[1:], strict=False) if isinstance(node, ast.Call) else ():
                if isinstance(before, ast.Attribute) and before.attr == "event" and isinstance(after, ast.Constant):
                    found.add(after.value)
    return found


def test_every_event_in_the_code_is_in_the_catalogue():
    assert names_in_the_code() - set(events.EVENTS) == set()


def test_every_event_of_the_catalogue_is_in_the_code():
    assert set(events.EVENTS) - names_in_the_code() == set()


@pytest.mark.parametrize("name", list(events.EVENTS))
def test_an_event_says_what_happened_in_a_sentence(name):
    assert events.EVENTS[name].says.endswith(".")


def test_the_page_of_the_docs_is_made_from_the_catalogue():
    assert (PACKAGE / "docs" / "events.md").read_text() == events.as_markdown()
