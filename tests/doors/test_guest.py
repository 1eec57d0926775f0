"""The guest lane, served on bare connections: a guest is a whole protocol, so no front is needed here."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import http, web

from hestia.doors import guest, intake
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.refusal import Refusal
from hestia.words.spec import Limits


class Lane:
    """A server of guests on a free port, with what it logged and counted."""

    def __init__(self, answer, **limits):
        self.lines = []
        self.log = Log(self.lines.append)
        self.tally = Tally([], self.log.access)
        self.cors = frozenset({"https://chat.example"})
        self.server = guest.Server(answer, limits=Limits(**limits), tally=self.tally, log=self.log, cors=self.cors)
        self.port = 0

    def events(self, name):
        return [each for each in map(json.loads, self.lines) if each["event"] == name]

    async def ask(self, data):
        """Send bytes, and read to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def serving(answer, **limits):
    lane = Lane(answer, **limits)

    def connected():
        return lane.server.hire(None, "r-1", "192.0.2.7", "http")

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    lane.port = server.sockets[0].getsockname()[1]
    try:
        yield lane
    finally:
        server.close()
        await lane.server.shutdown(0.1)


async def hello(request):
    return web.Response(text=f"hello {request.caller.client}")


GET = b"GET /page?q=secret HTTP/1.1\r\nHost: a\r\n%b\r\n"


async def test_a_guest_answers_one_request_and_closes():
    async with serving(hello) as lane:
        answer = await lane.ask(GET % b"" + GET % b"")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"hello 192.0.2.7")
    assert b"Connection: close\r\n" in answer


async def test_an_answer_says_our_request_id_and_not_which_server_it_is():
    async with serving(hello) as lane:
        answer = await lane.ask(GET % b"")
    assert b"X-Request-ID: r-1\r\n" in answer
    assert b"\r\nServer:" not in answer
    assert b"X-Content-Type-Options: nosniff\r\n" in answer


async def test_own_pages_are_counted_and_logged_for_no_service():
    async with serving(hello) as lane:
        answer = await lane.ask(GET % b"")
    line = lane.events("request")[0]
    assert (line["service"], line["path"], line["status"], line["outcome"]) == ("", "/page", 200, "ok")
    assert (line["client"], line["request_id"], line["bytes_out"]) == ("192.0.2.7", "r-1", len(answer))
    assert lane.tally.rows[""].codes == {200: 1}


async def test_a_refusal_is_a_problem_for_programs():
    async def no(request):
        raise Refusal("method_not_allowed", "No.", allow="GET")

    async with serving(no) as lane:
        answer = await lane.ask(GET % b"")
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"Allow: GET\r\n" in answer
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (problem["code"], problem["request_id"]) == ("method_not_allowed", "r-1")
    assert lane.events("request")[0]["outcome"] == "method_not_allowed"


async def test_a_refusal_is_a_page_for_people():
    async def no(request):
        raise Refusal("not_found", "Nothing here.")

    async with serving(no) as lane:
        answer = await lane.ask(GET % b"Accept: text/html\r\n")
    assert b"Content-Type: text/html" in answer
    assert b"Nothing here." in answer


async def test_a_bug_is_a_500_with_one_line_that_has_the_trace():
    async def bug(request):
        raise ZeroDivisionError("inside")

    async with serving(bug) as lane:
        answer = await lane.ask(GET % b"")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"inside" not in answer
    said = lane.events("internal")
    assert len(said) == 1
    assert "ZeroDivisionError: inside" in said[0]["trace"]
    assert said[0]["request_id"] == "r-1"


@pytest.mark.parametrize(
    "data",
    [
        b"GET /<script>alert(1)</script> HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
    ],
)
async def test_bytes_that_aiohttp_cannot_read_get_a_400_without_an_echo_and_one_line(data, caplog):
    async with serving(hello) as lane:
        answer = await lane.ask(data)
    assert answer.split(b" ", 2)[1] == b"400"
    assert b"script" not in answer
    assert b"Bad Name" not in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "bad_request"
    assert len(lane.events("request.malformed")) == 1
    assert caplog.records == []


