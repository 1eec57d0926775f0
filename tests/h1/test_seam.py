"""Of a head whose one line changes again and again only that line is read: it must be what a fresh head would be."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.grammar import BadMessage
from hestia.h1.request import read_request_head, renew
from hestia.h1.seam import find_seam
from tests.h1.test_request import LINES, all_of, block_of, crossed


def seam_of(first, second):
    """The head of `second`, made of that of `first`, and its seam."""
    before, block = block_of(first), block_of(second)
    head = read_request_head(before, b"1")
    head.cross_for, head.crossed = ("somewhere", b""), crossed(head)
    if not renew(head, before.split(b"\r\n"), block.split(b"\r\n")):
        return head, None
    return head, find_seam(head, before.split(b"\r\n"), block.split(b"\r\n"))


@given(st.lists(LINES, min_size=1, max_size=5), st.data())
def test_a_head_renewed_at_its_seam_is_what_a_fresh_one_would_be(first, data):
    at = data.draw(st.integers(0, len(first) - 1))
    name = first[at].partition(b":")[0] + b": "
    second, third = list(first), list(first)
    second[at] = name + data.draw(st.sampled_from((b"2", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")))
    third[at] = data.draw(st.one_of(LINES, st.binary(max_size=6).map(lambda value: name + value)))
    if data.draw(st.booleans()):
        third[data.draw(st.integers(0, len(first) - 1))] = data.draw(LINES)
    block = block_of(third)
    with contextlib.suppress(BadMessage):
        head, seam = seam_of(first, second)
        if seam is None:
            return
        if seam.renew(head, block):
            fresh = read_request_head(block, b"1")  # BadMessage here would be a renewed head that is none
            assert (all_of(head), head.crossed) == (all_of(fresh), crossed(fresh))
        else:
            fresh = read_request_head(block_of(second), b"1")
            assert (all_of(head), head.crossed) == (all_of(fresh), crossed(fresh))


@pytest.mark.parametrize(
    ("third", "renewed"),
    (
        ([b"A: 1", b"B: 9", b"C: 1"], True),
        ([b"A: 1", b"B:", b"C: 1"], True),
        ([b"A: 9", b"B: 2", b"C: 1"], False),
        ([b"A: 1", b"B: 2", b"C: 9"], False),
        ([b"A: 1", b"b: 9", b"C: 1"], False),
        ([b"A: 1", b"B : 9", b"C: 1"], False),
        ([b"A: 1", b"B: 9", b"Cookie: a", b"C: 1"], False),
        ([b"A: 1", b"B: \x00", b"C: 1"], False),
        ([b"A: 1", b"B: 9\rX", b"C: 1"], False),
        ([b"A: 1", b"B: 9\n", b"C: 1"], False),
        ([b"A: 1", b"C: 1"], False),
    ),
)
def test_a_seam_takes_another_value_of_its_line_and_nothing_else(third, renewed):
    head, seam = seam_of([b"A: 1", b"B: 1", b"C: 1"], [b"A: 1", b"B: 2", b"C: 1"])
    assert seam.renew(head, block_of(third)) is renewed


def test_what_is_before_and_behind_a_seam_does_not_overlap():
    head, seam = seam_of([b"A: 1", b"A: 2"], [b"A: 3", b"A: 2"])
    assert not seam.renew(head, block_of([b"A: 2"]))


def test_a_seam_holds_for_one_way_across():
    head, seam = seam_of([b"A: 1"], [b"A: 2"])
    head.cross_for = ("somewhere", b"")
    head.cross_for = ("somewhere", b"/other")
    assert not seam.renew(head, block_of([b"A: 3"]))


@pytest.mark.parametrize(
    ("first", "second"),
    (
        ([b"A: 1", b"B: 1"], [b"A: 2", b"B: 2"]),
        ([b"A: 1"], [b"A: 1"]),
        ([b"A: 1", b"A: 2"], [b"A: 2", b"A: 2"]),
    ),
)
def test_where_no_line_alone_changed_there_is_no_seam(first, second):
    assert seam_of(first, second)[1] is None
