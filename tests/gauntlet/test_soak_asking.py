"""The gauntlet's own tools: a client that knows how an answer ended, a calendar that jumps, a door for one at a time."""

import asyncio
import subprocess
import sys
import time

import pytest

from tests.gauntlet.faults_asking import Broken, Line, Refused, Request, Unanswered
from tests.gauntlet.faults_house import Doorway
from tests.support.wire import FIN, RST, Upstream, reply, saying
from tests.whole.program import ROOT, free_port


async def asked(*steps, method="GET"):
    async with Upstream(saying(*steps)) as upstream:
        line = await Line.open(upstream.port)
        try:
            await line.send(Request("id", method, "/"))
            return await line.answer(method)
        finally:
            line.close()


@pytest.mark.parametrize(
    "step", [reply(b"all"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nal\r\n1\r\nl\r\n0\r\n\r\n"]
)
async def test_a_whole_answer_is_whole(step):
    assert (await asked(step)).body == b"all"


@pytest.mark.parametrize("end", [FIN, RST])
@pytest.mark.parametrize(
    "head", [b"Content-Length: 9\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"Content-Le"]
)
async def test_one_that_breaks_off_is_broken(head, end):
    with pytest.raises((Broken, Unanswered) if end == RST else Broken):  # a reset takes with it what was not read
        await asked(b"HTTP/1.1 200 OK\r\n" + head, end)


@pytest.mark.parametrize("end", [FIN, RST])
async def test_one_that_never_began_is_no_answer(end):
    with pytest.raises(Unanswered):
        await asked(end)


async def test_where_nobody_listens_nothing_was_asked():
    with pytest.raises(Refused):
        await Line.open(free_port())


async def test_a_refusal_of_the_gateway_is_known_by_its_code():
    kind = b"Content-Type: application/problem+json"
    answer = await asked(reply(b'{"code": "held"}', kind, status=b"503 Service Unavailable"))
    assert (answer.status, answer.code) == (503, "held")


async def test_a_line_that_was_closed_between_two_requests_is_over():
    async with Upstream(saying(reply(b"x"), FIN)) as upstream:
        line = await Line.open(upstream.port)
        await line.send(Request("id", "GET", "/"))
        assert not line.is_over
        await line.answer("GET")
        async with asyncio.timeout(5):
            while not line.is_over:
                await asyncio.sleep(0)
        line.close()


async def test_who_is_alone_is_alone():
    door, inside, order = Doorway(), 0, []

    async def passes():
        nonlocal inside
        async with door.passing():
            inside += 1
            await asyncio.sleep(0)
            inside -= 1

    async def alone():
        async with door.alone():
            for _ in range(3):
                order.append(inside)
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for work in (passes, passes, alone, passes, alone, passes):
            tasks.create_task(work())
    assert order == [0] * 6


def test_the_calendar_is_wrong_by_what_the_file_says_and_only_the_calendar(tmp_path):
    (tmp_path / "wrong_by").write_text("86400")
    code = (
        "import time; m, t = time.monotonic(), time.time();"
        "from tests.gauntlet import faults_program as p; p.bend_the_clock();"
        "print(round(time.time() - t), round(time.time_ns() / 1e9 - t), round(time.monotonic() - m))"
    )
    env = {"GAUNTLET_CLOCK": str(tmp_path / "wrong_by"), "GAUNTLET_FIGURES": str(tmp_path / "figures")}
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    wrong, wrong_ns, right = map(int, done.stdout.split())
    assert 86400 <= wrong <= wrong_ns <= 86401 + took
    assert right <= took + 1
