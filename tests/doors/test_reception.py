from types import SimpleNamespace

import pytest

from hestia.doors.reception import believe, receive_head, receive_target, redirect, refuse
from hestia.h1.grammar import BadMessage
from hestia.h1.request import read_request_head
from hestia.rules.trust import Trust
from hestia.words.refusal import Refusal


def front(*, trusted=False, allowed=True):
    gate = SimpleNamespace(host_allowed=lambda _: allowed, host_detail=lambda name: f"no {name.decode()}")
    shared = SimpleNamespace(gate=gate, trust=Trust(("10.0.0.0/8",)), loop_tag=b"hestia-1")
    return SimpleNamespace(scheme=b"http", peer="10.0.0.1", trusted=trusted, shared=shared, head=None)


def test_a_head_is_known_by_the_name_in_its_host():
    head = receive_head(b"Host: Box.lan:8080\r\n\r\n", b"1", front())
    assert (head.name, head.own_host, head.own_scheme, head.client) == (b"box.lan", b"Box.lan:8080", b"http", "10.0.0.1")


def test_only_http_1_0_may_leave_the_host_out():
    assert receive_head(b"\r\n", b"0", front()).name == b""
    with pytest.raises(BadMessage, match="no Host"):
        receive_head(b"\r\n", b"1", front())


def test_a_malformed_host_is_no_message_and_a_foreign_one_is_refused():
    with pytest.raises(BadMessage):
        receive_head(b"Host: a b\r\n\r\n", b"1", front())
    with pytest.raises(Refusal) as refused:
        receive_head(b"Host: evil.example\r\n\r\n", b"1", front(allowed=False))
    assert (refused.value.code, refused.value.detail) == ("host_not_allowed", "no evil.example")


def test_a_request_that_was_here_before_is_a_loop():
    with pytest.raises(Refusal) as refused:
        receive_head(b"Host: a\r\nCDN-Loop: x, HESTIA-1\r\n\r\n", b"1", front())
    assert refused.value.status == 508


def test_a_trusted_peer_speaks_for_its_client():
    lines = b"Host: inner\r\nX-Forwarded-Host: outer\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 9.9.9.9, 10.0.0.2\r\n\r\n"
    head = receive_head(lines, b"1", front(trusted=True))
    assert (head.own_host, head.own_scheme, head.client, head.name) == (b"outer", b"https", "9.9.9.9", b"outer")
    head = receive_head(lines, b"1", front())
    assert (head.own_host, head.own_scheme, head.client, head.name) == (b"inner", b"http", "10.0.0.1", b"inner")


def test_of_a_chain_of_trusted_proxies_the_first_stranger_is_the_client():
    head = read_request_head(b"Host: a\r\nX-Forwarded-For: 1.1.1.1, 9.9.9.9, 10.0.0.2\r\n\r\n", b"1")
    believe(head, Trust(("10.0.0.0/8",)))
    assert head.client == "9.9.9.9"


def test_a_target_of_another_authority_than_the_host_is_refused():
    head = read_request_head(b"Host: a:1\r\n\r\n", b"1")
    assert receive_target(b"GET", b"http://A:1/x?y", head) == b"/x?y"
    with pytest.raises(BadMessage):
        receive_target(b"GET", b"http://b/x", head)


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_methods_that_are_never_relayed_are_405(method):
    with pytest.raises(Refusal) as refused:
        receive_target(method, b"/", read_request_head(b"Host: a\r\n\r\n", b"1"))
    assert refused.value.code == "method_not_allowed"


def test_a_navigation_gets_a_page_and_a_program_gets_json():
    refusal = Refusal("not_found", "nothing here")
    page = read_request_head(b"Host: a\r\nAccept: text/html\r\n\r\n", b"1")
    program = read_request_head(b"Host: a\r\nAccept: */*\r\n\r\n", b"1")
    assert b"text/html" in refuse(refusal, page, b"GET", b"id", frozenset(), service=None, keep=True)
    assert b"problem+json" in refuse(refusal, program, b"GET", b"id", frozenset(), service=None, keep=True)


def test_a_redirect_keeps_the_connection_where_that_is_possible():
    head = read_request_head(b"Host: a\r\n\r\n", b"1")
    assert b"\r\nLocation: /services/a/?q\r\n" in redirect(b"/services/a/?q", head, b"id", keep=True)
    assert b"Connection" not in redirect(b"/x", head, b"id", keep=True)
    assert b"Connection: close" in redirect(b"/x", head, b"id", keep=False)
