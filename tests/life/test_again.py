"""A gateway ends, in whatever way, and another one begins: nothing runs twice, nothing is orphaned, no stranger is hit."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from hestia.roof.build import build
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log
from tests.life.conftest import children
from tests.life.serving import QUICK, alive, ask, launched, problem, processes_of, reaches, state, told, until, waiting
from tests.support.gateway import Running, config_text
from tests.whole.program import Program


@asynccontextmanager
async def one_gateway(folder, services, *, hard=False, **top):
    """Like `running`, in a folder that stays. `hard`: it ends without stopping anything, as when it was killed."""
    lines = []
    loaded = load_text(config_text(str(folder), services, top), name=f"{folder}/hestia_config.yml")
    gateway = build(loaded.config, Log(lines.append, level="debug"))
    await gateway.open()
    run = Running(gateway, str(folder), lines)
    try:
        yield run
    finally:
        if hard:
            gateway.listening.close()
            gateway.shared.begin_closing()
            gateway.shared.abort()
            await gateway._let_go()
        else:
            await gateway.close(0)
        await asyncio.sleep(0.01)
    mistakes = [event for event in run.events if event["event"] == "internal"]
    assert not mistakes, mistakes


@pytest.fixture
def folder():
    """The data of all gateways of a test. Children of one that ended hard have us for their parent: somebody must reap."""
    with tempfile.TemporaryDirectory(prefix="hestia-") as made:
        yield made
    for pid in children():
        os.waitpid(pid, os.WNOHANG)


async def test_what_still_runs_is_adopted_and_answers_without_a_new_start(diary, folder):
    services = {"a": launched(diary), "b": launched(diary)}
    async with one_gateway(folder, services, hard=True) as run:
        pids = [int((await run.ask(ask(service=id_))).body) for id_ in services]
    assert all(map(alive, pids))
    async with one_gateway(folder, services) as run:
        await reaches(run, "hot", "a")
        await reaches(run, "hot", "b")
        assert [int((await run.ask(ask(service=id_))).body) for id_ in services] == pids
        assert {event["service"] for event in told(run, "place.adopted")} == {"a", "b"}
        assert run.gateway.commands.status("a").managed
    assert len(diary.starts) == 2
    assert not any(map(alive, pids))


async def test_what_is_kept_warm_is_adopted_too_and_not_started_beside_what_still_runs(diary, folder):
    services = {"a": launched(diary, keep_warm=["always"])}
    async with one_gateway(folder, services, hard=True) as run:
        await reaches(run, "hot")
    async with one_gateway(folder, services) as run:
        await reaches(run, "hot")
        assert [event["service"] for event in told(run, "place.adopted")] == ["a"]
    assert len(diary.starts) == 1


async def test_a_request_that_comes_before_the_adopted_one_is_checked_waits_for_it(diary, folder):
    services = {"a": launched(diary, "--ready-after", 0.5, health_url="http://127.0.0.1:{port}/health")}
    async with one_gateway(folder, services, hard=True) as run:
        client = await waiting(run, ask())
        await until(lambda: diary.lines("listen"))
        client.rst()
    async with one_gateway(folder, services) as run:
        assert int((await run.ask(ask())).body) == diary.starts[0]
    assert len(diary.starts) == 1


async def test_what_is_gone_from_the_configuration_is_stopped_and_the_log_says_why(diary, folder):
    async with one_gateway(folder, {"a": launched(diary)}, hard=True) as run:
        await run.ask(ask())
    async with one_gateway(folder, {}) as run:
        await until(lambda: not alive(diary.starts[0]))
        assert "no longer in the configuration" in told(run, "place.left_over")[0]["reason"]


async def test_what_was_changed_in_the_configuration_is_stopped_and_started_anew_by_a_request(diary, folder):
    async with one_gateway(folder, {"a": launched(diary)}, hard=True) as run:
        await run.ask(ask())
    async with one_gateway(folder, {"a": launched(diary, "--print", "new")}) as run:
        await until(lambda: not alive(diary.starts[0]))
        assert "changed" in told(run, "place.left_over")[0]["reason"]
        assert int((await run.ask(ask())).body) == diary.starts[1]


async def test_an_end_meanwhile_is_cold_and_what_its_leader_left_is_ended(diary, folder):
    services = {"a": launched(diary, "--leave", 2)}
    async with one_gateway(folder, services, hard=True) as run:
        await run.ask(ask())
    os.kill(diary.starts[0], signal.SIGKILL)
    async with one_gateway(folder, services) as run:
        await until(lambda: not any(map(alive, diary.children)))
        assert state(run) == "cold"
        assert (await run.ask(ask())).status == 200
        assert len(diary.starts) == 2


async def test_a_pid_that_belongs_to_somebody_else_now_is_neither_adopted_nor_hit(diary, folder):
    services = {"a": launched(diary)}
    async with one_gateway(folder, services, hard=True) as run:
        await run.ask(ask())
        ours = run.gateway.keeper.fleet.services["a"].lives[0].run
    os.killpg(diary.starts[0], signal.SIGKILL)
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"], start_new_session=True) as stranger:
        async with one_gateway(folder, {}) as run:
            assert ours.handle["pid"] == diary.starts[0]
        forged = ours.handle | {"pid": stranger.pid, "pgid": stranger.pid}
        async with one_gateway(folder, services, hard=True) as run:
            await run.gateway.keeper.outside.records.record(replace(ours, handle=forged))
        async with one_gateway(folder, services) as run:
            assert not told(run, "place.adopted")
            assert int((await run.ask(ask())).body) == diary.starts[1]
        assert stranger.poll() is None
        stranger.kill()


async def test_keep_running_outlives_the_gateway_and_is_adopted(diary, folder):
    services = {"a": launched(diary, launch={"keep_running": True})}
    async with one_gateway(folder, services) as run:
        await run.ask(ask())
    assert alive(diary.starts[0])
    async with one_gateway(folder, services) as run:
        await reaches(run, "hot")
        assert int((await run.ask(ask())).body) == diary.starts[0]
        await run.gateway.commands.stop("a", wait=True)
    assert not alive(diary.starts[0])


async def test_a_hold_is_kept_over_a_restart_of_the_gateway(diary, folder):
    services = {"a": launched(diary), "b": launched(diary)}
    async with one_gateway(folder, services) as run:
        await run.gateway.commands.stop("a", hold=float("inf"))
        await run.gateway.commands.stop("b", hold=3600)
    async with one_gateway(folder, services, hard=True) as run:
        assert run.gateway.commands.status("a").held_until == "forever"
        assert problem(await run.ask(ask())) == (503, "held")
        answer = await run.ask(ask(service="b"))
        assert 3500 < int(answer.get(b"retry-after")) <= 3600
        await run.gateway.commands.start("a", wait=5)
    async with one_gateway(folder, services) as run:
        assert run.gateway.commands.status("a").held_until is None
        assert run.gateway.commands.status("b").held_until is not None


async def test_a_service_of_a_fixed_port_that_was_adopted_is_stopped_when_it_is_idle(diary, folder):
    services = {"a": launched(diary, idle_timeout="300ms")}
    async with one_gateway(folder, services, hard=True) as run:
        await run.ask(ask())
    async with one_gateway(folder, services) as run:
        await reaches(run, "hot")
        await reaches(run, "cold")
        assert not alive(diary.starts[0])


async def test_a_second_gateway_on_the_same_data_says_so_and_touches_nothing(diary, folder):
    services = {"a": launched(diary)}
    async with one_gateway(folder, services) as run:
        await run.ask(ask())
        with pytest.raises(CannotStart) as refused:
            async with one_gateway(folder, services):
                pass
        assert folder in str(refused.value)
        assert int((await run.ask(ask())).body) == diary.starts[0]
    assert len(diary.starts) == 1


# --- as a program


CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
data_dir: {folder}
control_socket: {folder}/control.sock
services:
  ollama: null
  a: {service}
"""


