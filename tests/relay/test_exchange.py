"""One request through: what crosses each way, early ends, and that a broken answer never looks whole."""

import asyncio
import socket
import time

import pytest

from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import FIN, HALF, RST, BrokenError, Upstream, answering, in_turn, reply, saying, turns

CHUNKED = b"Transfer-Encoding: chunked"


def service(upstream, **keys):
    return {"a": {"base_url": upstream.base_url, **keys}}


async def never(wire):
    """An upstream that thinks for ever."""
    await wire.until(lambda: wire.ended, 600)


# --- framing


async def test_a_connection_serves_one_request_after_the_other_and_so_does_the_upstreams():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        for number in range(5):
            await client.send(req(target=b"/services/a/%d" % number))
            assert (await client.answer()).body == b"GET|/%d||" % number
        assert len(upstream.wires) == 1


async def test_three_pipelined_requests_get_three_answers_in_order():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        body = b"GET /not-a-request HTTP/1.1\r\n\r\n"
        await client.send(req(target=b"/services/a/1") + post(b"Content-Length: %d" % len(body), body=body, target=b"/services/a/2") + req(target=b"/services/a/3"))
        assert [(await client.answer()).body for _ in range(3)] == [b"GET|/1||", b"POST|/2||" + body, b"GET|/3||"]


async def test_pipelined_head_get_and_chunked_post_do_not_mix():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(method=b"HEAD") + req(target=b"/services/a/2") + post(CHUNKED, body=b"1\r\nx\r\n0\r\n\r\n") + req(target=b"/services/a/4"))
        assert (await client.answer(b"HEAD")).get(b"content-length") == b"9"
        assert [(await client.answer()).body for _ in range(3)] == [b"GET|/2||", b"POST|/x||x", b"GET|/4||"]


async def test_a_thousand_pipelined_requests_are_answered_to_a_client_that_reads_late():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.pause_reading()
        client.transport.write(b"".join(req(target=b"/services/a/%d" % i) for i in range(1000)))
        await turns(50)
        client.transport.resume_reading()
        for number in range(1000):
            assert (await client.answer()).target  # the reason phrase stands there
            if number == 999:
                assert client.received.endswith(b"GET|/999||")


@pytest.mark.parametrize("status", (b"204 No Content", b"304 Not Modified"))
async def test_an_answer_without_a_body_leaves_both_connections_usable(status):
    script = saying(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n", then=answering)
    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req())
        answer = await client.answer()
        assert (answer.status, answer.body, answer.get(b"transfer-encoding")) == (int(status[:3]), b"", None)
        await client.send(req())
        assert (await client.answer()).body == b"GET|/x||"
        assert len(upstream.wires) == 1


async def test_chunks_pass_as_chunks_both_ways_with_their_trailers():
    answer = b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"
    async with Upstream(saying(answer)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(CHUNKED, b"Trailer: X-Up", body=b"2\r\nhi\r\n0\r\nX-Up: 1\r\n\r\n"))
        got = await client.answer()
        assert (got.body, got.framing, got.trailers) == (b"abc", "chunked", [(b"X-Sum", b"7")])
        (seen,) = upstream.requests()
        assert (seen.body, seen.framing, seen.trailers) == (b"hi", "chunked", [(b"X-Up", b"1")])


async def test_a_sized_body_stays_sized_both_ways():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 5", body=b"hello"))
        got = await client.answer()
        assert (got.body, got.framing) == (b"POST|/x||hello", "length")
        assert upstream.requests()[0].framing == "length"


async def test_large_bodies_pass_both_ways_at_once():
    body = bytes(range(256)) * 16384

    async def script(wire):
        request = await wire.message()
        await wire.send(reply(request.body))

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: %d" % len(body), body=body))
        assert (await client.answer(within=20)).body == body


async def test_an_answer_may_begin_while_the_request_goes_on():
    async def script(wire):
        await wire.through(b"\r\n\r\n")
        wire.transport.write(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n")
        for _ in range(3):
            data = await wire.count(8)
            wire.transport.write(data)
        await wire.through(b"0\r\n\r\n")
        wire.transport.write(b"0\r\n\r\n")

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.write(post(CHUNKED))
        await client.through(b"\r\n\r\n")
        for word in (b"one", b"two", b"six"):
            client.transport.write(b"3\r\n" + word + b"\r\n")
            assert await client.count(8) == b"3\r\n" + word + b"\r\n"
        client.transport.write(b"0\r\n\r\n")
        assert await client.count(5) == b"0\r\n\r\n"


@pytest.mark.parametrize("end", ((), (FIN,)), ids=("stays", "closes"))
async def test_an_early_413_reaches_a_client_that_is_still_sending(end):
    async def script(wire):
        await wire.through(b"\r\n\r\n")
        await wire.play((reply(b"too much", status=b"413 Content Too Large"), *end))
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: 20000000"))
        for _ in range(20):
            client.transport.write(b"x" * 65536)
            await turns(2)
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"too much")
        await client.until(lambda: client.ended)
        upstream.wires[0].transport.abort()


