"""The front door: which lane, which answers of our own, how connections go on and end, on every kind of address."""

import asyncio
import json
import socket

import pytest

from tests.doors.test_choosing import until
from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.tls import CERTIFICATE, KEY, client_side
from tests.support.wire import Upstream, dial, reply, saying, turns

BROWSER = (b"Accept: text/html",)


def service(upstream, **keys):
    return {"a": {"base_url": upstream.base_url, **keys}}


# --- routing to the lanes


async def test_both_lanes_on_one_connection_aiohttp_last():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req() + req(target=b"/__health") + req(target=b"/services/a/never"))
        assert (await client.answer()).body == b"GET|/x||"
        health = await client.answer()
        assert json.loads(health.body)["status"] == "ok"
        assert health.get(b"connection").lower() == b"close"
        await client.until(lambda: client.ended)
        assert client.unread == b""
        assert len(upstream.requests()) == 1


async def test_what_is_remembered_of_a_connections_requests_is_never_the_last_ones():
    """Blocks that differ in a line, targets that repeat, other hosts: each answer is its own request's."""
    async with Upstream() as one, Upstream() as two:
        services = {"a": {"base_url": one.base_url}, "b": {"base_url": two.base_url, "hosts": ["b.lan"]}}
        async with running(services) as gateway:
            client = await gateway.dial()
            asked = [(b"/services/a/x", b"Host: localhost"), (b"/services/b/x", b"Host: localhost"), (b"/services/b/x", b"Host: b.lan"), (b"/services/a/x", b"Host: localhost")]
            for number, (target, host) in enumerate(asked * 2):
                await client.send(req(b"X-Trace: %d" % number, b"X-Same: 1", target=target, host=host))
                at_b = host != b"Host: localhost"
                assert (await client.answer()).body == b"GET|" + (target if at_b else target[11:]) + b"||"
            traces = [[request.get(b"x-trace") for request in upstream.requests()] for upstream in (one, two)]
            assert traces == [[b"0", b"3", b"4", b"7"], [b"1", b"2", b"5", b"6"]]


async def test_a_look_between_a_head_and_its_body_sees_no_client_that_stands_still():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 3"))
        shared = gateway.gateway.shared
        await until(lambda: any(front.exchange is not None for front in shared.fronts))
        shared.sweep.tick()
        await client.send(b"abc")
        assert (await client.answer()).status == 200


async def test_a_request_line_that_comes_again_is_no_other_line():
    """The version and the method are each request's own, whatever the last one's line began with."""
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        keep = b"Connection: keep-alive"
        for version in (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"):
            await client.send(req(keep, version=version))
            assert ((await client.answer()).get(b"connection") == b"keep-alive") is (version == b"HTTP/1.0")
        for target in (b"/services/a/x", b"/services/a/x?q", b"/services/a/xy", b"/services/a/x"):
            await client.send_pieces(bytes((byte,)) for byte in req(target=target))
            assert (await client.answer()).body == b"GET|" + target[11:] + b"||"
        await client.send(req(method=b"PUT"))
        assert (await client.answer()).body.startswith(b"PUT|/x|")
        await client.send(req() + req() + b"GET /services/a/x HTTP/1.1\r\nHost: localhost\nA: 1\r\n\r\n")
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]


async def test_own_pages_survive_being_cut_into_bytes():
    async with running({}) as gateway:
        client = await gateway.dial()
        await client.send_pieces(bytes((byte,)) for byte in req(target=b"/v1/services"))
        assert json.loads((await client.answer()).body) == {"services": []}


async def test_hestias_own_paths_refuse_what_the_grammar_refuses():
    async with running({}) as gateway:
        for raw in (req(target=b"/v1/../v1/services"), req(target=b"/__health", host=None), req(b"A : 1", target=b"/__health"), req(target=b"/__health", host=b"Host: evil.example")):
            assert (await gateway.ask(raw)).status in (400, 421)


