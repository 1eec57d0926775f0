"""Who may do what, end to end: over sockets, with an upstream that shows what reached it."""

import json
import re

from hestia.rules.keys import Key, digest_of
from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import Upstream

AUTH = {
    "api_keys": [{"name": "star", "key": "k-star"}, {"name": "some", "key": "k-some", "services": ["a"]}],
    "dashboard": {"password": "pw"},
    "cors_origins": ["https://chat.example"],
}
STAR = b"Authorization: Bearer k-star"
NAVIGATION = (b"Accept: text/html", b"Sec-Fetch-Mode: navigate")
PREFLIGHT = (b"Origin: https://chat.example", b"Access-Control-Request-Method: POST")
FORM = b"Content-Type: application/x-www-form-urlencoded"


def services(upstream, **keys):
    """`a` is there whenever it is asked for, `gone` is cold for ever."""
    there = {"base_url": upstream.base_url}
    return {"a": {**there, **keys}, "b": there, "gone": {"base_url": "http://127.0.0.1:1"}}


def asked(upstream):
    """What clients sent; probes are nobody's."""
    return [seen for seen in upstream.requests() if seen.get(b"user-agent") != b"hestia-probe"]


def form(*lines, body):
    return post(FORM, b"Content-Length: %d" % len(body), *lines, target=b"/__login", body=body)


async def log_in(gateway, *lines, index=0):
    """The `Cookie` line of a browser that has logged in."""
    answer = await gateway.ask(form(*lines, body=b"username=admin&password=pw&next=/x"), index)
    assert (answer.status, answer.get(b"location")) == (303, b"/x")
    return b"Cookie: theme=dark; " + answer.get(b"set-cookie").partition(b";")[0]


async def test_without_a_key_nothing_reaches_an_upstream_and_nothing_is_learnt():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        bodies = set()
        for target in (b"/services/a/x", b"/services/nope/x", b"/nope", b"/v1/services", b"/services/a", b"/"):
            answer = await gateway.ask(req(b"X-Request-ID: same", target=target))
            assert (answer.status, answer.get(b"www-authenticate")) == (401, b"Bearer")
            bodies.add(answer.body)
        assert len(bodies) == 1
        assert asked(upstream) == []
        assert (await gateway.ask(req(target=b"/__health"))).status == 200
        assert len([event for event in gateway.events if event["event"] == "auth.refused"]) == 6


async def test_a_key_opens_and_is_not_relayed():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        client = await gateway.dial()
        for line in (STAR, STAR, b"X-API-Key: k-star", STAR):
            await client.send(req(line, b"X-Theirs: 1"))
            assert (await client.answer()).status == 200
        assert b"k-star" not in b"".join(bytes(wire.received) for wire in upstream.wires)
        assert len(asked(upstream)) == 4
        assert json.loads((await gateway.ask(req(STAR, target=b"/v1/services"))).body)["services"]


async def test_the_other_header_passes():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        await gateway.ask(req(b"Authorization: Basic dGhlaXJz", b"X-API-Key: k-star"))
        seen = asked(upstream)[0]
        assert (seen.get(b"authorization"), seen.get(b"x-api-key")) == (b"Basic dGhlaXJz", None)


async def test_a_key_for_services_opens_those():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        some = b"X-API-Key: k-some"
        assert [(await gateway.ask(req(some, target=each))).status for each in (b"/services/a/", b"/services/b/", b"/v1/services")] == [200, 403, 403]


async def test_a_key_that_is_revoked_opens_nothing_on_an_open_connection():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        shared = gateway.gateway.shared
        client = await gateway.dial()
        kept = req(b"X-API-Key: k-kept")
        for ring, status in (
            (shared.guard.ring, 401),
            (shared.guard.ring.adding(Key("kept", digest_of("k-kept"), frozenset({"*"}))), 200),
            (shared.guard.ring, 401),
        ):
            shared.guard = shared.guard.with_ring(ring)
            await client.send(kept)
            assert (await client.answer()).status == status


