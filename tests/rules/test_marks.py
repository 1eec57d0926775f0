import resource
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hestia.rules import marks
from hestia.rules.marks import Mapping, Scalar, compose, compose_variable

TEN = ",".join(["{}"] * 10)
BOMBS = {
    "aliases": "a: &a ["
    + TEN.replace("{}", "x")
    + "]\n"
    + "".join(f"{n}: &{n} [{TEN.replace('{}', '*' + p)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "merge keys": "a0: &a0 {k: v}\n"
    + "".join(f"a{i + 1}: &a{i + 1} {{<<: [{TEN.replace('{}', f'*a{i}')}]}}\n" for i in range(12)),
    "wide merges": "a: &a {"
    + ",".join(f"k{i}: 1" for i in range(5000))
    + "}\n"
    + "".join(f"b{i}: {{<<: *a}}\n" for i in range(5000)),
    "nesting": "[" * 500_000,
    "mappings in mappings": "{a: " * 200_000,
    "sequences in sequences": "- " * 500_000,
    "one long list": "[" + "a," * 500_000 + "]",
    "one long text": "a: '" + "a" * 1_000_000,
    "many keys": "".join(f"k{i}: v\n" for i in range(100_000)),
    "a long key": "a" * 1_000_000 + ": 1",
}


def words_of(text):
    return [str(mistake) for mistake in compose(text, "f").mistakes]


def test_every_key_and_value_has_its_line_and_column():
    root = compose("a:\n  b: [1, 'on']\n", "f").node
    entry = root.entries["a"].node.entries["b"]
    assert str(entry.mark) == "f:2:3"
    assert [str(item.mark) for item in entry.node.items] == ["f:2:7", "f:2:10"]
    assert [item.text for item in entry.node.items] == ["1", "on"]
    assert [item.plain for item in entry.node.items] == [True, False]


def test_keys_are_always_text():
    assert list(compose("123: a\nnull: b\nyes: c\n~: d\n", "f").node.entries) == ["123", "null", "yes", "~"]


def test_only_a_plain_null_is_null():
    values = compose("[null, ~, 'null', nil]", "f").node.items
    assert [value.null for value in values] == [True, True, False, False]


def test_merge_keys_give_what_the_mapping_does_not_say():
    root = compose("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n", "f").node
    assert {key: entry.node.text for key, entry in root.entries["c"].node.entries.items()} == {
        "x": "3",
        "y": "1",
        "z": "2",
    }


def test_an_alias_is_shared_and_not_copied():
    root = compose("a: &a [1]\nb: *a\n", "f").node
    assert root.entries["a"].node is root.entries["b"].node


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "f:2:1: a: is given twice, first in line 1"),
        ("a: {b: !x 1}", "f:1:8: a.b: YAML tags (`!...`) are not read"),
        ("a: 1\n---\nb: 1\n", "f:2:1: more than one document: what follows `---` must be a file of its own"),
        ("a: &a [*a]", "f:1:8: the alias *a contains itself"),
        ("a: *b", "f:1:4: the alias *b has no anchor before it"),
        ("\ta: 1", "f:1:1: is not YAML: a tab cannot indent, use spaces"),
        ("a\0b", "f:1:2: holds a character that YAML does not allow"),
        ("a: \ud800", "f:1:1: holds characters that are no text"),
        ("? [a]\n: b", "f:1:3: a key must be a text"),
    ],
)
def test_what_is_refused(text, words):
    assert words_of(text) == [words]


@pytest.mark.parametrize("text", ["", "# a comment\n", "---\n", "\n\n", "null\n"])
def test_an_empty_text_holds_nothing(text):
    node = compose(text, "f").node
    assert node is None or node.null


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_a_second_and_little_memory(bomb):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    assert len(words_of(BOMBS[bomb])) == 1
    assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_variable_is_one_yaml_value_under_its_name():
    composed = compose_variable("[a, {b: c}]", "HESTIA__X")
    assert str(composed.node.items[1].mark) == "HESTIA__X"
    assert str(compose_variable("[", "HESTIA__X").mistakes[0]).startswith("HESTIA__X: is not YAML")
    assert compose_variable("", "HESTIA__X").node.null


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t<~", max_size=60)))
def test_no_text_makes_it_raise(text):
    composed = compose(text, "f")
    assert composed.node is None or composed.node.mark


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    )
)
def test_what_yaml_writes_is_read_back(value):
    composed = compose(yaml.safe_dump(value, default_style='"', allow_unicode=False), "f")
    assert not composed.mistakes
    assert plain(composed.node) == value


def plain(node):
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    return [plain(item) for item in node.items]


def test_the_parser_without_its_c_library_is_as_strict(monkeypatch):
    monkeypatch.setattr(marks, "LOADER", yaml.SafeLoader)
    assert words_of("a: 1\na: 2\n") == ["f:2:1: a: is given twice, first in line 1"]
    assert all(map(words_of, ("a: [1", '"\\ud800"', "a\0b", "a: !!str b")))
