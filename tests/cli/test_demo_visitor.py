"""Who asks in the walk: commands that a shell takes as they stand, and answers as they came."""

import io
import shlex
import socket

import pytest
from aiohttp import web

from hestia.cli.demo_home import Home
from hestia.cli.demo_screen import Screen
from hestia.cli.demo_servers import chat_app
from hestia.cli.demo_visitor import COLUMNS, Visitor, duration, session


async def page(_):
    return web.Response(text="<html><title>slow is\nstarting</title>" + "x" * 500, content_type="text/html", status=503, headers={"Retry-After": "3"})


async def long(_):
    return web.Response(text="\n".join(["a" * 500, "b", "c", "d", "e", "f"]))


async def tell(request):
    return web.json_response({"method": request.method, "x": request.headers.get("X-One"), "body": await request.text()})


@pytest.fixture
async def visitor(aiohttp_server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("hestia.cli.demo_servers.WORD_EVERY_S", 0)
    app = chat_app()
    app.add_routes([web.get("/page", page), web.get("/long", long), web.route("*", "/tell", tell)])
    server = await aiohttp_server(app)
    async with session() as asking:
        yield Visitor(Home(f"http://127.0.0.1:{server.port}", tmp_path), Screen(io.StringIO(), lambda: None), asking)


def told(visitor):
    return visitor.screen._out.getvalue()


async def test_it_shows_the_command_the_status_the_headers_that_matter_the_body_and_the_time(visitor):
    answer = await visitor.curl("/health")
    assert (answer.status, answer.text) == (200, '{"status": "ok"}')
    lines = [line.strip() for line in told(visitor).splitlines() if line.strip()]
    assert lines[:4] == [f"$ curl -i {visitor.home.url}/health", "HTTP/1.1 200 OK", "Content-Type: application/json; charset=utf-8", '{"status": "ok"}']
    assert lines[4].endswith(" ms]")


async def test_of_a_page_it_shows_the_title_and_of_a_long_body_the_begin(visitor):
    await visitor.curl("/page")
    assert "Retry-After: 3\n" in told(visitor)
    assert "<title>slow is\nstarting</title>" in told(visitor)
    assert "xxx" not in told(visitor)
    await visitor.curl("/long")
    assert told(visitor).splitlines()[-6:-1] == ["  " + "a" * (COLUMNS - 3) + "...", "  b", "  c", "  d", "  ..."]


async def test_a_command_is_one_that_a_shell_understands(visitor):
    words = shlex.split(visitor.spelled("/v1/x?a=1&b=2", {"Accept": "text/html"}, {"it's": 'a "model"'}, "-i"))
    assert words == [
        "curl", "-i", "-H", "Accept: text/html", "-H", "Content-Type: application/json",
        "-d", '{"it\'s": "a \\"model\\""}', f"{visitor.home.url}/v1/x?a=1&b=2",
    ]  # fmt: skip


async def test_what_is_shown_is_what_was_sent(visitor):
    answer = await visitor.curl("/tell", headers={"X-One": "1"}, body={"a": 1})
    assert '"POST"' in answer.text
    assert '"x": "1"' in answer.text
    assert "-H 'X-One: 1'" in told(visitor)


async def test_words_of_a_stream_are_shown_as_one_text(visitor):
    status, events = await visitor.chat("/v1/chat/completions", {"model": "m", "stream": True})
    assert status == 200
    assert events > 20
    assert "  Nothing ran before you asked. Hestia found me by the name of my model," in told(visitor)
    assert f"[{events} events; the first after " in told(visitor)


async def test_no_answer_is_shown_as_one_and_raises_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with session() as asking:
        visitor = Visitor(Home(url, tmp_path), Screen(io.StringIO(), lambda: None), asking)
        answer = await visitor.curl("/")
        assert answer.status == 0
        assert "ClientConnectorError" in told(visitor)
        assert await visitor.chat("/v1/chat/completions", {}) == (0, 0)


async def test_hestiactl_is_run_and_what_it_says_is_shown(visitor):
    said = await visitor.hestiactl("status", "slow")
    assert f"{visitor.home.control_socket}" in said
    assert "$ hestiactl status slow\n  " in told(visitor)


@pytest.mark.parametrize("seconds, text", [(0.0041, "4 ms"), (0.9994, "999 ms"), (1.26, "1.3 s"), (12, "12.0 s")])
def test_times_are_short(seconds, text):
    assert duration(seconds) == text
