"""Fields of a JSON object, found while it streams in."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hestia.rules.json_search import GROUPS_ARE_POSSESSIVE, LONGEST, MOST_STEPS, JsonSearch, pass_over

QUIETLY = settings(deadline=None, suppress_health_check=list(HealthCheck))  # a busy machine is no mistake

names = st.sampled_from(["model", "stream", "a", "options", "mod", "x.y", "", "ünï", '"', "\\", "model "])
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12)
objects = st.dictionaries(names, values, max_size=5)
FIELDS = ("model", "stream", "options.a", "options.options.model", "ünï")


def searched(text: bytes, cuts: list[int] | None = None, fields: tuple[str, ...] = FIELDS) -> JsonSearch:
    search = JsonSearch(fields)
    at = 0
    for cut in [*sorted(cuts or []), len(text)]:
        if search.feed(text[at:cut]):
            return search
        at = cut
    search.end()
    return search


def expected(thing: object, field: str) -> object:
    """What json.loads finds there, as the search says it; `...`: nothing."""
    for name in field.split("."):
        if not isinstance(thing, dict) or name not in thing:
            return ...
        thing = thing[name]
    if isinstance(thing, dict | list):
        return None
    return thing if isinstance(thing, str) else json.dumps(thing)


@QUIETLY
@given(thing=objects, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_it_finds_what_json_loads_finds_wherever_the_text_is_cut(thing, ascii_only, indent, cuts):
    text = json.dumps(thing, ensure_ascii=ascii_only, indent=indent).encode()
    search = searched(text, [min(cut, len(text)) for cut in cuts])
    for field in FIELDS:
        assert search.found.get(field, ...) == expected(thing, field)


@QUIETLY
@given(thing=objects)
def test_it_finds_the_same_byte_by_byte(thing):
    text = json.dumps(thing).encode()
    search = searched(text, list(range(len(text))))
    assert {field: search.found.get(field, ...) for field in FIELDS} == {field: expected(thing, field) for field in FIELDS}


@QUIETLY
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_whatever_comes_it_neither_fails_nor_waits_for_ever(text, cuts):
    for body in (text, b"{" + text, b'{"model":' + text, b'{"x":' + text):
        assert searched(body, cuts).done


@pytest.mark.parametrize("before", [b"", b'"messages": [{"role": "user", "content": "say \\"model\\": \\"b\\", {["}], '])
def test_a_field_is_found_before_and_after_the_messages(before):
    search = JsonSearch(["model"])
    assert search.feed(b"{" + before + b'"model": "a", "messages": ["')
    assert search.found == {"model": "a"}


def test_it_is_done_as_soon_as_everything_is_found():
    search = JsonSearch(["model", "stream"])
    assert not search.feed(b'{"model":"a",')
    assert search.feed(b'"stream":true,"messages":[')
    assert search.found == {"model": "a", "stream": "true"}


def test_of_two_values_the_first_counts():
    assert searched(b'{"model":"a","model":"b"}').found == {"model": "a"}


def test_a_name_with_escapes_is_the_same_name():
    assert searched(b'{"mod\\u0065l":"\\u00fc\\ud83d\\ude00"}', fields=("model",)).found == {"model": "ü\U0001f600"}


@pytest.mark.parametrize("text", [b"[1]", b'"model"', b"model=a", b"--x\r\n", b"\x1f\x8b", b"null", b"\xff\xfe{\x00"])
def test_what_is_no_object_is_given_up_at_its_first_byte(text):
    search = JsonSearch(["model"])
    assert search.feed(text)
    assert search.found == {}


@pytest.mark.parametrize("cuts", [[], [1], [1, 2], [2, 3]])
def test_a_byte_order_mark_is_passed_over(cuts):
    assert searched(b'\xef\xbb\xbf{"model":"a"}', cuts).found["model"] == "a"


def test_a_value_beyond_all_measure_is_none():
    search = searched(b'{"model":"' + b"a" * 3 * LONGEST + b'","stream":false}', [LONGEST, 2 * LONGEST])
    assert search.found == {"model": None, "stream": "false"}


def test_a_text_of_ten_thousand_levels_is_passed_over():
    search = searched(b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b',"model":"a"}')
    assert search.found["model"] == "a"


def test_a_text_of_nothing_but_brackets_is_given_up_in_the_end():
    search = JsonSearch(["model"])
    search.feed(b'{"x":[')
    while not search.feed(b"[]" * 50_000):
        pass
    assert search._steps == MOST_STEPS + 1


def test_images_are_passed_over_quickly():
    search = JsonSearch(["model"])
    image = b"A" * 262_144
    begun = time.process_time()
    search.feed(b'{"messages":[{"image":"data:')
    for _ in range(64):  # 16 MiB
        assert not search.feed(image)
    assert search.feed(b'"}],"model":"a"}')
    assert time.process_time() - begun < 0.5
    assert search.found == {"model": "a"}


@pytest.mark.parametrize("text", (b'1, "a", [', b'"a\\"b", "c', b'"}" : "]", {', b'"half \\', b"", b'"a"', b'"\\\\"x}'))
def test_what_is_passed_over_is_the_same_with_and_without_possessive_groups(text):
    assert pass_over(text, 0, at_once=False) == pass_over(text, 0, at_once=GROUPS_ARE_POSSESSIVE)
