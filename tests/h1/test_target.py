"""Targets are checked and never changed."""

import itertools

import pytest

from hestia.h1.grammar import BadMessage
from hestia.h1.target import check_target


@pytest.mark.parametrize(
    "target",
    (
        b"/", b"/x?", b"/x??", b"/%2F%252F%2f%7e+%20", b"//evil.example/x", b"/;a=b", b"/x?%zz&%00&/../", b"/.well-known/x", b"/...", b"/..x/x..",
        b"/.x", b"/x.", b"/x./y", b"/%0d%0a", b"/\\x", b"/%5cx", b"/a;b/..c", b"/|{}^`'\"<>[]", b"/services/a/:@!$&'()*,=",
    ),
)  # fmt: skip
def test_a_good_target_comes_out_as_it_went_in(target):
    assert check_target(target, b"GET") == (target, None)


@pytest.mark.parametrize(
    "target",
    (
        b"", b"x", b"*", b"localhost:80", b"?x", b"/%", b"/%4", b"/%zz", b"/%4?1", b"/%00", b"/a%00b", b"/#", b"/x#y", b"/x#?y", b"/x?y\x80", b"/\xe9", b"/x?\xe9",
        b"/\x00", b"/\x7f", b"/ ", b"/x?\t", b"ftp://h/x", b"http:/x", b"http://h/\xe9", b"http://h/../x",
    ),
)  # fmt: skip
def test_a_bad_target_is_refused(target):
    with pytest.raises(BadMessage):
        check_target(target, b"GET")


DOTS = (b".", b"..", b"%2e", b"%2E", b"%2e%2e", b".%2e", b"%2E.")
BEFORE = (b"/", b"/a/", b"/a%2f", b"/a%2F", b"/a\\", b"/a%5C")
AFTER = (b"", b"/", b"/b", b"%2f", b"%2Fb", b"\\b", b"%5cb", b";x", b"?q")


@pytest.mark.parametrize(("before", "dots", "after"), tuple(itertools.product(BEFORE, DOTS, AFTER)))
def test_a_dot_segment_is_refused_however_it_is_written(before, dots, after):
    with pytest.raises(BadMessage):
        check_target(before + dots + after, b"GET")


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    (
        (b"http://h/x?y", b"/x?y", b"h"),
        (b"HTTP://h:80", b"/", b"h:80"),
        (b"https://[::1]:8/x", b"/x", b"[::1]:8"),
        (b"http://h?x", b"/?x", b"h"),
        (b"http:///x", b"/x", b""),
        (b"http://user@h/x", b"/x", b"user@h"),
    ),
)
def test_an_absolute_form_is_taken_apart(target, path, authority):
    assert check_target(target, b"GET") == (path, authority)


def test_a_star_is_for_options_alone():
    assert check_target(b"*", b"OPTIONS") == (b"*", None)
