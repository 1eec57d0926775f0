"""The catalogue is exactly what the code can write: names, and the keys that stand beside them."""

import ast
import re
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

import hestia
from hestia.words import events
from hestia.words.notes import Cause, Note

PACKAGE = Path(hestia.__file__).parent
# log.event(name, level, key=...); service.say(name, place, key=...); machine._say; strategy._note
TELLS = {"event", "say", "_say", "_note"}
NAME = re.compile(r"[a-z_]+\.[a-z_]+|internal|request")  # `_say` is also what systemd is told
WITH_A_PLACE = {"say"}
OF_EVERY_LINE = {"service", "state", "level"}
BY_THE_LOG = {"request", "log.dropped"}  # written by the log itself, field by field
BY_THE_ROOF = {"kept_by"}  # added to what the core tells, where it is known


class Told(NamedTuple):
    name: str
    keys: frozenset[str]
    where: str


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def words_of(node):
    """The name, or both of `"a" if ... else "b"`."""
    both = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    return [text for each in both if (text := text_of(each)) is not None and NAME.fullmatch(text)]


def keys_of(node):
    return {key for each in node.keys if (key := text_of(each)) is not None} if isinstance(node, ast.Dict) else set()


def of_call(call):
    """(names, keys) of a call that tells of something."""
    called = call.func
    named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    if isinstance(called, ast.Name) and called.id == "Note" and "kind" in named:
        return words_of(named["kind"]), (named.keys() - {"kind", "more"}) | keys_of(named.get("more"))
    if isinstance(called, ast.Attribute) and called.attr in TELLS and call.args:
        place = {"place", "machine"} if called.attr in WITH_A_PLACE and len(call.args) > 1 else set()
        return words_of(call.args[0]), named.keys() | place
    return [], set()


def of_tuple(node):
    """What the opening of the database puts aside for the log: ("store.damaged", "error", {...})."""
    if len(node.elts) == 3 and text_of(node.elts[1]) in get_args(events.Level):
        return words_of(node.elts[0]), keys_of(node.elts[2])
    return [], set()


def told():
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names, keys = of_call(node) if isinstance(node, ast.Call) else of_tuple(node) if isinstance(node, ast.Tuple) else ([], set())
            where = f"{file.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            found += [Told(name, frozenset(keys), where) for name in names]
    return found


def named():
    return {each.name for each in told()} | BY_THE_LOG


def test_every_event_in_the_code_is_in_the_catalogue():
    assert named() - set(events.EVENTS) == set()


def test_every_event_of_the_catalogue_is_in_the_code():
    assert set(events.EVENTS) - named() == set()


def test_every_key_that_the_code_writes_is_in_the_catalogue():
    unsaid = {
        f"{each.where} {each.name}: {sorted(more)}"
        for each in told()
        if (more := each.keys - OF_EVERY_LINE - set(events.EVENTS[each.name].keys))
    }
    assert unsaid == set()


def test_every_key_of_the_catalogue_is_in_the_code():
    """Not those that come with `**more`: their names stand in a dict beside the call."""
    source = "".join(file.read_text() for file in PACKAGE.rglob("*.py") if file.name != "events.py")
    unused = {key for kind in events.EVENTS.values() for key in kind.keys if f'"{key}"' not in source and f"{key}=" not in source}
    assert unused - BY_THE_ROOF == set()


@pytest.mark.parametrize("name", list(events.EVENTS))
def test_an_event_says_what_happened_in_a_sentence(name):
    assert events.EVENTS[name].says.endswith(".")


@pytest.mark.parametrize("name", list(events.EVENTS))
def test_a_name_says_first_what_it_is_about(name):
    assert name == name.lower()
    assert name in {"request", "internal"} or name.count(".") == 1


def test_the_page_names_every_cause():
    assert [cause for cause in get_args(Cause) if f"`{cause}`" not in events.as_markdown()] == []


def test_a_note_has_no_field_that_the_catalogue_does_not_know():
    fields = set(Note.__struct_fields__) - {"kind", "more"}
    assert fields <= {key for kind in events.EVENTS.values() for key in kind.keys} | OF_EVERY_LINE


def test_the_page_of_the_docs_is_made_from_the_catalogue():
    """If this fails: python -c 'from hestia.words.events import as_markdown; print(as_markdown(), end="")'"""
    assert (PACKAGE / "docs" / "events.md").read_text() == events.as_markdown()
