"""The own pages, asked for through the whole gateway."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from tests.support.gateway import running


@asynccontextmanager
async def upstream(status=b"200 OK"):
    """A server with one answer for everything, and the number of its connections."""
    seen = []

    async def answer(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


async def free_url():
    """The address of a port that nobody listens at any more."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}"


def request(path, method="GET", headers="", version="1.1"):
    host = "Host: localhost\r\n" if version == "1.1" else ""
    return f"{method} {path} HTTP/{version}\r\n{host}{headers}\r\n".encode()


async def get(gateway, path, **kw):
    message = await gateway.ask(request(path, **kw))
    return message.status, json.loads(message.body) if message.body[:1] in (b"{", b"[") else message.body, message


STATUS_KEYS = [
    "id",
    "state",
    "readiness",
    "phase",
    "reason",
    "machine",
    "base_url",
    "managed",
    "places",
    "waiters",
    "leases",
    "idle_for_s",
    "idle_timeout_s",
    "hot_since",
    "last_used",
    "starts",
    "last_start_s",
    "expected_start_s",
    "last_error",
    "cooldown_s",
    "held_until",
]


async def test_health_says_ok_and_the_version_and_needs_no_service():
    async with running() as gateway:
        assert (await get(gateway, "/__health"))[:2] == (200, {"status": "ok", "version": "0.1.0"})


async def test_health_answers_http_1_0_without_a_host():
    async with running() as gateway:
        assert (await get(gateway, "/__health", version="1.0"))[0] == 200


async def test_a_watched_service_that_runs_is_hot_without_a_request():
    async with upstream() as (url, seen), running({"a": {"base_url": url}}) as gateway:
        code, status, _ = await get(gateway, "/v1/services/a/status")
    assert (code, status["state"], status["readiness"], status["base_url"]) == (200, "hot", "ready", url)
    assert list(status) == STATUS_KEYS
    assert len(seen) == 1


async def test_a_watched_service_that_does_not_run_is_cold_with_the_reason():
    url = await free_url()
    async with running({"a": {"base_url": url}}) as gateway:
        _, status, _ = await get(gateway, "/v1/services/a/status")
    assert (status["state"], status["reason"], status["last_error"]) == (
        "cold",
        "connection refused",
        "connection refused",
    )


async def test_the_list_has_every_service_in_the_order_of_the_configuration():
    url = await free_url()
    async with upstream() as (up, _), running({"b": {"base_url": url}, "a": {"base_url": up}}) as gateway:
        _, listed, _ = await get(gateway, "/v1/services")
    assert [(each["id"], each["state"]) for each in listed["services"]] == [("b", "cold"), ("a", "hot")]


async def test_an_upstream_that_says_nothing_delays_a_status_by_about_a_second_only():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    services = {f"s{number}": {"base_url": url} for number in range(5)}
    async with running(services) as gateway:
        began = asyncio.get_running_loop().time()
        _, listed, _ = await get(gateway, "/v1/services")
        assert asyncio.get_running_loop().time() - began < 2.0
    assert {each["state"] for each in listed["services"]} == {"cold"}
    server.close()


async def test_many_who_ask_at_once_cost_one_probe():
    async with upstream() as (url, seen), running({"a": {"base_url": url}}) as gateway:
        await asyncio.gather(*(get(gateway, "/v1/services/a/status") for _ in range(10)))
    assert len(seen) == 1


async def test_an_unknown_service_gets_a_404_that_names_the_nearest():
    url = await free_url()
    async with running({"ollama2": {"base_url": url}}) as gateway:
        code, problem, _ = await get(gateway, "/v1/services/olama/status")
    assert (code, problem["code"]) == (404, "unknown_service")
    assert "'ollama2'" in problem["detail"]


async def test_the_root_lists_addresses_for_programs():
    async with running({"a": {"base_url": await free_url()}}) as gateway:
        code, addresses, _ = await get(gateway, "/")
    assert code == 200
    assert addresses["services"] == {"a": "/services/a/"}


async def test_the_root_leads_a_person_to_the_dashboard():
    async with running() as gateway:
        code, _, message = await get(gateway, "/", headers="Accept: text/html\r\n")
    assert (code, message.get(b"location")) == (302, b"/dashboard/")


async def test_the_dashboard_lists_services_and_their_states():
    async with upstream() as (url, _), running({"a": {"base_url": url}}) as gateway:
        code, body, message = await get(gateway, "/dashboard/")
        moved = await get(gateway, "/dashboard")
    assert code == 200
    assert b'<a href="/services/a/">a</a>: hot' in body
    assert b"script" not in body
    assert b"frame-ancestors 'none'" in message.get(b"content-security-policy")
    assert (moved[0], moved[2].get(b"location")) == (308, b"/dashboard/")


async def test_metrics_are_prometheus_text():
    async with upstream() as (url, _), running({"a": {"base_url": url}}) as gateway:
        await gateway.ask(request("/services/a/x"))
        code, body, message = await get(gateway, "/metrics")
    assert code == 200
    assert message.get(b"content-type").startswith(b"text/plain; version=0.0.4")
    assert b'hestia_requests_total{service="a",code="200"} 1\n' in body
    assert b"hestia_connections " in body


@pytest.mark.parametrize("path", ["/v1/services/a", "/v1/nothing", "/metrics/x", "/__health/", "/dashboard/x"])
async def test_what_is_no_page_is_a_404(path):
    async with running() as gateway:
        code, problem, _ = await get(gateway, path)
    assert (code, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/", "/__health", "/metrics", "/v1/services", "/dashboard/"])
async def test_head_answers_wherever_get_does_without_a_body(path):
    async with running() as gateway:
        code, body, message = await get(gateway, path, method="HEAD")
    assert (code, body) == (200, b"")
    assert int(message.get(b"content-length")) > 0


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "BREW"])
async def test_another_method_is_a_405_that_says_which_are_allowed(method):
    async with running() as gateway:
        code, problem, message = await get(gateway, "/v1/services", method=method)
    assert (code, problem["code"], message.get(b"allow")) == (405, "method_not_allowed", b"GET, HEAD, OPTIONS")


async def test_options_says_what_is_allowed():
    async with running() as gateway:
        code, _, message = await get(gateway, "/v1/services", method="OPTIONS")
    assert (code, message.get(b"allow")) == (204, b"GET, HEAD, OPTIONS")


async def test_own_pages_are_in_the_access_log_without_a_service_or_a_query():
    async with running() as gateway:
        await get(gateway, "/__health?key=secret")
    line = next(each for each in gateway.events if each["event"] == "request")
    assert (line["service"], line["path"], line["status"]) == ("", "/__health", 200)


async def test_with_an_admin_address_own_pages_answer_there_and_health_everywhere():
    async with running(admin_listen=["127.0.0.1:0"]) as gateway:
        assert (await gateway.ask(request("/v1/services"), 0)).status == 404
        assert (await gateway.ask(request("/__health"), 0)).status == 200
        assert (await gateway.ask(request("/v1/services"), 1)).status == 200
