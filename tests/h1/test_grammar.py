"""Each rule of the grammar alone: what it takes, what it does not, and that it takes no longer than its input."""

import time

import pytest

from hestia.h1 import grammar
from hestia.h1.grammar import forbidden_in_trailers, values


@pytest.mark.parametrize(
    "line",
    (
        b"GET / HTTP/1.1\r\n",
        b"M-SEARCH * HTTP/1.0\r\n",
        b"!#$%&'*+-.^_`|~09azAZ /x HTTP/1.1\r\n",
        b"A" * 32 + b" /" + b"x" * 60_000 + b" HTTP/1.1\r\n",
    ),
)
def test_a_request_line_is_three_words_and_its_beginnings_may_become_one(line):
    assert grammar.REQUEST_LINE.fullmatch(line)
    for end in range(min(len(line), 80)):
        assert grammar.REQUEST_LINE_BEGUN.fullmatch(line[:end])
        assert grammar.REQUEST_LINE.match(line[:end]) is None


@pytest.mark.parametrize(
    "line",
    (
        b"GET  / HTTP/1.1\r\n", b"GET / HTTP/1.1 \r\n", b" GET / HTTP/1.1\r\n", b"GET\t/ HTTP/1.1\r\n", b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.2\r\n", b"GET / HTTP/2.0\r\n", b"GET / HTTP/1.10\r\n", b"GET / http/1.1\r\n", b"GET /\r\n", b"GET / HTTP/1.1\r\r\n",
        b"G(T / HTTP/1.1\r\n", b"G\xc9T / HTTP/1.1\r\n", b"GET /\xe9 HTTP/1.1\r\n", b"GET /\x00 HTTP/1.1\r\n", b"A" * 33 + b" / HTTP/1.1\r\n",
    ),
)  # fmt: skip
def test_whatever_is_no_request_line_is_known_before_more_comes(line):
    assert grammar.REQUEST_LINE.match(line) is None
    assert grammar.REQUEST_LINE_BEGUN.fullmatch(line) is None


@pytest.mark.parametrize("value", (b"", b" ", b"x", b" x\t", b"caf\xe9", b"a:b", bytes(range(0x20, 0x7F)), bytes(range(0x80, 0x100))))
def test_a_field_takes_every_visible_byte(value):
    assert grammar.FIELDS.fullmatch(b"X-A:" + value + b"\r\n\r\n")


@pytest.mark.parametrize("byte", [b for b in range(0x20) if b != 9] + [0x7F])
def test_a_field_takes_no_control_byte(byte):
    assert grammar.FIELDS.fullmatch(b"X-A: a" + bytes((byte,)) + b"b\r\n\r\n") is None
    assert grammar.FIELDS.fullmatch(b"X" + bytes((byte,)) + b"A: b\r\n\r\n") is None


@pytest.mark.parametrize("byte", [ord(c) for c in '"(),/:;<=>?@[\\]{} \t'] + list(range(0x80, 0x100, 17)))
def test_a_name_is_a_token(byte):
    assert grammar.FIELDS.fullmatch(b"A" + bytes((byte,)) + b"B: x\r\n\r\n") is None or byte == ord(":")


@pytest.mark.parametrize("block", (b"A: 1\n\r\n", b"A: 1\r\n 2\r\n\r\n", b" A: 1\r\n\r\n", b": 1\r\n\r\n", b"A\r\n\r\n", b"A : 1\r\n\r\n", b"A: 1\r\n\n", b"A: 1\r\r\n\r\n"))
def test_a_block_that_two_readers_could_read_differently_is_none(block):
    assert grammar.FIELDS.fullmatch(block) is None


@pytest.mark.parametrize("line", (b"1\r\n", b"0\r\n", b"FfA\r\n", b"000000000000001\r\n", b"1;a\r\n", b"1 ;a=b\r\n", b'1\t;a="b\xe9"\r\n'))
def test_a_chunk_line_and_its_beginnings(line):
    assert grammar.CHUNK_LINE.fullmatch(line)
    for end in range(len(line)):
        assert grammar.CHUNK_LINE_BEGUN.fullmatch(line[:end])


@pytest.mark.parametrize("line", (b"\r\n", b"x\r\n", b"0x1\r\n", b"+1\r\n", b"-1\r\n", b" 1\r\n", b"1\n", b"1\rx", b"1;\nx", b"1;a\x00", b"1" * 16 + b"\r\n", b"1,2\r\n", b"1_0\r\n"))
def test_no_chunk_line(line):
    assert grammar.CHUNK_LINE.match(line) is None
    assert grammar.CHUNK_LINE_BEGUN.fullmatch(line) is None


@pytest.mark.parametrize("text", (b"a\nb", b"a\r\n\nb", b"a\rb", b"\n", b"a\r\rb"))
def test_a_line_end_that_is_not_cr_lf_is_found(text):
    assert grammar.LONE_LINE_END.search(text)


@pytest.mark.parametrize("text", (b"", b"a\r\nb", b"a\r\n\r\n", b"a\r"))
def test_a_line_end_or_the_beginning_of_one_is_in_order(text):
    assert grammar.LONE_LINE_END.search(text) is None


@pytest.mark.parametrize("text", (b"", b"+1", b"-1", b"1 ", b" 1", b"1,1", b"0x1", b"1_0", b"1.0", b"\xb2", b"\xd9\xa1", b"9" * 19))
def test_a_length_is_digits_and_below_2_to_the_63(text):
    assert grammar.LENGTH.fullmatch(text) is None


def test_members_of_a_list_lose_case_space_and_empty_ones():
    assert values(b" Close ,\tUPGRADE,, x") == {b"close", b"upgrade", b"x"}


@pytest.mark.parametrize("name", (b"content-length", b"transfer-encoding", b"host", b"authorization", b"cookie", b"x-forwarded-for", b"x-forwarded-anything", b"x-request-id", b"x_request_id", b"trailer", b"connection", b"forwarded", b"cdn-loop", b"x-api-key"))
def test_a_field_that_acts_before_the_body_is_no_trailer(name):
    assert forbidden_in_trailers(name)


@pytest.mark.parametrize("name", (b"x-sum", b"grpc-status", b"etag", b"server-timing", b"digest"))
def test_other_fields_may_be_trailers(name):
    assert not forbidden_in_trailers(name)


@pytest.mark.parametrize("size", (64_000, 1_000_000))
def test_no_expression_backtracks(size):
    begin = time.process_time()
    for rule, text in (
        (grammar.FIELDS, b"A: " + b"a" * size + b"\x00"),
        (grammar.FIELDS, b"A:1\r\n" * (size // 5) + b"\x00"),
        (grammar.FIELD_BEGUN, b"A:" + b" " * size + b"\x00"),
        (grammar.CHUNK_LINE, b"1" + b" " * size + b"\x00"),
        (grammar.CHUNK_LINE, b"1;" + b"a" * size + b"\x00"),
        (grammar.REQUEST_LINE, b"GET /" + b"a" * size + b"\x00"),
        (grammar.REQUEST_LINE_BEGUN, b"GET /" + b"a" * size + b" X"),
        (grammar.STATUS_LINE, b"HTTP/1.1 200 " + b"a" * size + b"\x00"),
    ):
        assert rule.fullmatch(text) is None
    assert time.process_time() - begin < 1