async def test_the_root_redirects_a_navigation_and_lists_addresses_to_others():
    async with running({}) as gateway:
        page = await gateway.ask(req(*BROWSER, target=b"/"))
        assert (page.status // 100, page.get(b"location")) == (3, b"/dashboard/")
        listing = await gateway.ask(req(b"Accept: application/json", target=b"/"))
        assert listing.status == 200
        assert isinstance(json.loads(listing.body), dict)


async def test_a_service_without_a_slash_redirects_with_its_query_and_the_connection_stays():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(target=b"/services/a?x=%2F&y"))
        answer = await client.answer()
        assert (answer.status, answer.get(b"location")) == (308, b"/services/a/?x=%2F&y")
        await client.send(req())
        assert (await client.answer()).status == 200


async def test_an_unknown_id_is_a_404_that_names_the_nearest_and_the_connection_stays():
    async with Upstream() as upstream, running({"ollama": {"base_url": upstream.base_url}, "jupyter": {"base_url": "http://127.0.0.1:1"}}) as gateway:
        client = await gateway.dial()
        await client.send(req(target=b"/services/olama/api/tags") + req(target=b"/services/ollama/x"))
        answer = await client.answer()
        problem = json.loads(answer.body)
        assert (answer.status, problem["code"]) == (404, "unknown_service")
        assert "ollama" in problem["detail"]
        assert set(problem) == {"type", "title", "status", "detail", "code", "service", "request_id", "error"}
        assert problem["request_id"].encode() == answer.get(b"x-request-id")
        assert (await client.answer()).body == b"GET|/x||"


async def test_a_path_that_is_nothings_is_a_404():
    async with running({}) as gateway:
        for target in (b"/nothing", b"/v1/chat/completions", b"/services", b"/dashboardx"):
            assert (await gateway.ask(req(target=target))).status == 404


async def test_a_default_service_gets_the_whole_target():
    async with Upstream() as upstream, running(service(upstream), default_service="a") as gateway:
        assert (await gateway.ask(req(target=b"/services/unknown/x?y"))).body == b"GET|/services/unknown/x?y||"
        assert (await gateway.ask(req(target=b"/services/a/x"))).body == b"GET|/x||"


async def test_a_prefix_that_is_not_stripped():
    async with Upstream() as upstream, running(service(upstream, strip_prefix=False)) as gateway:
        assert (await gateway.ask(req())).body == b"GET|/services/a/x||"
        assert upstream.requests()[0].get(b"x-forwarded-prefix") is None


async def test_the_path_of_the_base_url_comes_first():
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url + "/base/"}}) as gateway:
        assert (await gateway.ask(req(target=b"/services/a/x?y"))).body == b"GET|/base/x?y||"
        assert (await gateway.ask(req(target=b"/services/a/"))).body == b"GET|/base/||"


async def test_a_host_name_of_a_service_is_all_its_own():
    async with Upstream() as upstream, running(service(upstream, hosts=["chat.example", "*.apps.example"])) as gateway:
        for host in (b"chat.example", b"CHAT.example:1234", b"x.apps.example"):
            for target in (b"/", b"/__health", b"/services/a/x", b"/v1/services"):
                assert (await gateway.ask(req(target=target, host=b"Host: " + host))).body == b"GET|" + target + b"||"
        assert (await gateway.ask(req(target=b"/", host=b"Host: y.x.apps.example"))).status == 421
        assert upstream.requests()[0].get(b"x-forwarded-prefix") is None


async def test_an_address_of_its_own_is_all_the_services_but_hosts_are_checked():
    async with Upstream() as upstream, running(service(upstream, listen=["127.0.0.1:0"])) as gateway:
        for target in (b"/", b"/__health", b"/services/a/x"):
            assert (await gateway.ask(req(target=target), 1)).body == b"GET|" + target + b"||"
        assert (await gateway.ask(req(host=b"Host: evil.example"), 1)).status == 421
        assert (await gateway.ask(req(target=b"/x", host=None, version=b"HTTP/1.0"), 1)).body == b"GET|/x||"


async def test_with_admin_listen_own_pages_answer_only_there():
    async with Upstream() as upstream, running(service(upstream), admin_listen=["127.0.0.1:0"]) as gateway:
        assert (await gateway.ask(req(target=b"/v1/services"))).status == 404
        assert (await gateway.ask(req(target=b"/__health"))).status == 200
        assert (await gateway.ask(req())).status == 200
        assert (await gateway.ask(req(target=b"/v1/services"), 1)).status == 200
        assert (await gateway.ask(req(target=b"/__health"), 1)).status == 200
        assert (await gateway.ask(req(), 1)).status == 404