@pytest.fixture
def program(tmp_path, folder):
    begun = []

    def start(service, **extra):
        one = Program(tmp_path, CONFIG.format(folder=folder, service=json.dumps(service)), serial=len(begun))
        begun.append(one)
        return one.start(**extra)

    yield start
    for one in begun:
        one.kill()
        print(f"--- {one.log.name}\n{one.stderr[-20_000:]}")


def body_of(gateway, target="/services/a/x"):
    status, _, body = gateway.get(target)
    assert status == 200
    return int(body)


def test_a_gateway_that_was_killed_leaves_its_services_to_the_next(diary, program):
    service = launched(diary)
    first = program(service)
    pid = body_of(first)
    first.kill()
    assert alive(pid)
    second = program(service)
    assert body_of(second) == pid
    assert diary.starts == [pid]
    second.signal(signal.SIGTERM)
    assert second.wait(10) == 0
    assert not alive(pid)


def test_a_gateway_that_was_killed_in_the_middle_of_a_start_leaves_one_of_each(diary, program, tmp_path):
    service = launched(diary, "--delay", 0.3)
    for pause in (0.0, 0.05):
        gateway = program(service)
        with gateway.connect() as client:
            client.sendall(ask())
            client.settimeout(pause or None)
            if pause:
                with pytest.raises(TimeoutError):
                    client.recv(1)
            gateway.kill()
    last = program(service)
    assert body_of(last) in diary.starts
    assert sum(map(alive, diary.starts)) == 1
    last.signal(signal.SIGTERM)
    assert last.wait(10) == 0
    assert not [pid for pid in processes_of(str(tmp_path)) if alive(pid)]