# --- interim answers


async def test_an_expected_100_and_a_103_pass_before_the_answer():
    async def script(wire):
        await wire.through(b"\r\n\r\n")
        wire.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.count(2)
        wire.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n" + reply(b"done"))

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 2", b"Expect: 100-continue"))
        assert (await client.message(b"POST")).status == 100
        await client.send(b"hi")
        hints = await client.message(b"POST")
        assert (hints.status, hints.get(b"link")) == (103, b"</s>")
        assert (await client.message(b"POST")).body == b"done"


async def test_a_client_of_http_1_0_gets_no_interim_answer_and_no_chunks():
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n"
    async with Upstream(saying(answer)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(version=b"HTTP/1.0"))
        got = await client.end()
        assert got.endswith(b"\r\n\r\nabc")
        assert b"103" not in got
        assert b"chunked" not in got.lower()


# --- a client that leaves


@pytest.mark.parametrize("how", ("close", "rst", "half_close"))
async def test_a_client_that_leaves_while_the_upstream_thinks_ends_the_exchange(how):
    async with Upstream(never) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req())
        wire = await upstream.wire()
        await wire.until(lambda: b"\r\n\r\n" in wire.received)
        getattr(client, how)()
        await wire.until(lambda: wire.ended, 1)


@pytest.mark.parametrize("how", ("close", "rst"))
async def test_a_client_that_leaves_in_mid_download_ends_it_though_reading_was_paused(how):
    async def script(wire):
        await wire.message()
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while not wire.lost:
            wire.transport.write(b"x" * 65536)
            await asyncio.wait_for(wire._writable.wait(), 10)
            await turns(1)

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.pause_reading()
        await client.send(req() + req(target=b"/services/a/next") * 3000)  # more than is kept: its socket is not read
        wire = await upstream.wire()
        await wire.until(lambda: b"\r\n\r\n" in wire.received)
        while wire._writable.is_set():
            await asyncio.sleep(0.01)
        getattr(client, how)()
        begin = time.monotonic()
        await wire.until(lambda: wire.ended, 2)
        assert time.monotonic() - begin < 1.2


@pytest.mark.parametrize("how", ("close", "rst"))
@pytest.mark.parametrize("framing", ("sized", "chunked"))
async def test_a_client_that_leaves_in_mid_upload_leaves_no_whole_request(how, framing):
    async with Upstream(never) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 100", body=b"x" * 50) if framing == "sized" else post(CHUNKED, body=b"5\r\nhello\r\n"))
        wire = await upstream.wire()
        await wire.until(lambda: b"x" * 50 in wire.received or b"hello" in wire.received)
        getattr(client, how)()
        await wire.until(lambda: wire.ended, 1)
        assert upstream.requests() == []


async def test_a_client_that_leaves_while_a_connection_is_made_leaves_nothing_behind():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.write(req())
        client.rst()
        await turns(20)
        assert (await gateway.ask(req())).status == 200


async def test_a_client_that_leaves_is_counted_as_that():
    async with Upstream(never) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req())
        wire = await upstream.wire()
        client.close()
        await wire.until(lambda: wire.ended, 1)
        await turns(3)
        (access,) = [event for event in gateway.events if event["event"] == "request"]
        assert "client_left" in access.values()


# --- a memory of flat size


async def test_a_slow_reader_holds_the_upstream_back():
    sent = 0

    async def script(wire):
        nonlocal sent
        await wire.message()
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while sent < 100_000_000 and not wire.lost:
            await wire.send(b"x" * 100_000)
            sent += 100_000

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.pause_reading()
        client.transport.write(req())
        last = -1
        while last != sent:
            last = sent
            await asyncio.sleep(0.1)
        assert sent < 20_000_000
        client.rst()


async def test_a_slow_upstream_holds_the_client_back():
    async def script(wire):
        wire.transport.pause_reading()
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: 100000000"))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100_000_000:
                client.transport.write(b"x" * 100_000)
                sent += 100_000
                await asyncio.wait_for(client._writable.wait(), 0.5)
        assert sent < 30_000_000
        client.rst()
        await upstream.wire()


