from time import monotonic
from types import SimpleNamespace

import pytest

from hestia.doors.login import Login
from hestia.doors.reception import (
    answer_preflight,
    believe,
    judge,
    receive_head,
    receive_target,
    redirect,
    refuse,
    stand,
    turned_away,
)
from hestia.doors.session import Sessions
from hestia.h1.grammar import BadMessage
from hestia.h1.request import read_request_head
from hestia.rules.admission import Guard
from hestia.rules.keys import Key, KeyRing, digest_of
from hestia.rules.routing import NOT_FOUND, OWN, REDIRECT, SERVICE, UNKNOWN, Choice
from hestia.rules.trust import Trust
from hestia.words.refusal import Refusal
from hestia.words.spec import Auth


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


# --- who may do what: the words of the answers (what is refused stands in tests/rules/test_admission.py)


def keeper(**auth):
    """A front of a gateway with these `auth` keys, with what it logged."""
    ring = KeyRing([Key("me", digest_of("k-me"), frozenset({"*"})), Key("some", digest_of("k-some"), frozenset({"a"}))])
    one = front()
    one.shared.guard = Guard(Auth(required=True, **auth), ring, admin_apart=False)
    one.shared.sessions = Sessions("ab12")
    one.events = []
    log = SimpleNamespace(event=lambda name, level="info", **fields: one.events.append((name, level, fields)))
    one.shared.server = SimpleNamespace(log=log)
    return one


def received(one, *lines):
    block = b"\r\n".join([b"Host: box", *lines, b"", b""])
    head = receive_head(block, b"1", one)
    return head, stand(head, block, one)


def test_a_key_is_taken_out_and_told_by_its_name_alone():
    one = keeper()
    head, standing = received(one, b"X-API-Key: k-me", b"Authorization: Basic dGhlaXJz", b"X-Api-Keys: kept")
    assert standing.key.name == "me"
    assert head.fields == [b"Authorization: Basic dGhlaXJz", b"X-Api-Keys: kept"]
    assert one.events == [("auth.accepted", "debug", {"how": "key", "who": "me", "client": "10.0.0.1"})]


def test_a_standing_holds_until_keys_or_its_session_change():
    one = keeper()
    token = one.shared.sessions.begin("admin", b"")
    _, keyed = received(one, b"X-API-Key: k-me")
    _, seated = received(one, b"Cookie: hestia_session_ab12=" + token.encode())
    guard = one.shared.guard
    assert keyed.holds(guard, monotonic())
    assert seated.holds(guard, monotonic())
    one.shared.sessions.end([token.encode()])
    assert not seated.holds(guard, monotonic())
    assert not keyed.holds(guard.with_ring(guard.ring), monotonic())


def test_lists_name_only_what_a_key_opens():
    one = keeper()
    assert received(one, b"X-API-Key: k-some")[1].opens("a")
    assert not received(one, b"X-API-Key: k-some")[1].opens("b")
    assert received(one, b"X-API-Key: k-me")[1].opens("b")


def test_a_service_that_is_chosen_later_may_lie_outside_the_key():
    one = keeper()
    guard = one.shared.guard
    assert guard.chosen(received(one, b"X-API-Key: k-some")[1], "a") is None
    assert guard.chosen(received(one, b"X-API-Key: k-some")[1], "b").code == "forbidden"
    assert guard.chosen(received(one, b"X-API-Key: k-me")[1], "b") is None


def judged(one, head, standing, method=b"GET", kind=SERVICE):
    choice = Choice(kind, SimpleNamespace(id="b") if kind == SERVICE else None, b"", b"/x", "")
    return judge(one, head, standing, method, b"/x", choice)


@pytest.mark.parametrize(
    ("lines", "method", "words"),
    [
        ((), b"GET", ["Authorization: Bearer KEY", "X-API-Key", "/__login"]),
        ((b"X-API-Key: k-some",), b"GET", ["'some'", "'b'", "services"]),
        ((b"Cookie: %S", b"Origin: https://evil.example"), b"POST", ["evil.example", "auth.allowed_origins"]),
        ((b"Cookie: %S", b"Origin: null"), b"POST", ["'null'", "send a key"]),
        ((b"Cookie: %S", b"Sec-Fetch-Site: cross-site"), b"POST", ["another site", "send a key"]),
        ((b"Origin: https://x.example", b"Access-Control-Request-Method: PUT"), b"OPTIONS", ["x.example", "auth.cors_origins"]),
    ],
)
def test_a_refusal_says_what_to_add(lines, method, words):
    one = keeper()
    cookie = b"hestia_session_ab12=" + one.shared.sessions.begin("admin", b"").encode()
    head, standing = received(one, *(line.replace(b"%S", cookie) for line in lines))
    verdict = judged(one, head, standing, method)
    detail = (verdict.refusal or verdict.cold).detail
    assert [word for word in words if word not in detail] == []


