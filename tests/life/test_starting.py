"""A request for a cold service starts it once, waits until it is ready, and is delivered once."""

import asyncio
import os
import time

import pytest

from tests.life.serving import (
    alive,
    ask,
    detail,
    free_port,
    launched,
    problem,
    processes_of,
    program,
    reaches,
    running,
    somebody,
    state,
    told,
    until,
    waiting,
)


async def test_a_request_to_a_cold_service_starts_it_and_gets_its_answer(diary):
    async with running({"a": launched(diary)}) as run:
        assert state(run) == "cold"
        answer = await run.ask(ask())
        assert (answer.status, int(answer.body)) == (200, diary.starts[0])
        assert diary.requests == ["GET /x"]
        assert state(run) == "hot"
        (starting,), (ready,) = told(run, "service.starting"), told(run, "service.ready")
        assert starting["request_id"] == ready["request_id"] == answer.get(b"x-request-id").decode()
        assert (starting["cause"], ready["cause"]) == ("request", "request")
    assert not alive(diary.starts[0])


@pytest.mark.parametrize("count", (2, 50))
async def test_many_first_requests_are_one_start_and_arrive_in_their_order(diary, gate, count):
    async with running({"a": launched(diary, "--gate", gate, max_concurrency=1)}) as run:
        clients = [await waiting(run, ask(f"/{number}"), number + 1) for number in range(count)]
        gate.touch()
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert [answer.status for answer in answers] == [200] * count
        assert diary.requests == [f"GET /{number}" for number in range(count)]
        status = run.gateway.commands.status("a")
        assert (len(diary.starts), status.starts, status.waiters, status.leases) == (1, 1, 0, 0)


async def test_only_what_waited_for_a_start_says_how_long_it_took(diary):
    async with running({"a": launched(diary, "--delay", 0.1)}) as run:
        cold, hot = await run.ask(ask()), await run.ask(ask())
        name, _, took = cold.get(b"server-timing").partition(b";dur=")
        assert (name, 100 <= int(took) < 5000) == (b"start", True)
        assert hot.get(b"server-timing") is None


async def test_what_waited_for_its_turn_alone_does_not_say_that_it_waited_for_a_start(diary):
    async with running({"a": launched(diary, max_concurrency=1)}) as run:
        await run.ask(ask())
        first = await run.dial()
        await first.send(ask("/slow?0.2"))
        await until(lambda: run.gateway.commands.status("a").leases)
        second = await waiting(run, ask())
        assert (await second.answer()).get(b"server-timing") is None
        assert (await first.answer()).get(b"server-timing") is None


async def test_nobody_is_sent_to_a_service_that_does_not_listen_yet(diary):
    async with running({"a": launched(diary, "--delay", 0.3)}) as run:
        answer = await run.ask(ask())
        assert answer.status == 200
        assert float(diary.lines("request")[0][0]) >= diary.ready_at


# --- readiness


async def test_it_is_ready_when_its_health_says_so_and_not_when_it_listens(diary):
    service = launched(diary, "--ready-after", 0.3, health_url="http://127.0.0.1:{port}/health")
    async with running({"a": service}) as run:
        assert (await run.ask(ask())).status == 200
        assert float(diary.lines("request")[0][0]) >= diary.ready_at + 0.3


async def test_a_warmup_follows_the_check(diary):
    service = launched(diary, health_url="http://127.0.0.1:{port}/health", warmup="300ms")
    async with running({"a": service}) as run:
        client = await waiting(run, ask())
        await until(lambda: run.gateway.commands.status("a").phase == "warming")
        assert (await client.answer()).status == 200
        assert float(diary.lines("request")[0][0]) >= diary.ready_at + 0.3


async def test_a_warmup_alone_is_the_whole_check(diary):
    async with running({"a": launched(diary, warmup="800ms")}) as run:
        began = time.monotonic()
        assert (await run.ask(ask())).status == 200
        assert time.monotonic() - began >= 0.8
        assert diary.requests == ["GET /x"]


async def test_a_tcp_check_is_enough_when_it_accepts(diary):
    async with running({"a": launched(diary, "--delay", 0.1, health_url="tcp://127.0.0.1:{port}")}) as run:
        assert (await run.ask(ask())).status == 200


async def test_a_check_with_other_statuses_passes_by_them(diary):
    service = launched(diary, "--health", "401 No", health_url="http://127.0.0.1:{port}/health", health_status=[401])
    async with running({"a": service}) as run:
        assert (await run.ask(ask())).status == 200


async def test_health_that_flaps_does_not_end_what_runs_nor_lose_a_request(diary):
    service = launched(diary, "--flap", 2, health_url="http://127.0.0.1:{port}/health", watch_interval="30ms")
    async with running({"a": service}) as run:
        for _ in range(20):
            assert (await run.ask(ask("/slow?0.02"))).status == 200
        assert len(diary.starts) == 1


