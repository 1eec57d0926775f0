"""The demo server: what the README's curl lines get."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest

from hestia.cli.demo import demo_app, run_demo, serve_until_told, start_demo, told_while_loading
from hestia.launchers.free_port import free_port
from hestia.launchers.process import ProcessLauncher
from hestia.rules.fill import fill
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.run import Run
from tests.house.tree import ROOT
from tests.support.conformance import until


@pytest.fixture
async def demo(aiohttp_client):
    return await aiohttp_client(demo_app())


async def test_the_page_is_html_and_its_links_work_below_a_prefix(demo):
    answer = await demo.get("/")
    text = await answer.text()
    assert answer.content_type == "text/html"
    assert 'href="echo"' in text
    assert 'href="/' not in text


async def test_health_answers(demo):
    assert await (await demo.get("/health")).json() == {"status": "ok"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"])
async def test_echo_tells_what_arrived(demo, method):
    answer = await demo.request(method, "/echo?a=%25b", data=b"hello", headers={"X-One": "1"})
    seen = await answer.json()
    assert seen["method"] == method
    assert seen["path"] == "/echo?a=%25b"
    assert seen["headers"]["X-One"] == "1"
    assert (seen["body_bytes"], seen["body_begins"]) == (5, "hello")


async def test_echo_joins_headers_of_one_name(demo):
    answer = await demo.get("/echo", headers=[("X-Two", "a"), ("X-Two", "b")])
    assert (await answer.json())["headers"]["X-Two"] == "a, b"


async def test_echo_counts_a_body_of_any_size_and_shows_its_begin(demo):
    size = 3_000_000
    seen = await (await demo.post("/echo", data=b"x" * size)).json()
    assert seen["body_bytes"] == size
    assert seen["body_begins"] == "x" * 1024


async def test_the_stream_sends_events_as_they_happen(demo, monkeypatch):
    monkeypatch.setattr("hestia.cli.demo.EVENT_EVERY_S", 0.01)
    answer = await demo.get("/stream")
    assert answer.content_type == "text/event-stream"
    assert await answer.content.readuntil(b"\n\n") == b"id: 1\ndata: event 1 of 10\n\n"
    assert (await answer.text()).endswith("event 10 of 10\n\n")


async def test_the_websocket_repeats_text_and_bytes(demo):
    async with demo.ws_connect("/ws") as talk:
        await talk.send_str("hello")
        assert (await talk.receive()).data == "hello"
        await talk.send_bytes(b"\x00\x01")
        assert (await talk.receive()).data == b"\x00\x01"


async def test_it_runs_in_the_loop_of_its_caller_until_it_is_closed():
    port, close = await start_demo()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
        assert answer.status == 200
    await close()
    with pytest.raises(OSError, match=str(port)):
        await asyncio.open_connection("127.0.0.1", port)


def test_a_taken_port_is_one_line_and_exit_1(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run_demo(port, 0.0) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"127.0.0.1:{port}" in said


def test_a_term_ends_it_with_exit_0():
    words = [sys.executable, "-m", "hestia.cli.hestia", "demo", "--port", "0", "--start-delay", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert "listening on http://127.0.0.1:" in child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        assert child.stderr.readline() == "demo: told to end\n"
        assert child.wait(10) == 0


async def test_a_term_ends_it_also_before_it_listens(capsys):
    demo = asyncio.create_task(serve_until_told(0, 60.0))
    await asyncio.sleep(0)  # one step: it has set its handlers and waits
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(demo, 10)
    assert capsys.readouterr().err == "demo: loading a model that it does not have: 60 s left\n"


def test_the_flaky_one_never_listens_and_exits_1():
    words = [sys.executable, "-m", "hestia.cli.hestia", "demo", "--port", "0", "--as", "flaky", "--start-delay", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("demo: out of memory")


async def test_it_ends_when_the_parent_that_it_names_is_gone(capsys, monkeypatch):
    monkeypatch.setattr("hestia.cli.demo.LOOK_EVERY_S", 0.01)
    parent = os.getppid()
    async with asyncio.TaskGroup() as group:
        demo = group.create_task(serve_until_told(0, 0.0, "chat", parent))
        async with asyncio.timeout(10):
            while "listening" not in capsys.readouterr().err:
                await asyncio.sleep(0.01)
        assert not demo.done()
        monkeypatch.setattr("hestia.cli.demo.os.getppid", lambda: 1 - parent)
        assert await asyncio.wait_for(demo, 10) == 0


async def test_it_takes_its_time_to_start_and_says_how_far_it_is(capsys):
    begin = asyncio.get_running_loop().time()
    assert await told_while_loading(asyncio.Event(), 1.3) is False
    assert asyncio.get_running_loop().time() - begin >= 1.3
    said = capsys.readouterr().err
    assert [line.rpartition(": ")[2] for line in said.splitlines()] == ["2 s left", "1 s left"]
    assert await told_while_loading(asyncio.Event(), 0.0) is False


async def answers(port):
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_it_can_be_launched_with_a_port_of_its_own(tmp_path):
    port = str(free_port())
    launch = ProcessLaunch(command=("hestia", "demo", "--port", "{port}", "--start-delay", "0.2"), env={"PATH": ""})
    run = Run(id="demo-1", owner="demo", machine="local", launch=fill(launch, {"port": port}))
    launcher, handles = ProcessLauncher(tmp_path, ROOT), []

    async def record(handle):
        handles.append(handle)

    await launcher.start(run, record)
    await until(lambda: answers(int(port)))
    assert launcher.stranger(run, f"http://127.0.0.1:{port}/") is None
    end = asyncio.ensure_future(launcher.gone(run))
    await asyncio.sleep(0)
    await launcher.stop(run)
    assert (await end).startswith(("exited with code 0", "ended"))
    said = await launcher.lines(run, 10)
    assert said[0] == "demo: loading a model that it does not have: 1 s left"
    assert said[-1] == "demo: told to end"
