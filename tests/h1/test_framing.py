"""Where bodies end: each case fed whole, byte by byte, in halves, and with bytes behind it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.framing import Chunked, Sized, UntilClose, drop_trailer, refuse_trailer
from hestia.h1.grammar import BadMessage

WAYS = {
    "whole": lambda data: [data],
    "bytes": lambda data: [data[i : i + 1] for i in range(len(data))],
    "halves": lambda data: [data[: len(data) // 2], data[len(data) // 2 :]],
    "threes": lambda data: [data[i : i + 3] for i in range(0, len(data), 3)],
}
way = pytest.mark.parametrize("way", tuple(WAYS))
tail = pytest.mark.parametrize("tail", (b"", b"GET / HTTP/1.1\r\n"))


def fed(body, data, way):
    """(what is passed on, what lies behind the end or None)."""
    out, rest = b"", None
    for piece in WAYS[way](data):
        if rest is not None:
            rest += piece
            continue
        passed, rest = body.feed(piece)
        out += passed
    return out, rest


@way
@tail
def test_a_sized_body_ends_with_its_last_byte(way, tail):
    assert fed(Sized(10), b"0123456789" + tail, way) == (b"0123456789", tail)


@way
def test_a_sized_body_that_is_not_whole_has_no_end(way):
    assert fed(Sized(10), b"012345678", way) == (b"012345678", None)


GOOD = (
    (b"0\r\n\r\n", b"0\r\n\r\n", b""),
    (b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
    (b"00A\r\n0123456789\r\n000\r\n\r\n", None, b"0123456789"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    (b'1;a=b;c="d"\r\nx\r\n2 ;y\r\nyz\r\n0;e\r\n\r\n', b"1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n", b"xyz"),
    (b"1\r\nx\r\n0\r\nX-Sum: 7\r\nY:\r\n\r\n", b"1\r\nx\r\n0\r\nX-Sum: 7\r\nY:\r\n\r\n", b"x"),
)


@way
@tail
@pytest.mark.parametrize(("data", "passed", "content"), GOOD)
def test_a_chunked_body_passes_as_it_came_without_extensions(data, passed, content, way, tail):
    out, rest = fed(Chunked(refuse_trailer), data + tail, way)
    assert rest == tail
    if passed is not None:
        assert out == passed


@way
@tail
@pytest.mark.parametrize(("data", "passed", "content"), GOOD)
def test_a_chunked_body_decoded_is_its_content(data, passed, content, way, tail):
    assert fed(Chunked(refuse_trailer, decode=True), data + tail, way) == (content, tail)


@way
@pytest.mark.parametrize(("data", "passed", "content"), GOOD)
def test_a_chunked_body_without_its_last_byte_has_no_end(data, passed, content, way):
    assert fed(Chunked(refuse_trailer), data[:-1], way)[1] is None


BAD = (
    b"zz\r\n", b"\r\n", b"-1\r\nx\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b" 1\r\nx\r\n", b"1\nx\r\n", b"1\rx\r\n", b"ffffffffffffffff\r\n", b"1\r\nxx", b"1\r\nx\n",
    b"1\r\nx\rx", b"1;\n", b"1;a\x00\r\n", b"1;" + b"a" * 5000 + b"\r\n", b"1;" + b"a" * 5000, b"0" * 20 + b"\r\n", b"0\n", b"0\r\nA : 1\r\n\r\n", b"0\r\nA: 1\n", b"0\r\n B: 1\r\n",
    b"0\r\nA: 1\r\n 2\r\n\r\n", b"0\r\nA: \x00", b"0\r\nA: 1\r\n\n", b"0\r\nA\r\n\r\n", b"0\r\n" + b"A: 1\r\n" * 129 + b"\r\n", b"0\r\nA: " + b"a" * 20_000, b"0\r\nHost: x\r\n\r\n",
)  # fmt: skip


@way
@pytest.mark.parametrize("data", BAD)
def test_a_bad_chunk_is_refused_as_soon_as_it_is_seen(data, way):
    with pytest.raises(BadMessage):
        fed(Chunked(refuse_trailer), data, way)


@way
def test_what_stands_before_a_bad_chunk_was_passed_on_but_nothing_of_it(way):
    body, out = Chunked(refuse_trailer), b""
    with pytest.raises(BadMessage):
        for piece in WAYS[way](b"3\r\nabc\r\nzz\r\n"):
            out += body.feed(piece)[0]
    assert b"3\r\nabc\r\n".startswith(out)


@way
def test_an_upstreams_misleading_trailers_are_left_out(way):
    data = b"0\r\nHost: x\r\nX-Sum: 7\r\ncontent-length: 3\r\nx_request_id: 1\r\n\r\n"
    assert fed(Chunked(drop_trailer), data, way) == (b"0\r\nX-Sum: 7\r\n\r\n", b"")


def test_a_long_piece_of_one_chunk_is_not_copied():
    body = Chunked(refuse_trailer)
    body.feed(b"fffff\r\n")
    piece = b"x" * 4096
    assert body.feed(piece)[0] is piece


def test_a_body_until_close_is_framed_for_who_can_read_it():
    body = UntilClose(chunks=True)
    assert body.feed(b"abc") == (b"3\r\nabc\r\n", None)
    assert body.last() == b"0\r\n\r\n"
    plain = UntilClose(chunks=False)
    assert plain.feed(b"abc") == (b"abc", None)
    assert plain.last() == b""


CHUNKS = st.sampled_from((b"1\r\na\r\n", b"02\r\nbc\r\n", b"3\r\n\r\n1\r\n", b"1;x=1\r\nd\r\n", b"0\r\n\r\n", b"0\r\nA: 1\r\n\r\n", b"1\r\nab\r\n", b"1\r\ne\n", b"g\r\n", b"+1\r\na\r\n", b"2\r\n", b"\r\n", b"f"))


def outcome(pieces):
    """(what passed, what lies behind the end), or that it is malformed."""
    body, out, rest = Chunked(refuse_trailer), b"", None
    try:
        for piece in pieces:
            if rest is not None:
                rest += piece
            else:
                passed, rest = body.feed(piece)
                out += passed
    except BadMessage:
        return "malformed"
    return out, rest


@given(st.lists(CHUNKS, max_size=6).map(b"".join), st.lists(st.integers(1, 40), max_size=5))
def test_how_chunks_are_cut_changes_nothing(data, cuts):
    """Whole chunks of one read take a shorter way than those that come in pieces."""
    edges = [0, *sorted(cut for cut in set(cuts) if cut < len(data)), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    in_bytes = outcome(data[at : at + 1] for at in range(len(data)))
    assert outcome(pieces) == in_bytes
    assert outcome([data] if data else []) == in_bytes