async def test_a_unix_socket_is_an_address_whose_peers_are_trusted(tmp_path):
    path = str(tmp_path / "hestia.sock")
    async with Upstream() as upstream, running(service(upstream), listen=["127.0.0.1:0", f"unix:{path}"]):
        client = await dial(path)
        await client.send(req(b"X-Forwarded-For: 10.0.0.7", b"X-Forwarded-Proto: https"))
        assert (await client.answer()).status == 200
        (seen,) = upstream.requests()
        assert (seen.get(b"x-forwarded-for"), seen.get(b"x-forwarded-proto")) == (b"10.0.0.7", b"https")
        client.transport.abort()


async def test_tls_on_every_listener():
    tls = {"certificate": CERTIFICATE, "key": KEY}
    async with Upstream() as upstream, running(service(upstream, listen=["127.0.0.1:0"]), tls=tls, admin_listen=["127.0.0.1:0"]) as gateway:
        for port, target, status in zip(gateway.ports, (b"/services/a/x", b"/__health", b"/x"), (200, 200, 200), strict=True):
            client = await dial(port, tls=client_side())
            await client.send(req(target=target))
            assert (await client.answer()).status == status
            client.transport.abort()
        assert {seen.get(b"x-forwarded-proto") for seen in upstream.requests()} == {b"https"}
        plain = await gateway.dial()
        await plain.send(req())
        await plain.until(lambda: plain.ended)
        assert b"200" not in plain.unread
        assert (await (await _secure(gateway.port, req())).answer()).status == 200


async def _secure(port, raw):
    client = await dial(port, tls=client_side())
    await client.send(raw)
    return client


async def test_a_refusal_and_a_broken_answer_over_tls():
    tls = {"certificate": CERTIFICATE, "key": KEY}
    async with Upstream(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "fin")) as upstream, running(service(upstream), tls=tls) as gateway:
        client = await _secure(gateway.port, req(target=b"/services/a/../x"))
        assert (await client.answer()).status == 400
        await client.until(lambda: client.ended)
        client = await _secure(gateway.port, req())
        await client.until(lambda: client.ended)
        assert client.unread.endswith(b"abc")


# --- versions and keep-alive


async def test_http_1_0_without_a_host_is_served_by_prefix_and_by_health():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        for target, body in ((b"/services/a/x", b"GET|/x||"), (b"/__health", b'"ok"')):
            client = await gateway.dial()
            await client.send(req(target=target, host=None, version=b"HTTP/1.0"))
            assert body in await client.end()


async def test_http_1_0_closes_unless_it_asks_to_stay():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(version=b"HTTP/1.0"))
        assert (await client.answer()).status == 200
        await client.until(lambda: client.ended)
        client = await gateway.dial()
        for _ in range(2):
            await client.send(req(b"Connection: keep-alive", version=b"HTTP/1.0"))
            answer = await client.answer()
            assert (answer.status, answer.get(b"connection").lower()) == (200, b"keep-alive")


async def test_connection_close_is_obeyed_and_said():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(b"Connection: close") + req(target=b"/services/a/never"))
        assert (await client.answer()).get(b"connection") == b"close"
        await client.until(lambda: client.ended)
        assert client.unread == b""
        assert len(upstream.requests()) == 1


async def test_one_empty_line_before_a_request_is_passed_over():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(b"\r\n" + req())
        assert (await client.answer()).status == 200
        await client.send_pieces((b"\r", b"\n", req()))
        assert (await client.answer()).status == 200


async def test_good_requests_before_a_bad_one_are_answered():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(target=b"/services/a/1") + req(target=b"/services/a/2") + b"BAD\r\n\r\n" + req(target=b"/services/a/3"))
        assert [(await client.answer()).body for _ in range(2)] == [b"GET|/1||", b"GET|/2||"]
        assert (await client.answer()).status == 400
        await client.until(lambda: client.ended)
        assert len(upstream.requests()) == 2


# --- answers of our own


