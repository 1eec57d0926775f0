"""What holds for every endpoint: methods, bodies, refusals, and the pages that are no use-case."""

import asyncio
import json

import pytest

from hestia.doors.api_routes import ROUTES
from tests.support.asking import get, post, problem, raw, said
from tests.support.gateway import running

WATCHED = {"a": {"base_url": "http://127.0.0.1:1"}}
PATHS = {route.path.replace("{id}", "a").replace("{request_id}", "x"): route for route in ROUTES}
GETS = [path for path, route in PATHS.items() if route.method == "GET"]
POSTS = [path for path, route in PATHS.items() if route.method == "POST"]
HAS_NO_LOG = "/v1/services/a/logs"


async def test_health_says_ok_and_the_version_and_needs_no_service():
    async with running() as run:
        assert await get(run, "/__health") == (200, {"status": "ok", "version": "0.1.0"})


async def test_health_answers_http_1_0_without_a_host():
    async with running() as run:
        assert (await run.ask(b"GET /__health HTTP/1.0\r\n\r\n")).status == 200


@pytest.mark.parametrize("path", ["/", "/__health", "/metrics", "/dashboard/", "/v1/openapi.json", *GETS])
async def test_head_answers_wherever_get_does_without_a_body(path):
    async with running(WATCHED) as run:
        message = await run.ask(raw("HEAD", path))
    assert (message.status, message.body) == (404 if path == HAS_NO_LOG else 200, b"")