def test_term_lets_a_stream_finish_refuses_who_comes_and_ends_well(diary, program):
    gateway = program(launched(diary))
    body_of(gateway)
    with gateway.connect() as client:
        client.sendall(ask("/stream?1"))
        got = client.recv(65536)
        gateway.signal(signal.SIGTERM)
        while more := client.recv(65536):
            got += more
    assert got.endswith(b"0\r\n\r\n")
    assert gateway.wait(10) == 0
    assert not any(map(alive, diary.starts))
    with pytest.raises(OSError, match="refused"):
        gateway.connect()


def test_a_second_signal_ends_it_at_once_and_leaves_the_services_to_the_next(diary, program):
    service = launched(diary)
    gateway = program(service)
    pid = body_of(gateway)
    with gateway.connect() as client:
        client.sendall(ask("/stream?60"))
        client.recv(65536)
        gateway.signal(signal.SIGTERM)
        while "gateway.stopping" not in gateway.stderr:
            pass
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(5) != 0
    assert alive(pid)
    last = program(service)
    assert body_of(last) == pid
    last.signal(signal.SIGINT)
    assert last.wait(10) == 0
    assert not alive(pid)


def test_a_second_program_on_the_same_data_exits_and_names_it(diary, program, folder, tmp_path):
    first = program(launched(diary))
    pid = body_of(first)
    second = Program(tmp_path, CONFIG.format(folder=folder, service=json.dumps(launched(diary))), serial=99)
    second._write_config()
    second._spawn(None, [sys.executable, "-m", "hestia.cli.hestia", "serve", "--config", str(second.file)], {})
    assert second.wait(10) != 0
    assert folder in second.stderr
    assert body_of(first) == pid
    first.signal(signal.SIGTERM)
    assert first.wait(10) == 0


def test_the_demo_is_slow_then_fast_then_asleep(program):
    service = {"launch": {"kind": "process", "command": ["hestia", "demo", "--port", "{port}", "--start-delay", "0.5"]}, **QUICK, "start_timeout": "20s"}
    gateway = program(service | {"idle_timeout": "1s"})
    status, headers, _ = gateway.get("/services/a/", limit=20)
    assert (status, "server-timing" in headers) == (200, True)
    status, headers, _ = gateway.get("/services/a/")
    assert (status, "server-timing" in headers) == (200, False)
    while '"service.stopped"' not in gateway.stderr:
        assert gateway.healthy()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait(10) == 0