async def test_trace_and_connect_are_405_with_allow():
    async with running({}) as gateway:
        for raw in (req(method=b"TRACE"), req(method=b"CONNECT", target=b"localhost:80")):
            answer = await gateway.ask(raw)
            assert answer.status == 405
            assert b"GET" in answer.get(b"allow")
            assert b"TRACE" not in answer.get(b"allow")


async def test_a_navigation_gets_a_refusal_as_a_page_and_head_gets_no_body():
    async with running({"a": {"base_url": "http://no-such-host.invalid:1"}}) as gateway:
        page = await gateway.ask(req(*BROWSER))
        assert (page.status, page.get(b"content-type").startswith(b"text/html")) == (502, True)
        assert b"script" not in page.get(b"content-security-policy").replace(b"default-src", b"")
        assert page.get(b"x-content-type-options") == b"nosniff"
        head = await gateway.ask(req(method=b"HEAD"))
        assert (head.status, head.body) == (502, b"")
        assert int(head.get(b"content-length")) > 0


@pytest.mark.parametrize("raw", (req(method=b"HEAD", target=b"/services/a/../x"), req(method=b"HEAD", host=b"Host: evil.example"), req(method=b"HEAD", target=b"/nothing"), req(method=b"HEAD", target=b"/__health"), req(method=b"HEAD", target=b"/")))
async def test_head_gets_no_body_whatever_is_answered(raw):
    async with running({}) as gateway:
        client = await gateway.dial()
        await client.send(raw)
        await client.answer(b"HEAD")
        await turns(5)
        assert client.unread == b""


async def test_listed_origins_get_cors_headers_on_our_own_answers_and_others_do_not():
    async with running({}, auth={"cors_origins": ["https://app.example"]}) as gateway:
        for origin, allowed in ((b"https://app.example", b"https://app.example"), (b"https://evil.example", None)):
            answer = await gateway.ask(req(b"Origin: " + origin))
            assert (answer.status, answer.get(b"access-control-allow-origin")) == (404, allowed)


async def test_a_refusal_reaches_a_client_that_is_still_sending():
    async with running({}) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: 3000000", body=b"x" * 3_000_000, target=b"/services/none/x"))
        assert (await client.answer(b"POST")).status == 404
        await client.until(lambda: client.ended)


async def test_beyond_the_limit_connections_are_told_so_and_the_rest_is_served():
    async with Upstream() as upstream, running(service(upstream), limits={"connections": 3}) as gateway:
        clients = [await gateway.dial() for _ in range(3)]
        for client in clients:
            await client.send(req())
            assert (await client.answer()).status == 200
        more = await gateway.dial()
        await more.send(req())
        answer = await more.answer()
        assert (answer.status, b'"too_many_connections"' in answer.body) == (503, True)
        await more.until(lambda: more.ended)
        more.close()
        clients[0].close()
        await turns(10)
        again = await gateway.dial()
        await again.send(req())
        assert (await again.answer()).status == 200


async def test_admin_listen_has_a_reserve_of_connections():
    async with running({}, limits={"connections": 2}, admin_listen=["127.0.0.1:0"]) as gateway:
        clients = [await gateway.dial() for _ in range(2)]
        await turns(5)
        assert (await gateway.ask(req(target=b"/__health"))).status == 503
        assert (await gateway.ask(req(target=b"/__health"), 1)).status == 200
        for client in clients:
            client.close()


