"""A service that dies while it is hot: who notices, what is lost, and how the next request finds it."""

import asyncio
import os
import signal

import pytest

from tests.life.serving import alive, ask, free_port, launched, problem, reaches, running, somebody, told, until
from tests.support.wire import Upstream


@pytest.mark.parametrize("method", ("GET", "POST"))
async def test_a_request_after_its_death_starts_it_again_and_is_delivered_once(diary, method):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        os.kill(diary.starts[0], signal.SIGKILL)
        await reaches(run, "cold")
        answer = await run.ask(ask("/again", method=method, body=b"x" if method == "POST" else None))
        assert (answer.status, int(answer.body)) == (200, diary.starts[1])
        assert diary.requests == ["GET /x", f"{method} /again"]
        (died,) = told(run, "service.died")
        assert "SIGKILL" in died["reason"]


@pytest.mark.parametrize("method", ("GET", "POST"))
async def test_a_request_in_the_instant_of_its_death_is_delivered_once_or_fails_visibly(diary, method):
    """On a connection to the gateway that stays, so that nothing of ours has to notice first."""
    async with running({"a": launched(diary)}) as run:
        client = await run.dial()
        for number in range(8):
            body = b"x" if method == "POST" else None
            await client.send(ask(f"/{number}", method=method, body=body))
            assert (await client.answer(method.encode())).status == 200
            os.kill(diary.starts[-1], signal.SIGKILL)
            await client.send(ask(f"/after-{number}", method=method, body=body))
            answer = await client.answer(method.encode())
            assert answer.status in (200, 502)
            if answer.status == 502:
                assert problem(answer) == (502, "upstream_failed")
            await reaches(run, "hot") if answer.status == 200 else await reaches(run, "cold")
        assert len(diary.requests) == len(set(diary.requests))


async def test_a_connection_that_is_refused_is_a_death_that_the_request_finds_out(diaries):
    """One that nobody watches: a request finds it gone, and is delivered to the next."""
    theirs, ours, port = diaries("theirs"), diaries("ours"), free_port()
    async with somebody(theirs, port) as child:
        await until(lambda: theirs.lines("listen"))
        async with running({"a": launched(ours, port=port, watch_interval=0)}) as run:
            assert int((await run.ask(ask())).body) == child.pid
            await asyncio.sleep(1.05)  # so soon after ready it would be "not ready yet"
            child.kill()
            await child.wait()
            answer = await run.ask(ask("/post", method="POST", body=b"x"))
            assert (answer.status, int(answer.body)) == (200, ours.starts[0])
            assert ours.requests == ["POST /post"]
            assert len(told(run, "service.died")) == 1


async def test_an_answer_that_its_death_breaks_off_does_not_look_whole(diary):
    async with running({"a": launched(diary)}) as run:
        client = await run.dial()
        await client.send(ask("/stream?30"))
        await client.through(b"data: x")
        os.kill(diary.starts[0], signal.SIGKILL)
        assert not (await client.end()).endswith(b"0\r\n\r\n")
        await reaches(run, "cold")
        assert run.gateway.commands.status("a").leases == 0


async def test_a_request_that_kills_its_service_is_not_sent_again(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        answer = await run.ask(ask("/die", method="POST", body=b"x"))
        assert problem(answer) == (502, "upstream_failed")
        assert diary.requests.count("POST /die") == 1
        await until(lambda: not alive(diary.starts[0]))
        assert (await run.ask(ask())).status == 200


async def test_what_is_left_of_its_process_group_is_ended_before_the_next_start(diary):
    async with running({"a": launched(diary, "--leave", 2)}) as run:
        await run.ask(ask())
        os.kill(diary.starts[0], signal.SIGKILL)
        await reaches(run, "cold")
        assert (await run.ask(ask())).status == 200
        assert not any(map(alive, diary.children[:2]))
        assert all(map(alive, diary.children[2:]))


async def test_a_process_that_ends_by_itself_is_said_to_have_died_with_its_code(diary):
    async with running({"a": launched(diary, "--die-after", 0.2)}) as run:
        await run.ask(ask())
        await reaches(run, "cold")
        (died,) = told(run, "service.died")
        assert "code 7" in died["reason"]
        assert "code 7" in run.gateway.commands.status("a").last_error


async def test_many_waiters_of_a_service_that_died_are_one_new_start(diary):
    async with running({"a": launched(diary, "--delay", 0.1)}) as run:
        await run.ask(ask())
        os.kill(diary.starts[0], signal.SIGKILL)
        while alive(diary.starts[0]):
            pass  # without a turn of the loop: the gateway does not know yet
        answers = await asyncio.gather(*(run.ask(ask(f"/{number}")) for number in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert len(diary.starts) == 2
        assert len(diary.requests) == 21


async def test_what_is_watched_by_its_check_is_cold_after_two_failed_ones():
    async def unhealthy(wire):
        while True:
            await wire.message()
            await wire.play([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"])

    async with Upstream() as upstream:
        service = {"base_url": upstream.base_url, "health_url": f"{upstream.base_url}/health", "watch_interval": "30ms"}
        async with running({"a": service}, hot=False) as run:
            await run.gateway.commands.look(["a"])
            await reaches(run, "hot")
            upstream.script = unhealthy
            for wire in upstream.wires:
                wire.close()
            await until(lambda: told(run, "service.died"))
            assert "500" in told(run, "service.died")[0]["reason"]