async def test_a_method_that_aiohttp_does_not_know_is_not_allowed():
    async with serving(hello) as lane:
        answer = await lane.ask(b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD, OPTIONS\r\n" in answer


async def test_an_http_1_0_client_gets_the_same_status_line_as_everybody():
    async with serving(hello) as lane:
        answer = await lane.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"chunked" not in answer


async def test_a_head_as_long_as_the_limit_is_read():
    async with serving(hello) as lane:
        answer = await lane.ask(GET % (b"Cookie: " + b"a" * 50_000 + b"\r\n"))
        many = await lane.ask(GET % b"".join(b"X-%d: 1\r\n" % number for number in range(2000)))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert many.startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_never_ends_is_closed_by_its_deadline():
    async with serving(hello, head_timeout=0.05) as lane:
        assert await lane.ask(b"GET / HTTP/1.1\r\n") == b""


async def test_an_answer_that_takes_longer_than_the_patience_with_stalled_clients_is_not_cut():
    async def slow(request):
        await asyncio.sleep(0.2)
        return web.Response(text="at last")

    async with serving(slow, stall_timeout=0.02, head_timeout=0.02) as lane:
        assert (await lane.ask(GET % b"")).endswith(b"at last")


async def test_a_body_is_read_whole_within_its_limit():
    async def sized(request):
        return web.Response(text=str(len(await request.body())))

    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    async with serving(sized, api_body=100_000) as lane:
        assert (await lane.ask(post % 100_000 + b"a" * 100_000)).endswith(b"100000")
        refused = await lane.ask(post % 100_001 + b"a" * 100_001)
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b"`limits.api_body`" in refused


async def reads(request):
    return web.Response(text=str(len(await request.body())))


async def test_all_bodies_together_are_kept_within_a_bound_and_further_ones_wait():
    async with serving(reads, body_peek_total=100_000, body_peek=1) as lane:
        lane.server.room.take(100_001)  # as a body that is searched for its model does
        waiting = asyncio.create_task(lane.ask(posted(b"x" * 50_000)))
        while not lane.server.room.line:
            await asyncio.sleep(0.01)
        assert (await lane.ask(posted(b"x" * 8_000))).endswith(b"8000"), "what a login or a command takes is let in"
        lane.server.room.give_back(100_001)
        assert (await waiting).endswith(b"50000")
    assert lane.server.room.used == 0
    assert not lane.server.room.reading


async def test_a_body_that_finds_no_room_in_time_is_refused(monkeypatch):
    monkeypatch.setattr(intake, "LONGEST_WAIT", 0.1)
    async with serving(reads, body_peek_total=100_000, body_peek=1) as lane:
        lane.server.room.take(100_001)
        answer = await lane.ask(posted(b"x" * 50_000))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"queue_full" in answer
    assert b"Retry-After: " in answer
    assert b"`limits.body_peek_total`" in answer
    assert lane.server.room.used == 100_001
    assert not lane.server.room.line


async def test_a_client_that_leaves_the_line_for_room_is_forgotten():
    async with serving(reads, body_peek_total=100_000, body_peek=1) as lane:
        lane.server.room.take(100_001)
        _, writer = await asyncio.open_connection("127.0.0.1", lane.port)
        writer.write(posted(b"x" * 50_000))
        async with asyncio.timeout(10):
            while not lane.server.room.line:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            while lane.server.room.line:
                await asyncio.sleep(0.01)
    assert lane.server.room.used == 100_001


def posted(body):
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_a_body_that_stands_still_ends_its_connection_without_an_answer():
    async def read(request):
        return web.Response(body=await request.body())

    async with serving(read, stall_timeout=0.05) as lane:
        reader, writer = await asyncio.open_connection("127.0.0.1", lane.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
        with pytest.raises(ConnectionResetError):
            assert await reader.read() == b""
            raise ConnectionResetError  # a clean end is one too
        writer.close()
    assert [line["outcome"] for line in lane.events("request")] == ["client_left"]
    assert lane.events("internal") == []


async def test_an_answer_that_broke_off_does_not_look_whole():
    async def breaks(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        raise ZeroDivisionError("inside")

    async with serving(breaks) as lane:
        answer = await lane.ask(GET % b"")
    assert b"some" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert len(lane.events("internal")) == 1
    assert (lane.events("request")[0]["status"], lane.events("request")[0]["outcome"]) == (200, "broken")


async def test_a_time_that_was_waited_is_no_time_of_the_gateways_own():
    async def waits(request):
        request.caller.waits = True
        await asyncio.sleep(0.01)
        return web.Response()

    async with serving(waits) as lane:
        await lane.ask(GET % b"")
    line = lane.events("request")[0]
    assert line["duration_ms"] > 5 > line["overhead_ms"] == 0


async def test_a_refusal_names_the_service_that_it_is_about():
    async def no(request):
        request.caller.service = "a"
        raise Refusal("held", "No.")

    async with serving(no) as lane:
        answer = await lane.ask(GET % b"")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["service"] == "a"


async def test_a_client_that_leaves_ends_its_handler():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(request):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(waits) as lane:
        _, writer = await asyncio.open_connection("127.0.0.1", lane.port)
        writer.write(GET % b"")
        await begun.wait()
        writer.close()
        async with asyncio.timeout(5):
            await ended.wait()
    line = lane.events("request")[0]
    assert (line["outcome"], line["status"], line["path"]) == ("client_left", 0, "/page")
    assert len(lane.events("request")) == 1


async def test_an_allowed_origin_may_read_answers_and_another_may_not():
    async with serving(hello) as lane:
        ours = await lane.ask(GET % b"Origin: https://chat.example\r\n")
        theirs = await lane.ask(GET % b"Origin: https://evil.example\r\n")
    assert b"Access-Control-Allow-Origin: https://chat.example\r\n" in ours
    assert b"Access-Control-Allow-Origin" not in theirs
    assert b"Vary: Origin\r\n" in theirs


async def test_a_body_that_nobody_reads_does_not_keep_the_connection():
    async with serving(hello) as lane:
        answer = await lane.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False),
        ({"Accept": "text/html,*/*"}, True),
        ({"Accept": "*/*"}, False),
        ({"Accept": "text/html", "Sec-Purpose": "prefetch"}, False),
        ({"Accept": "text/html", "Purpose": "prefetch"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ],
)
async def test_a_navigation_is_what_a_person_sees_as_a_page(headers, expected):
    seen = []

    async def look(request):
        seen.append(guest.is_navigation(request))
        return web.Response()

    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    async with serving(look) as lane:
        await lane.ask(GET % lines)
    assert seen == [expected]


# What we rely on of aiohttp beside its public API: these fail when a new version of it changes that.


def test_canary_the_pinned_version_of_aiohttp_is_in_use():
    assert tuple(map(int, aiohttp.__version__.split(".")[:2])) == (3, 14)


def test_canary_the_hooks_that_we_override_exist():
    assert callable(web.BaseRequest._prepare_hook)
    assert callable(web.RequestHandler.handle_error)
    assert {"_task_handler", "_manager", "_force_close", "_messages"} <= set(web.RequestHandler.__slots__)


def test_the_c_parser_is_in_use():
    guest.check_parser()


def test_without_the_c_parser_nothing_starts_unless_it_is_allowed(monkeypatch):
    slow = type("HttpRequestParserPy", (), {"__module__": "aiohttp.http_parser"})
    monkeypatch.setattr(http, "HttpRequestParser", slow)
    with pytest.raises(RuntimeError, match="C parser"):
        guest.check_parser()
    guest.check_parser(allow_slow=True)