async def test_a_thousand_bad_requests_cost_one_log_line_each_and_nothing_of_them_is_echoed():
    async with running({}) as gateway:
        for number in range(300):
            answer = await gateway.ask(b"GET /services/a/\xff%d<script> HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
            assert answer.status == 400
            assert b"script" not in answer.body
        assert len(gateway.events) <= 310


async def test_the_access_line_tells_of_a_request_without_its_query():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        await gateway.ask(req(b"X-Request-ID: seen-1", target=b"/services/a/x?secret=1"))
        await turns(3)
        (line,) = [event for event in gateway.events if event["event"] == "request"]
        assert (line["service"], line["status"], line["method"], line["request_id"]) == ("a", 200, "GET", "seen-1")
        assert b"secret" not in b"".join(gateway.lines)


async def test_a_gateway_that_closes_lets_running_exchanges_finish():
    async def script(wire):
        await wire.message()
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel")
        await wire.until(lambda: go, 10)
        wire.transport.write(b"lo!")

    go = []
    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client, idle = await gateway.dial(), await gateway.dial()
        await client.send(req())
        await client.through(b"hel")
        closing = asyncio.get_running_loop().create_task(gateway.gateway.close(5))
        await idle.until(lambda: idle.ended)
        go.append(1)
        upstream.wires[0]._changed.set()
        assert await client.count(3) == b"lo!"
        assert await closing == 0
        with pytest.raises(OSError):
            await gateway.dial()


async def test_the_answer_to_a_large_pipeline_does_not_grow_the_stack():
    async with running({}) as gateway:
        client = await gateway.dial()
        client.transport.write(req(target=b"/services/none/x") * 3000)
        for _ in range(3000):
            assert (await client.answer()).status == 404


async def test_an_upstreams_reply_that_waits_in_the_buffer_is_whole_before_the_connection_closes():
    body = b"x" * 5_000_000
    async with Upstream(saying(reply(body))) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.pause_reading()
        await client.send(req(b"Connection: close"))
        wire = await upstream.wire()
        await wire.until(lambda: wire.received)
        await turns(30)
        client.transport.resume_reading()
        assert (await client.answer()).body == body


async def test_an_address_of_ip_version_6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    async with Upstream() as upstream, running(service(upstream), listen=["[::1]:0"]) as gateway:
        reader, writer = await asyncio.open_connection("::1", gateway.port)
        writer.write(req(b"Connection: close", host=b"Host: [::1]:%d" % gateway.port))
        assert b" 200 " in await reader.readline()
        writer.close()
        (seen,) = upstream.requests()
        assert (seen.get(b"x-forwarded-for"), seen.get(b"x-forwarded-host")) == (b"::1", b"[::1]:%d" % gateway.port)


async def test_options_star_reaches_a_service_at_its_own_address():
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url + "/base", "listen": ["127.0.0.1:0"]}}) as gateway:
        assert (await gateway.ask(req(method=b"OPTIONS", target=b"*"), 1)).body == b"OPTIONS|*||"


async def test_a_body_that_never_comes_to_an_own_page_does_not_keep_the_connection():
    async with running({}, limits={"stall_timeout": 0.3, "head_timeout": 0.3, "idle_connection": 0.3}) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 100", b"Content-Type: application/json", target=b"/v1/services"))
        await client.until(lambda: client.ended, 3)


async def test_a_tls_handshake_that_never_comes_does_not_keep_the_connection():
    async with running({}, tls={"certificate": CERTIFICATE, "key": KEY}, limits={"head_timeout": 0.3}, strict=False) as gateway:
        client = await gateway.dial()
        await client.until(lambda: client.ended, 2)


async def test_every_request_is_counted_once_with_its_outcome():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        for raw in (req(), req(target=b"/services/a"), req(target=b"/services/none/"), req(target=b"/services/a/../x"), req(method=b"TRACE"), req(target=b"/__health"), req(host=b"Host: evil.example")):
            await gateway.ask(raw)
        await turns(3)
        lines = [(event["status"], event["service"]) for event in gateway.events if event["event"] == "request"]
        assert sorted(lines) == sorted([(200, "a"), (308, ""), (404, ""), (400, ""), (405, ""), (200, ""), (421, "")])


async def test_an_idle_connection_costs_no_task():
    async with running({}) as gateway:
        before = len(asyncio.all_tasks())
        clients = [await gateway.dial() for _ in range(50)]
        await turns(5)
        assert len(asyncio.all_tasks()) == before
        for client in clients:
            client.close()


async def test_the_trace_of_a_request_passes_and_its_id_is_in_the_access_line():
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        await gateway.ask(req(b"traceparent: 00-%b-00f067aa0ba902b7-01" % trace))
        await gateway.ask(req(b"traceparent: nonsense"))
        assert [request.get(b"traceparent") for request in upstream.requests()] == [b"00-%b-00f067aa0ba902b7-01" % trace, b"nonsense"]
        assert [event.get("trace_id") for event in gateway.events if event["event"] == "request"] == [trace.decode(), None]