async def test_a_redirect_of_the_check_is_not_followed(diary):
    service = launched(diary, "--redirect", "/health2", health_url="http://127.0.0.1:{port}/health", health_status=[200], start_timeout="1s")
    async with running({"a": service}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "302" in detail(answer)


@pytest.mark.parametrize("body", ("huge", "endless"))
async def test_the_body_of_a_check_is_not_waited_for(diary, body):
    service = launched(diary, "--health-body", body, health_url="http://127.0.0.1:{port}/health")
    async with running({"a": service}) as run:
        assert (await run.ask(ask())).status == 200


async def test_a_check_that_hangs_fails_the_start_in_its_time(diary):
    service = launched(diary, "--health-body", "hangs", health_url="http://127.0.0.1:{port}/health", start_timeout="400ms")
    async with running({"a": service}) as run:
        began = time.monotonic()
        assert problem(await run.ask(ask())) == (503, "start_failed")
        assert 0.4 <= time.monotonic() - began < 2


# --- addresses


async def test_an_address_told_by_the_output_is_where_requests_go(diary):
    async with running({"a": launched(diary, "--tell", 0.1)}) as run:
        answer = await run.ask(ask())
        assert (answer.status, int(answer.body)) == (200, diary.starts[0])
        assert run.gateway.commands.status("a").base_url.startswith("http://127.0.0.1:")


async def test_an_address_told_by_a_start_command_is_where_requests_go(diary, tmp_path):
    script = tmp_path / "start.sh"
    port = free_port()
    words = " ".join(program(diary, port=port))
    script.write_text(f"{words} >/dev/null 2>&1 & echo $! > {tmp_path}/pid; echo HESTIA_BASE_URL=http://127.0.0.1:{port}\n")
    launch = {"kind": "command", "start": ["sh", str(script)], "stop": ["sh", "-c", f"kill $(cat {tmp_path}/pid)"]}
    async with running({"a": {"launch": launch, "start_timeout": "5s"}}) as run:
        answer = await run.ask(ask())
        assert (answer.status, int(answer.body)) == (200, diary.starts[0])


async def test_a_start_that_tells_no_address_fails_and_says_so(diary):
    async with running({"a": launched(diary, port=None, start_timeout="400ms")}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "HESTIA_BASE_URL" in detail(answer)


async def test_a_private_socket_is_chosen_at_each_start(diary):
    service = launched(diary, "--unix", "{socket}", base_url="http+unix://{socket}")
    async with running({"a": service}) as run:
        answer = await run.ask(ask())
        assert (answer.status, int(answer.body)) == (200, diary.starts[0])


async def test_a_port_is_chosen_anew_at_each_start(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        first = run.gateway.commands.status("a").base_url
        await run.gateway.commands.stop("a", wait=True)
        assert state(run) == "cold"
        assert (await run.ask(ask())).status == 200
        assert len(diary.starts) == 2
        assert first.startswith("http://127.0.0.1:")


# --- what runs there already


async def test_what_answers_already_is_used_as_it_is_and_only_forgotten_when_idle(diaries, diary):
    port, theirs = free_port(), diaries("theirs")
    async with somebody(theirs, port) as child:
        await until(lambda: theirs.lines("listen"))
        async with running({"a": launched(diary, port=port, idle_timeout="200ms")}) as run:
            assert (await run.ask(ask())).status == 200
            assert run.gateway.commands.status("a").managed is False
            await reaches(run, "cold")
            assert (await run.ask(ask())).status == 200
        assert (diary.starts, child.returncode) == ([], None)


async def test_a_stranger_on_the_port_of_what_we_started_is_not_taken_for_it(diaries, diary, gate):
    """It began to listen after the check and before our own could."""
    port, theirs = free_port(), diaries("theirs")
    async with somebody(theirs, port, "--gate", gate), running({"a": launched(diary, "--delay", 1, port=port)}) as run:
        client = await waiting(run, ask())
        await until(lambda: diary.starts)
        gate.touch()
        answer = await client.answer()
        assert problem(answer) == (503, "start_failed")
        assert "the port is taken" in detail(answer)
        assert theirs.requests == []


async def test_a_port_that_is_taken_by_what_does_not_pass_the_check_fails_the_start_with_its_own_words(diaries, diary):
    port, theirs = free_port(), diaries("theirs")
    service = launched(diary, port=port, health_url=f"http://127.0.0.1:{port}/health")
    async with somebody(theirs, port, "--health", "404 No"), running({"a": service}) as run:
        await until(lambda: theirs.lines("listen"))
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "Address already in use" in detail(answer)
        assert theirs.requests == []


# --- many


async def test_twenty_services_start_at_once_and_the_gateway_answers_meanwhile(diaries):
    services = {f"s{number}": launched(diaries(str(number)), "--delay", 0.2) for number in range(20)}
    async with running(services) as run:
        starts = [asyncio.create_task(run.ask(ask(service=id_), within=15)) for id_ in services]
        took = []
        while not all(task.done() for task in starts):
            began = time.monotonic()
            assert (await run.ask(b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n")).status == 200
            took.append(time.monotonic() - began)
        assert [task.result().status for task in starts] == [200] * 20
        assert sorted(took)[int(len(took) * 0.9)] < 1.0  # how quick it is, the bench says
        assert {state(run, id_) for id_ in services} == {"hot"}


async def test_cycles_of_start_and_stop_leave_no_process_and_no_descriptor(diary, tmp_path):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        await run.gateway.commands.stop("a", wait=True)
        before = descriptors()
        for _ in range(10):
            assert (await run.ask(ask())).status == 200
            await run.gateway.commands.stop("a", wait=True)
        await until(lambda: descriptors() <= before + 2, what=descriptors)
        assert not processes_of(str(tmp_path))
        assert len(diary.starts) == len(set(diary.starts)) == 11


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_with_a_warmup_and_nothing_else_it_is_warm_after_it_and_cold_when_idle(diary):
    port = free_port()
    async with somebody(diary, port), running({"a": {"base_url": f"http://127.0.0.1:{port}", "warmup": "0.2s", "idle_timeout": "0.3s"}}, hot=False) as run:
        began = time.monotonic()
        assert (await run.ask(ask())).status == 200
        assert time.monotonic() - began >= 0.2
        await reaches(run, "cold")
        assert (await run.ask(ask())).status == 200