async def test_a_browser_logs_in_works_and_logs_out():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        page = await gateway.ask(req(*NAVIGATION, target=b"/services/a/?x=%2F&y"))
        assert (page.status, page.get(b"content-type")) == (401, b"text/html; charset=utf-8")
        assert re.search(rb'name="next" value="([^"]*)"', page.body)[1] == b"/services/a/?x=%2F&amp;y"
        cookie = await log_in(gateway, b"Origin: http://localhost")
        client = await gateway.dial()
        for _ in range(2):
            await client.send(req(cookie))
            assert (await client.answer()).status == 200
        assert asked(upstream)[0].get(b"cookie") == b"theme=dark"
        assert (await gateway.ask(req(cookie, target=b"/metrics"))).status == 200
        assert (await gateway.ask(post(cookie, target=b"/__logout"))).status == 303
        await client.send(req(cookie))
        assert (await client.answer()).status == 401
        assert len(asked(upstream)) == 2


async def test_a_browsers_page_from_elsewhere_changes_nothing():
    async with Upstream() as upstream, running(services(upstream), hot=False, auth=AUTH) as gateway:
        cookie = await log_in(gateway)
        evil = b"Origin: https://evil.example"
        refused = await gateway.ask(post(cookie, evil))
        assert refused.status == 403
        assert b"auth.allowed_origins" in refused.body
        upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
        assert (await gateway.ask(req(cookie, evil, *upgrade))).status == 403
        assert (await gateway.ask(form(evil, body=b"username=admin&password=pw"))).status == 403
        cold = await gateway.ask(req(cookie, evil, target=b"/services/gone/x"))
        assert (cold.status, json.loads(cold.body)["code"]) == (503, "cold")
        assert asked(upstream) == []


async def test_off_a_page_from_elsewhere_wakes_nothing_and_uses_what_is_hot():
    async with Upstream() as upstream, running(services(upstream), hot=False) as gateway:
        evil = b"Origin: https://evil.example"
        client = await gateway.dial()
        await client.send(req(evil, target=b"/services/gone/x") + req() + req(evil))
        assert [(await client.answer()).status for _ in range(3)] == [503, 200, 200]
        assert len(asked(upstream)) == 2


async def test_preflights_cold_and_hot():
    async with Upstream() as upstream, running(services(upstream), hot=False, auth=AUTH) as gateway:
        client = await gateway.dial()
        await client.send(req(*PREFLIGHT, method=b"OPTIONS", target=b"/services/gone/x") + req(STAR) + req(*PREFLIGHT, method=b"OPTIONS"))
        cold = await client.answer(b"OPTIONS")
        assert (cold.status, cold.get(b"access-control-allow-origin")) == (204, b"https://chat.example")
        assert (await client.answer()).status == 200
        assert (await client.answer(b"OPTIONS")).status == 200  # the service's own
        other = req(b"Origin: https://evil.example", b"Access-Control-Request-Method: POST", method=b"OPTIONS", target=b"/services/gone/x")
        assert (await gateway.ask(other)).status == 401


async def test_login_is_hestias_on_a_services_own_address_and_host():
    own = {"listen": ["127.0.0.1:0"], "hosts": ["a.home.arpa"]}
    async with Upstream() as upstream, running(services(upstream, **own), auth=AUTH) as gateway:
        cookie = await log_in(gateway, index=1)
        assert (await gateway.ask(req(cookie, target=b"/x"), 1)).status == 200
        page = await gateway.ask(req(target=b"/__login", host=b"Host: a.home.arpa"))
        assert b'name="password"' in page.body
        assert [seen.target for seen in asked(upstream)] == [b"/x"]


async def test_off_the_login_paths_are_the_services():
    async with Upstream() as upstream, running(services(upstream, hosts=["a.home.arpa"])) as gateway:
        answer = await gateway.ask(req(target=b"/__login", host=b"Host: a.home.arpa"))
        assert answer.body == b"GET|/__login||"


async def test_every_host_passes_while_auth_is_on():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        assert (await gateway.ask(req(STAR, host=b"Host: gate.example"))).status == 200


async def test_no_key_no_password_and_no_cookie_is_in_the_log():
    async with Upstream() as upstream, running(services(upstream), auth=AUTH) as gateway:
        cookie = await log_in(gateway)
        for line in (STAR, b"X-API-Key: k-wrong", cookie):
            await gateway.ask(req(line))
        await gateway.ask(form(body=b"username=admin&password=hunter2"))
        text = b"".join(gateway.lines)
        token = cookie.rpartition(b"=")[2]
        assert [word for word in (b"k-star", b"k-wrong", b"hunter2", b'"pw"', token) if word in text] == []
        assert b"auth.accepted" in text