async def test_head_of_a_stream_opens_none():
    async with running(WATCHED) as run:
        message = await run.ask(raw("HEAD", "/v1/events"))
        assert message.get(b"content-type") == b"text/event-stream"
        assert run.gateway._bulletin.listeners == 0


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("method", ["POST", "DELETE", "BREW"])
async def test_what_is_only_read_takes_no_other_method_and_says_which(path, method):
    async with running(WATCHED) as run:
        message = await run.ask(raw(method, path))
    allow = message.get(b"allow")
    assert (message.status, said(message)["code"], allow) == (405, "method_not_allowed", b"GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_what_changes_something_is_never_done_by_a_get(path, method):
    async with running(WATCHED) as run:
        message = await run.ask(raw(method, path))
    assert (message.status, message.get(b"allow")) == (405, b"POST, OPTIONS")


async def test_options_says_what_is_allowed():
    async with running(WATCHED) as run:
        for path in ("/v1/services/a/start", "/v1/requests"):
            message = await run.ask(raw("OPTIONS", path))
            assert (message.status, message.get(b"allow")) == (204, b"POST, OPTIONS")


@pytest.mark.parametrize(
    "path", ["/v1/services/a", "/v1/services//status", "/v1/machines/local", "/metrics/x", "/__health/", "/v1/events/"]
)
async def test_what_is_no_page_is_a_404(path):
    async with running(WATCHED) as run:
        assert await problem(run, raw("GET", path)) == (404, "not_found")


async def test_a_body_needs_not_be_there_but_one_that_is_no_json_is_refused():
    async with running(WATCHED) as run:
        stop = "/v1/services/a/stop"
        assert (await post(run, stop))[0] == 202
        assert (await post(run, stop, b""))[0] == 202
        assert (await post(run, stop, b"{}"))[0] == 202
        text = raw("POST", stop, b"{}", "Content-Type: text/plain")
        assert await problem(run, text) == (400, "bad_request")
        form = raw("POST", stop, b"hold=true", "Content-Type: application/x-www-form-urlencoded")
        assert await problem(run, form) == (400, "bad_request")
        assert (await post(run, stop, b"{}", "Content-Type: application/json; charset=utf-8"))[0] == 202


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"wait"', b"\xff", b'{"id": "b"}', b'{"wat": 1}', b'{"wait": 1}'])
async def test_a_body_that_is_malformed_or_has_unknown_fields_is_a_400(body):
    async with running(WATCHED) as run:
        assert await problem(run, raw("POST", "/v1/services/a/stop", body)) == (400, "bad_request")


async def test_an_unknown_field_is_named_with_those_that_there_are():
    async with running(WATCHED) as run:
        _, answer = await post(run, "/v1/services/a/stop", b'{"hodl": true}')
    assert answer["detail"] == "the body has the unknown field 'hodl'; there are: wait, hold"


async def test_a_body_says_what_the_query_may_say_and_the_query_goes_first():
    async with running(WATCHED) as run:
        _, held = await post(run, "/v1/services/a/stop", b'{"hold": true}')
        assert held["held_until"] == "forever"
        _, held = await post(run, "/v1/services/a/stop?hold=2h", b'{"hold": true}')
        assert held["held_until"].endswith("Z")


async def test_a_mistake_in_the_body_is_not_hidden_by_the_query():
    async with running(WATCHED) as run:
        request = raw("POST", "/v1/services/a/stop?hold=true", b'{"hold": {}}')
        assert await problem(run, request) == (400, "bad_request")


async def test_a_body_beyond_the_limit_is_a_413_also_when_its_length_is_not_told():
    async with running(WATCHED, limits={"api_body": 100}) as run:
        path = "/v1/services/a/stop"
        assert await problem(run, raw("POST", path, b" " * 101)) == (413, "payload_too_large")
        chunked = raw("POST", path, None, "Content-Type: application/json", "Transfer-Encoding: chunked")
        assert await problem(run, chunked + b"65\r\n" + b" " * 101 + b"\r\n0\r\n\r\n") == (413, "payload_too_large")


async def test_a_chunked_body_is_read_like_any_other():
    async with running(WATCHED) as run:
        head = raw("POST", "/v1/services/a/stop", None, "Content-Type: application/json", "Transfer-Encoding: chunked")
        message = await run.ask(head + b'7\r\n{"hold"\r\n7\r\n: true}\r\n0\r\n\r\n')
    assert (message.status, said(message)["held_until"]) == (202, "forever")


async def test_a_chunk_that_is_malformed_in_a_later_segment_is_a_400_and_no_endless_wait():
    async with running(WATCHED) as run:
        client = await run.dial()
        head = raw("POST", "/v1/services/a/stop", None, "Content-Type: application/json", "Transfer-Encoding: chunked")
        await client.send_pieces([head, b"1\r\n{\r\n", b"zz\r\n"])
        message = await client.answer(b"POST")
        client.transport.abort()
    assert (message.status, said(message)["code"]) == (400, "bad_request")


async def test_who_waits_before_sending_a_body_is_invited():
    async with running(WATCHED) as run:
        client = await run.dial()
        lines = ("Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue")
        await client.send(raw("POST", "/v1/services/a/stop", None, *lines))
        assert (await client.message(b"POST")).status == 100
        await client.send(b"{}")
        assert (await client.answer(b"POST")).status == 202
        client.transport.abort()


async def test_a_body_that_stands_still_is_ended():
    async with running(WATCHED, limits={"stall_timeout": 0.05}) as run:
        client = await run.dial()
        await client.send(raw("POST", "/v1/services/a/stop", None, "Content-Type: application/json", "Content-Length: 9"))
        assert await client.end() == b""


async def test_a_refusal_about_a_service_names_it():
    async with running(WATCHED) as run:
        _, answer = await get(run, "/v1/services/a/logs")
        _, unknown = await get(run, "/v1/services/b/status")
    assert (answer["service"], answer["code"]) == ("a", "not_found")
    assert (unknown["service"], unknown["code"]) == (None, "unknown_service")


async def test_an_id_in_the_path_may_be_percent_encoded():
    async with running({"a.b": {"base_url": "http://127.0.0.1:1"}}) as run:
        assert (await get(run, "/v1/services/a%2Eb/status"))[1]["id"] == "a.b"
        assert (await get(run, "/v1/services/%F0%9F%94%A5/status"))[1]["code"] == "unknown_service"


async def test_own_pages_are_in_the_access_log_without_a_service_or_a_query():
    async with running() as run:
        await get(run, "/v1/services?key=secret")
    line = next(each for each in run.events if each["event"] == "request")
    assert (line["service"], line["path"], line["status"]) == ("", "/v1/services", 200)


async def test_with_an_admin_address_own_pages_answer_there_and_health_everywhere():
    async with running(admin_listen=["127.0.0.1:0"]) as run:
        assert (await run.ask(raw("GET", "/v1/services"), 0)).status == 404
        assert (await run.ask(raw("GET", "/__health"), 0)).status == 200
        assert (await run.ask(raw("GET", "/v1/services"), 1)).status == 200


async def test_many_ask_at_once_and_each_gets_its_answer():
    async with running(WATCHED) as run:
        found = await asyncio.gather(*(get(run, path) for path in GETS * 5 if path not in {"/v1/events", HAS_NO_LOG}))
    assert {status for status, _ in found} == {200}


async def test_every_answer_of_the_api_is_json_and_is_not_kept():
    async with running(WATCHED) as run:
        message = await run.ask(raw("GET", "/v1/services"))
    assert (message.get(b"content-type"), message.get(b"cache-control")) == (b"application/json", b"no-store")
    assert json.loads(message.body)["services"][0]["id"] == "a"