# --- what is sent twice, and what is not


@pytest.mark.parametrize("method", (b"GET", b"HEAD", b"OPTIONS"))
@pytest.mark.parametrize("end", (FIN, RST))
async def test_a_safe_request_on_a_stale_connection_is_sent_once_more(method, end):
    async def stale(wire):
        first = await wire.message()
        wire.transport.write(reply(first.target))
        await wire.message()
        await wire.play((end,))

    async with Upstream(in_turn(stale, answering)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).status == 200
        assert (await gateway.ask(req(method=method))).status == 200
        assert len(upstream.requests()) == 3
        assert len(upstream.wires) == 2


@pytest.mark.parametrize(
    "request_",
    (post(b"Content-Length: 1", body=b"x"), req(method=b"DELETE"), req(method=b"PUT", body=b""), req(b"Content-Length: 1", body=b"x"), post(b"Content-Length: 0")),
    ids=("POST", "DELETE", "PUT", "GET with a body", "empty POST"),
)
async def test_a_request_that_may_do_something_is_never_sent_twice(request_):
    async def stale(wire):
        await wire.message()
        wire.transport.write(reply(b"first"))
        await wire.message()
        wire.close()

    async with Upstream(in_turn(stale, answering)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b"first"
        assert (await gateway.ask(request_)).status == 502
        assert len(upstream.requests()) == 2


async def test_a_request_is_sent_twice_at_most():
    async def stale(wire):
        await wire.message()
        wire.transport.write(reply(b"first"))
        await wire.message()
        wire.close()

    async def rude(wire):
        await wire.message()
        wire.close()

    async with Upstream(in_turn(stale, rude)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b"first"
        assert (await gateway.ask(req())).status == 502
        assert len(upstream.requests()) == 3


@pytest.mark.parametrize("begun", (b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\n"))
async def test_a_request_that_got_a_byte_of_an_answer_is_not_sent_again(begun):
    async def stale(wire):
        await wire.message()
        wire.transport.write(reply(b"first"))
        await wire.message()
        await wire.play((begun, FIN))

    async with Upstream(in_turn(stale, answering)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b"first"
        assert (await gateway.ask(req())).status == 502
        assert len(upstream.requests()) == 2


async def test_a_request_on_a_fresh_connection_is_not_sent_again():
    async with Upstream(saying(FIN)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).status == 502
        assert len(upstream.requests()) == 1


# --- headers


async def test_headers_that_are_ours_are_added():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        host = b"localhost:%d" % gateway.port
        answer = await gateway.ask(req(host=b"Host: " + host))
        (seen,) = upstream.requests()
        assert seen.get(b"host") == b"127.0.0.1:%d" % upstream.port
        assert seen.get(b"x-forwarded-for") == b"127.0.0.1"
        assert seen.get(b"x-forwarded-proto") == b"http"
        assert seen.get(b"x-forwarded-host") == host
        assert seen.get(b"x-forwarded-prefix") == b"/services/a"
        assert seen.get(b"cdn-loop").startswith(b"hestia-")
        assert seen.get(b"x-request-id") == answer.get(b"x-request-id")
        assert seen.get(b"connection") is None
        assert seen.get(b"via") is None


async def test_a_sane_request_id_is_kept_and_every_other_request_gets_its_own():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req(b"X-Request-ID: mine-1"))).get(b"x-request-id") == b"mine-1"
        ids = {(await gateway.ask(req())).get(b"x-request-id") for _ in range(5)}
        assert len(ids) == 5
        assert upstream.requests()[0].get(b"x-request-id") == b"mine-1"


async def test_a_via_and_a_traceparent_pass():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        await gateway.ask(req(b"Via: 1.1 x", b"traceparent: 00-1-2-01"))
        (seen,) = upstream.requests()
        assert (seen.all(b"via"), seen.get(b"traceparent")) == ([b"1.1 x"], b"00-1-2-01")


async def test_a_request_that_went_through_this_gateway_before_is_refused():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        await gateway.ask(req())
        (tag,) = upstream.requests()[0].all(b"cdn-loop")
        for value in (tag, b"other, " + tag, tag.upper(), b"x; y=1 ," + tag):
            answer = await gateway.ask(req(b"CDN-Loop: " + value))
            assert (answer.status, b'"loop"' in answer.body) == (508, True)
        assert len(upstream.requests()) == 1


async def test_two_gateways_that_name_each_other_are_a_loop_that_ends():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with running({"a": {"base_url": f"http://localhost:{port}/services/a"}}) as other:
        services = {"a": {"base_url": f"http://localhost:{other.port}/services/a"}}
        async with running(services, listen=[f"127.0.0.1:{port}"]) as gateway:
            answer = await gateway.ask(req())
            assert (answer.status, b'"loop"' in answer.body) == (508, True)


async def test_headers_of_the_place_are_set_and_removed_last():
    rules = {"set": {"Authorization": "Bearer inner", "X-New": "1"}, "remove": ["Cookie", "X-Forwarded-Host"]}
    async with Upstream() as upstream, running(service(upstream, headers=rules)) as gateway:
        await gateway.ask(req(b"authorization: outer", b"Cookie: a=1", b"X-Other: 2"))
        (seen,) = upstream.requests()
        assert seen.all(b"authorization") == [b"Bearer inner"]
        assert (seen.get(b"x-new"), seen.get(b"cookie"), seen.get(b"x-forwarded-host"), seen.get(b"x-other")) == (b"1", None, None, b"2")


async def test_a_trusted_proxy_is_believed_and_appended_to():
    lines = (b"X-Forwarded-For: 10.0.0.9", b"X-Forwarded-Host: chat.lan", b"X-Forwarded-Proto: https", b"X-Forwarded-Prefix: /up", b"X-Real-IP: 10.0.0.9", b"Forwarded: for=10.0.0.9")
    async with Upstream() as upstream, running(service(upstream), trusted_proxies=["127.0.0.0/8"]) as gateway:
        await gateway.ask(req(*lines))
        (seen,) = upstream.requests()
        assert seen.get(b"x-forwarded-for") == b"10.0.0.9, 127.0.0.1"
        assert (seen.get(b"x-forwarded-host"), seen.get(b"x-forwarded-proto")) == (b"chat.lan", b"https")
        assert seen.get(b"x-forwarded-prefix") == b"/up/services/a"
        assert seen.get(b"x-real-ip") == b"10.0.0.9"
        assert seen.get(b"forwarded").startswith(b"for=10.0.0.9, for=127.0.0.1")


async def test_a_trusted_proxys_host_is_the_requests_own_for_the_host_check():
    async with Upstream() as upstream, running(service(upstream), trusted_proxies=["127.0.0.1"]) as gateway:
        assert (await gateway.ask(req(b"X-Forwarded-Host: evil.example"))).status == 421


async def test_the_block_of_one_request_is_not_the_next_ones():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        for lines in ((b"Cookie: a=1",), (), (b"Cookie: b=2",), (b"Cookie: b=2",), (b"Connection: keep-alive, Cookie", b"Cookie: b=2")):
            await client.send(req(*lines))
            await client.answer()
        assert [seen.get(b"cookie") for seen in upstream.requests()] == [b"a=1", None, b"b=2", b"b=2", None]


async def test_the_same_block_to_two_services_crosses_to_each_by_its_own_rules():
    async with Upstream() as one, Upstream() as two:
        services = {"a": {"base_url": one.base_url}, "b": {"base_url": two.base_url + "/base", "headers": {"set": {"X-B": "1"}}}}
        async with running(services) as gateway:
            client = await gateway.dial()
            for target in (b"/services/a/1", b"/services/b/2", b"/services/a/3"):
                await client.send(req(target=target))
                await client.answer()
            assert [(seen.target, seen.get(b"x-b"), seen.get(b"x-forwarded-prefix")) for seen in one.requests()] == [(b"/1", None, b"/services/a"), (b"/3", None, b"/services/a")]
            assert [(seen.target, seen.get(b"x-b"), seen.get(b"x-forwarded-prefix")) for seen in two.requests()] == [(b"/base/2", b"1", b"/services/b")]
            assert two.requests()[0].get(b"host") == b"127.0.0.1:%d" % two.port


# --- same origin stays same origin


async def test_origin_and_referer_of_the_request_itself_become_the_upstreams():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        own = b"localhost:%d" % gateway.port
        inner = b"127.0.0.1:%d" % upstream.port
        await gateway.ask(req(b"Origin: http://" + own, b"Referer: http://" + own + b"/services/a/page?q", host=b"Host: " + own))
        await gateway.ask(req(b"Origin: http://evil.example", b"Referer: http://evil.example/x", host=b"Host: " + own))
        mapped, foreign = upstream.requests()
        assert mapped.get(b"origin") == b"http://" + inner
        assert mapped.get(b"referer") == b"http://" + inner + b"/services/a/page?q"
        assert (foreign.get(b"origin"), foreign.get(b"referer")) == (b"http://evil.example", b"http://evil.example/x")


async def test_preserve_host_and_rewrite_off_leave_the_request_alone():
    for keys in ({"preserve_host": True}, {"rewrite": "off"}):
        async with Upstream() as upstream, running(service(upstream, **keys)) as gateway:
            own = b"localhost:%d" % gateway.port
            await gateway.ask(req(b"Origin: http://" + own, host=b"Host: " + own))
            (seen,) = upstream.requests()
            assert (seen.get(b"host"), seen.get(b"origin")) == (own, b"http://" + own)


@pytest.mark.parametrize(
    ("location", "mapped"),
    (
        (b"/login", b"/services/a/login"),
        (b"http://UPSTREAM/x?y", b"http://OWN/services/a/x?y"),
        (b"http://elsewhere.example/x", b"http://elsewhere.example/x"),
        (b"/services/a/x", b"/services/a/x"),
        (b"//elsewhere.example/x", b"//elsewhere.example/x"),
        (b"relative/x", b"relative/x"),
    ),
)
async def test_a_location_is_mapped_to_what_the_client_sees(location, mapped):
    async def script(wire):
        await wire.message()
        here = b"127.0.0.1:%d" % upstream.port
        wire.transport.write(reply(b"", b"Location: " + location.replace(b"UPSTREAM", here), status=b"302 Found"))

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        own = b"localhost:%d" % gateway.port
        answer = await gateway.ask(req(host=b"Host: " + own))
        assert answer.get(b"location") == mapped.replace(b"OWN", own)


async def test_a_cookies_path_gets_the_prefix_and_its_inner_domain_goes():
    lines = (b"Set-Cookie: a=1; Path=/; HttpOnly", b"Set-Cookie: __Host-b=2; Path=/; Secure", b"Set-Cookie: c=3; Domain=127.0.0.1; Path=/x")
    async with Upstream(saying(reply(b"", *lines))) as upstream, running(service(upstream)) as gateway:
        cookies = (await gateway.ask(req())).all(b"set-cookie")
        assert b"Path=/services/a/" in cookies[0]
        assert cookies[1] == b"__Host-b=2; Path=/; Secure"
        assert b"/services/a/x" in cookies[2]
        assert b"127.0.0.1" not in cookies[2]


# --- server-sent events


async def test_events_come_one_by_one_without_delay_and_proxies_are_told_not_to_buffer():
    async def script(wire):
        await wire.message()
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + CHUNKED + b"\r\n\r\n")
        for _ in range(3):
            wire.transport.write(b"9\r\ndata: 1\n\n\r\n")
            await wire.until(told.is_set)
            told.clear()

    told = asyncio.Event()
    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req())
        head = await client.through(b"\r\n\r\n")
        assert b"X-Accel-Buffering: no\r\n" in head
        for _ in range(3):
            assert await client.count(14) == b"9\r\ndata: 1\n\n\r\n"
            told.set()
            (await upstream.wire())._changed.set()


async def test_an_accel_header_of_the_services_own_stays():
    answer = reply(b"", b"Content-Type: text/event-stream", b"X-Accel-Buffering: yes")
    async with Upstream(saying(answer)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).all(b"x-accel-buffering") == [b"yes"]


# --- broken answers


async def test_an_answer_of_a_slow_upstream_is_late_but_whole():
    async def script(wire):
        await wire.message()
        await wire.send_pieces(bytes((byte,)) for byte in reply(b"slow"))

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b"slow"


async def test_an_upstream_that_half_closes_after_its_answer_is_not_used_again():
    async with Upstream(in_turn(saying(reply(b"one"), HALF), answering)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b"one"
        await turns(5)
        assert (await gateway.ask(post(b"Content-Length: 1", body=b"x"))).status == 200
        assert len(upstream.wires) == 2


async def test_a_broken_answer_is_seen_by_the_reader():
    async with Upstream(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", FIN)) as upstream, running(service(upstream)) as gateway:
        with pytest.raises(BrokenError):
            await gateway.ask(req())


async def test_a_service_that_has_no_address_yet_is_refused_by_name():
    async with running({"a": {"launch": {"kind": "process", "command": ["x", "{port}"]}}}, strict=False) as gateway:
        answer = await gateway.ask(req())
        assert answer.status in (502, 503)
        assert b'"service": "a"' in answer.body
