"""The dispatcher's body read into a request. What the relay makes of it: tests/doors/test_dispatching.py."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hestia.rules.dispatch import read_dispatch
from hestia.words.refusal import Refusal

QUIETLY = settings(deadline=None, suppress_health_check=list(HealthCheck))  # a busy machine is no mistake

NEVER = frozenset({"connection", "content-length"})


def read(**fields: object):
    return read_dispatch(json.dumps({"method": "GET", "path": "/", **fields}).encode(), NEVER)


def test_what_is_asked_for_is_read():
    asked = read(service="a", method="post", path="/p", query="?x=1", headers={"Host": " h ", "X-A": "b"}, body={"n": 1.0}, timeout="2m")
    assert asked.service == "a"
    assert (asked.method, asked.target, asked.host) == (b"POST", b"/p?x=1", b"h")
    assert asked.block == b"X-A: b\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"
    assert (asked.body, asked.timeout) == (b'{"n": 1.0}', 120.0)


def test_json_goes_on_as_it_came():
    raw = b'{"method": "PUT", "path": "/", "body":  [1.10 , 1e400, "\\u00fc"] }'
    assert read_dispatch(raw, NEVER).body == b'[1.10 , 1e400, "\\u00fc"]'


def test_little_is_enough():
    asked = read()
    assert (asked.service, asked.host, asked.block, asked.body, asked.timeout) == (None, b"", b"\r\n", b"", None)


@pytest.mark.parametrize(
    ("query", "target"),
    [({"a": ["x", "y"], "b": True, "c": None, "d": "ü &"}, b"/?a=x&a=y&b=true&d=%C3%BC+%26"), ("", b"/"), ({}, b"/"), (None, b"/")],
)
def test_a_query_is_text_or_an_object(query, target):
    assert read(query=query).target == target


@pytest.mark.parametrize(("timeout", "seconds"), [(1.5, 1.5), ("250ms", 0.25), (3, 3.0), (None, None)])
def test_a_timeout_is_a_duration(timeout, seconds):
    assert read(timeout=timeout).timeout == seconds


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headers": {"Connection": "x"}}, "is Hestia's to write"),
        ({"headers": {"a": "\r"}}, "malformed"),
        ({"headers": {f"a{n}": "" for n in range(300)}}, "more than 256"),
        ({"body": 1, "body_text": ""}, "exclude each other"),
        ({"body_text": "\ud800"}, "it is no JSON"),
        ({"body_base64": "a"}, "`body_base64` is malformed"),
        ({"path": "//x"}, "begins with one `/`"),
        ({"service": ["a"]}, "Expected `str | null`"),
        ({"extra": 1}, "unknown field"),
        ({"timeout": True}, "timeout"),
    ],
)
def test_what_may_not_be_said_is_told(fields, words):
    with pytest.raises(Refusal) as told:
        read(**fields)
    assert told.value.code == "bad_request"
    assert words in told.value.detail


@QUIETLY
@given(st.one_of(st.binary(max_size=60), st.dictionaries(st.sampled_from(["service", "method", "path", "query", "headers", "body", "timeout"]), st.one_of(st.text(max_size=9), st.floats(), st.none(), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))).map(lambda said: json.dumps(said).encode())))  # fmt: skip
def test_whatever_comes_it_is_a_request_or_a_refusal(data):
    with suppress(Refusal):
        asked = read_dispatch(data, NEVER)
        assert asked.target.startswith(b"/")
        assert b"\r" not in asked.target + asked.method + asked.host
        assert asked.block.endswith(b"\r\n")
