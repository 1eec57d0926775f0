"""`/v1/services/{id}/logs`."""

import pytest

from tests.life.serving import until
from tests.support.asking import get, post, raw, said, streaming
from tests.support.gateway import running


def talking(tmp_path):
    """Says three lines, and then what is written to a file; ready after a moment."""
    words = tmp_path / "words"
    words.touch()
    script = 'for n in 1 2 3; do echo "line $n"; done; exec tail -n 0 -f "$0"'
    launch = {"kind": "process", "command": ["sh", "-c", script, str(words)], "stop_grace": "2s"}
    return {"a": {"launch": launch, "base_url": "http://127.0.0.1:1", "warmup": "50ms"}}, words


async def test_the_last_lines_are_oldest_first(tmp_path):
    services, _ = talking(tmp_path)
    async with running(services) as run:
        await post(run, "/v1/services/a/start?wait=true")
        assert await get(run, "/v1/services/a/logs") == (200, {"lines": ["line 1", "line 2", "line 3"]})
        assert await get(run, "/v1/services/a/logs?lines=1") == (200, {"lines": ["line 3"]})
        assert await get(run, "/v1/services/a/logs?lines=0") == (200, {"lines": []})


@pytest.mark.parametrize("lines", ["-1", "x", "1.5", "10001", ""])
async def test_a_number_of_lines_that_is_none_is_a_400(tmp_path, lines):
    services, _ = talking(tmp_path)
    async with running(services) as run:
        message = await run.ask(raw("GET", f"/v1/services/a/logs?lines={lines}"))
    assert (message.status, said(message)["code"]) == (400, "bad_request")


async def test_what_hestia_did_not_launch_has_no_log():
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        status, problem = await get(run, "/v1/services/a/logs")
    assert (status, problem["code"], problem["service"]) == (404, "not_found", "a")


async def test_who_follows_gets_the_last_lines_and_then_each_as_it_is_written(tmp_path):
    services, words = talking(tmp_path)
    async with running(services) as run:
        await post(run, "/v1/services/a/start?wait=true")
        async with streaming(run, "/v1/services/a/logs?follow=true&lines=2") as stream:
            assert b"Content-Type: text/event-stream" in stream.head
            assert [each["line"] for each in stream.data] == ["line 2", "line 3"]
            with words.open("a") as file:
                file.write('so it "goes"\r on\n')
            await stream.until(lambda: len(stream.data) == 3, 10)
            assert stream.data[2]["line"] == 'so it "goes"\r on'
        await until(lambda: not run.gateway.shared.server.streams)


async def test_a_follower_that_leaves_lets_go_of_the_file(tmp_path):
    services, _ = talking(tmp_path)
    async with running(services) as run:
        await post(run, "/v1/services/a/start?wait=true")
        async with streaming(run, "/v1/services/a/logs?follow=true"):
            assert len(run.gateway.shared.server.streams) == 1
        await until(lambda: not run.gateway.shared.fronts)
        assert len(run.gateway.shared.server.streams) == 0