def test_what_wakes_nothing_says_so_and_what_to_add():
    one = keeper()
    cookie = b"Cookie: hestia_session_ab12=" + one.shared.sessions.begin("admin", b"").encode()
    head, standing = received(one, cookie, b"Origin: https://evil.example")
    verdict = judged(one, head, standing)
    assert (verdict.refusal, verdict.wakes, verdict.cold.code) == (None, False, "cold")
    assert "auth.allowed_origins" in verdict.cold.detail


def test_known_and_unknown_services_look_the_same_to_nobody():
    one = keeper()
    head, standing = received(one)
    answers = {
        refuse(judged(one, head, standing, kind=kind).refusal, head, b"GET", b"id", frozenset(), service=None, keep=True)
        for kind in (SERVICE, UNKNOWN, NOT_FOUND, REDIRECT, OWN)
    }
    assert len(answers) == 1
    assert b"\r\nWWW-Authenticate: Bearer\r\n" in answers.pop()


def test_a_navigation_gets_the_login_page_that_leads_back():
    one = keeper()
    head, standing = received(one, b"Accept: text/html")
    login = Login(None, one.shared.sessions, lambda: one.shared.guard.ring, lambda *_, **__: None)
    refusal = judged(one, head, standing).refusal
    for keep in (True, False):
        page = refuse(refusal, head, b"GET", b"id", frozenset(), service=None, keep=keep, target=b"/x?y=<", login=login)
        start, _, body = page.partition(b"\r\n\r\n")
        assert start.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b"\r\nWWW-Authenticate: Bearer\r\n" in start
        assert (b"\r\nConnection: close" in start) is not keep
        assert b"\r\nContent-Length: %d" % len(body) in start
        assert b'value="/x?y=&lt;"' in body
        assert start.count(b"Content-Type:") == start.count(b"Content-Security-Policy:") == 1
    login.close()


def test_what_was_turned_away_is_one_line_without_secrets():
    one = keeper()
    head, standing = received(one, b"X-API-Key: k-some", b"Origin: https://evil.example\t\x85")
    turned_away(one, head, standing, "scope", Refusal("forbidden", "no"), b"r-1", "")
    name, level, fields = one.events[-1]
    assert (name, level) == ("auth.refused", "info")
    assert (fields["rule"], fields["code"], fields["key"], fields["request_id"]) == ("scope", "forbidden", "some", "r-1")
    assert "k-some" not in repr(fields)


@pytest.mark.parametrize(
    ("method", "names", "has", "has_not"),
    [
        (b"PATCH", b"x-a, Authorization", [b"PATCH", b"Allow-Headers: x-a, Authorization\r\n"], [b"*"]),
        (b"FROB", b"x-a", [b", FROB\r\n"], []),
        (b"F:B", b"x-a:b", [b"Allow-Headers: Authorization, X-API-Key, Content-Type\r\n"], [b"F:B"]),
        (b"GET", b"a" * 2000, [b"Allow-Headers: Authorization"], [b"aaaa"]),
    ],
)
def test_a_preflight_is_answered_with_what_it_asks_for(method, names, has, has_not):
    lines = (b"Origin: https://a.example", b"Access-Control-Request-Method: " + method, b"Access-Control-Request-Headers: " + names)
    head, _ = received(keeper(), *lines)
    answer = answer_preflight(head, b"id", keep=True)
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: https://a.example\r\n")
    assert answer.endswith(b"\r\nX-Request-ID: id\r\n\r\n")
    assert b"\r\nVary: Origin" in answer
    assert b"Credentials" not in answer
    assert [each for each in has if each not in answer] + [each for each in has_not if each in answer] == []
    assert b"\r\nConnection: close\r\n\r\n" in answer_preflight(head, b"id", keep=False)
