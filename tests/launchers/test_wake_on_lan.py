"""A magic packet to a loopback address. Of the conformance suite only starting applies: it cannot stop and not ask."""

import asyncio
import socket

import pytest

from hestia.launchers.wake_on_lan import Pace, WakeOnLan, magic_packet
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch, WakeOnLanLaunch
from hestia.words.run import Run, Told
from tests.support.conformance import Shelf, cancelled_at, started

MAC = "aa:bb:cc:dd:ee:ff"
PACKET = b"\xff" * 6 + bytes.fromhex("aabbccddeeff") * 16
QUICK = Pace(apart=0.001, again=0.001, limit=5)


@pytest.fixture
def card():
    """A network card that listens, woken by nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.bind(("", 0))
        channel.setblocking(False)
        yield channel


def run_for(card, broadcast="127.255.255.255", **more):
    launch = WakeOnLanLaunch(mac=MAC, broadcast=broadcast, port=card.getsockname()[1] if card else 9)
    return Run(**(dict(id="1", of="machine", owner="desk", machine="desk", launch=launch) | more))


def heard(card):
    packets = []
    while True:
        try:
            packets.append(card.recv(2048))
        except BlockingIOError:
            return packets


@pytest.mark.parametrize("mac", [MAC, "AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff", "aabbccddeeff"])
def test_a_packet_is_six_times_ff_and_sixteen_times_the_address(mac):
    assert magic_packet(mac) == PACKET
    assert len(PACKET) == 102


async def test_a_start_sends_some_packets_to_the_broadcast_address(card):
    shelf = Shelf(run_for(card))
    assert await WakeOnLan(pace=QUICK).start(shelf.run, shelf.record) == Told()
    assert heard(card) == [PACKET] * 3


async def test_the_handle_is_written_down_before_the_first_packet(card):
    seen = []

    async def record(handle):
        seen.append(heard(card))

    await WakeOnLan(pace=QUICK).start(run_for(card), record)
    assert seen == [[]]


async def test_with_a_check_packets_are_sent_until_it_is_awake(card):
    asked = []

    async def ready(run):
        asked.append(run.owner)
        return len(asked) == 3

    await started(WakeOnLan(pace=QUICK, ready=ready), run_for(card))
    assert heard(card) == [PACKET] * 9
    assert asked == ["desk"] * 3


async def test_what_never_wakes_is_given_up(card):
    async def never(run):
        return False

    with pytest.raises(LaunchFailed, match=r"it did not wake within 0.02s"):
        await started(WakeOnLan(pace=QUICK._replace(limit=0.02), ready=never), run_for(card))


async def test_the_state_is_what_was_done_and_never_unknown(card):
    launcher = WakeOnLan(pace=QUICK)
    run = run_for(card)
    assert await launcher.state(run) == "stopped"
    run = await started(launcher, run)
    assert await launcher.state(run) == "running"
    assert await WakeOnLan().state(run) == "running"


async def test_a_stop_says_what_to_set(card):
    run = await started(WakeOnLan(pace=QUICK), run_for(card))
    with pytest.raises(LaunchFailed, match="cannot put a machine to sleep: set stop_with"):
        await WakeOnLan().stop(run)


async def test_what_was_never_woken_needs_no_stop(card):
    await WakeOnLan().stop(run_for(card))


async def test_a_start_may_be_cancelled_at_any_wait(card):
    for n in range(1, 50):
        shelf = Shelf(run_for(card))
        was_cancelled = await cancelled_at(WakeOnLan(pace=QUICK).start(shelf.run, shelf.record), n)
        assert shelf.handles or not heard(card), "a packet was sent, and nothing is written down"
        heard(card)
        if not was_cancelled:
            return
    pytest.fail("a start does not end")


@pytest.mark.parametrize("broadcast", ["name.invalid", "240.0.0.1"])
async def test_an_address_that_cannot_be_reached_is_said(broadcast, monkeypatch):
    def refuse(*_):
        raise OSError(101, "Network is unreachable")

    if broadcast[0].isdigit():
        monkeypatch.setattr("hestia.launchers.wake_on_lan._send", refuse)
    with pytest.raises(LaunchFailed, match=broadcast):
        await asyncio.wait_for(started(WakeOnLan(pace=QUICK), run_for(None, broadcast)), 10)


async def test_what_has_no_packet_is_refused():
    with pytest.raises(LaunchFailed, match="no magic packet"):
        await started(WakeOnLan(), Run(id="1", owner="a", machine="b", launch=CommandLaunch(start=("true",))))
