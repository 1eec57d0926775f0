"""A field of a form, found while it streams in."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hestia.rules.multipart_search import LONGEST_VALUE, MOST_PARTS, MultipartSearch, boundary_of

QUIETLY = settings(deadline=None, suppress_health_check=list(HealthCheck))  # a busy machine is no mistake

B = b"sep"


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b'--sep\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--sep--\r\n"


def searched(text: bytes, cuts: list[int] | None = None) -> MultipartSearch:
    search = MultipartSearch(B, "model")
    at = 0
    for cut in [*sorted(cuts or []), len(text)]:
        if search.feed(text[at:cut]):
            return search
        at = cut
    search.end()
    return search


FILE = part(b"file", b'\r\n--se\x00--sep"model"\r\n--sepx\r\n' * 50, b'; filename="a; name=\\"model\\".wav"\r\nContent-Type: audio/wav')
WHISPER = form(FILE, part(b"language", b"de"), part(b"model", b"whisper-1"), part(b"model", b"other"))


@QUIETLY
@given(st.lists(st.integers(0, len(WHISPER)), max_size=8))
def test_the_field_is_found_behind_a_file_wherever_the_form_is_cut(cuts):
    assert searched(WHISPER, cuts).value == "whisper-1"


def test_the_field_is_found_byte_by_byte():
    assert searched(WHISPER, list(range(len(WHISPER)))).value == "whisper-1"


def test_it_is_done_before_the_file_comes():
    search = MultipartSearch(B, "model")
    assert search.feed(part(b"model", b"whisper-1") + b"--sep")
    assert search.value == "whisper-1"


@pytest.mark.parametrize("cuts", [[], list(range(300))])
def test_an_empty_field_is_empty(cuts):
    assert searched(form(part(b"model", b"")), cuts).value == ""


def test_a_file_of_that_name_is_no_field():
    assert searched(form(part(b"model", b"x", b'; filename="m.bin"'))).value is None


def test_a_field_without_quotes_counts_too():
    text = b"--sep\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=model\r\n\r\na\r\n--sep--"
    assert searched(text).value == "a"


def test_a_part_without_a_head_is_passed_over():
    assert searched(b"--sep\r\n\r\nx\r\n" + form(part(b"model", b"a"))).value == "a"


def test_text_before_the_first_boundary_is_passed_over():
    assert searched(b"hello\r\n" + form(part(b"model", b"a"))).value == "a"


def test_a_value_beyond_all_measure_is_none():
    search = searched(form(part(b"model", b"a" * 2 * LONGEST_VALUE)), [100, LONGEST_VALUE + 500])
    assert search.value is None


def test_a_form_of_nothing_but_parts_is_given_up():
    search = MultipartSearch(B, "model")
    assert search.feed(part(b"x", b"") * (MOST_PARTS + 1))
    assert search.value is None


@QUIETLY
@given(st.binary(max_size=100))
def test_whatever_comes_it_does_not_fail(text):
    assert searched(b"--sep\r\n" + text).done


@pytest.mark.parametrize(
    ("said", "boundary"),
    [
        (b"multipart/form-data; boundary=sep", b"sep"),
        (b'Multipart/Form-Data; charset=utf-8; boundary="a b;c\\"d"', b'a b;c"d'),
        (b"multipart/form-data", None),
        (b"multipart/mixed; boundary=sep", None),
        (b"application/json", None),
        (b"", None),
    ],
)
def test_the_boundary_is_read_from_the_content_type(said, boundary):
    assert boundary_of(said) == boundary
