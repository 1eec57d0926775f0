"""Three machines: one on the desk, one in the loft, one rented. Real sshd, real magic packets, Semaphore's double."""

import asyncio
import os
import tempfile

import pytest
from aiohttp import web

from hestia.launchers.wake_on_lan import magic_packet
from tests.engines.machines import Lan, Machine, ssh_with
from tests.support.conformance import until
from tests.support.gateway import running
from tests.support.semaphore_double import TOKEN, Play, SemaphoreDouble

WITHIN_S = 60
OUTSIDE = {"machine.failed", "service.start_failed"}
TIMES = {"start_timeout": "20s", "start_attempts": 1, "idle_timeout": "0.5s"}


@pytest.fixture
def desk(tmp_path):
    machine = Machine("desk", tmp_path / "desk", "127.0.0.2", "02:00:00:00:00:01")
    yield machine
    machine.clear()


@pytest.fixture
def loft(tmp_path):
    machine = Machine("loft", tmp_path / "loft", "127.0.0.3", "02:00:00:00:00:02")
    yield machine
    machine.clear()


@pytest.fixture
async def lan(desk, loft):
    async with Lan.open([desk, loft]) as lan:
        yield lan


@pytest.fixture
async def cloud():
    """Semaphore, and what its playbook brings up: a machine whose address nobody knows before."""
    double = SemaphoreDouble()
    double.project()

    async def answer(_request):
        return web.Response(text="cloud") if double.up.get("far") else web.Response(status=503)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.4", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    for name in ("cloud", "far"):
        told = ("PLAY [rent] ***", f'    "msg": "HESTIA_BASE_URL=http://127.0.0.4:{port}"') if name == "far" else ()
        double.template(f"{name}-start", Play(lines=told, lasts=0.2))
        double.template(f"{name}-stop", Play(lasts=0.1))
    await double.open()
    yield double
    await double.close()
    await runner.cleanup()


@pytest.fixture
async def gateway(desk, loft, lan, cloud, tmp_path, monkeypatch):
    """A short folder for ssh's own sockets, as a unix socket needs."""
    bin_ = ssh_with(tmp_path, [desk, loft])
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    services = {
        "first": {"places": [desk.place("first"), loft.place("first")]},
        "second": {"places": [desk.place("second"), loft.place("second")]},
        "far": {"places": [desk.place("far"), {"machine": "cloud", "launch": {"kind": "semaphore"}}]},
    }
    for service in services.values():
        service |= {"needs": {"vram": 24}, "min_hot": 0, "health_interval": "50ms"}
    machines = {
        each.name: each.spec(lan.port, capacity={"vram": 24}, start_timeout="10s", start_attempts=1, idle_timeout="0.5s")
        for each in (desk, loft)
    }
    machines["cloud"] = {"launch": {"kind": "semaphore"}, "start_timeout": "20s", "idle_timeout": "0.5s"}
    semaphore = {"base_url": cloud.url, "token": TOKEN}
    with tempfile.TemporaryDirectory(prefix="hs", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        options = {"machines": machines, "semaphore": semaphore, "defaults": TIMES, "strict": False}
        async with running(services, **options) as gateway:
            yield gateway
    assert not gateway.unseen, gateway.unseen
    mistakes = [event for event in gateway.events if event["level"] == "error" and event["event"] not in OUTSIDE]
    assert not mistakes, mistakes


async def ask(gateway, service, path="/"):
    raw = f"GET /services/{service}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    answer = await gateway.ask(raw, within=WITHIN_S)
    return answer.status, answer.body.decode()


def states(gateway):
    return {machine.id: machine.state for machine in gateway.gateway.fleet.machines.values()}


async def all_asleep(gateway, machines=("desk", "loft", "cloud")):
    await until(lambda: all(states(gateway)[id_] == "cold" for id_ in machines), "their sleep", WITHIN_S)


def said(gateway, event, **more):
    return [
        each for each in gateway.events if each["event"] == event and all(each.get(key) == more[key] for key in more)
    ]


async def test_only_a_valid_packet_of_its_own_wakes_a_machine(desk, loft, lan):
    good = magic_packet(desk.mac)
    for packet in (b"", good[:-1], good + b"\0", good[1:] + b"\0", magic_packet("02:00:00:00:00:09")):
        lan.send(packet)
    await until(lambda: len(lan.heard) == 5)
    assert not desk.awake
    lan.send(good)
    await until(lambda: desk.awake)
    assert (desk.woken, loft.woken) == (1, 0)


async def test_a_machine_that_sleeps_is_woken_and_falls_asleep_again(desk, loft, lan, gateway):
    assert await ask(gateway, "first") == (200, "desk")
    assert set(lan.heard) == {magic_packet(desk.mac)}
    assert states(gateway) == {"local": "hot", "desk": "hot", "loft": "cold", "cloud": "cold"}
    await all_asleep(gateway)
    assert not desk.awake
    assert said(gateway, "machine.asleep", machine="desk")
    assert await ask(gateway, "first") == (200, "desk")
    assert (desk.woken, loft.woken) == (2, 0)
    await all_asleep(gateway)


async def test_where_one_machine_is_full_the_next_is_woken(desk, loft, gateway):
    desk.hold.touch()
    held = asyncio.ensure_future(ask(gateway, "first", "/hold"))
    await until(lambda: desk.awake and said(gateway, "service.ready", service="first"), within=WITHIN_S)
    assert await ask(gateway, "second") == (200, "loft")
    assert not held.done()
    assert states(gateway)["desk"] == "hot"
    desk.hold.unlink()
    assert await held == (200, "desk")
    await all_asleep(gateway)
    assert (desk.awake, loft.awake) == (False, False)
    assert (desk.woken, loft.woken) == (1, 1)


async def test_where_one_machine_is_dead_the_rented_one_is_used_at_the_address_that_it_told(desk, cloud, gateway):
    desk.dead = True
    answers = asyncio.ensure_future(ask(gateway, "far"))
    await until(lambda: said(gateway, "machine.waking", machine="desk"))
    assert await answers == (200, "cloud")
    fallback = said(gateway, "place.fallback", service="far")
    assert [(each["machine"], each["to"]) for each in fallback] == [("desk", "cloud")]
    assert "did not wake" in fallback[0]["reason"]
    assert cloud.up == {"cloud": 1, "far": 1}
    await all_asleep(gateway)
    assert cloud.up == {"cloud": 0, "far": 0}
    assert [message.rsplit(":", 1)[0] for message in cloud.began()] == [
        "hestia:cloud:start",
        "hestia:far:start",
        "hestia:far:stop",
        "hestia:cloud:stop",
    ]
    assert not desk.awake
