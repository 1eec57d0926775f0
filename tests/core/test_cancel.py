"""A start is called off, left, or fails at each of its steps: nothing is left over and nothing hangs."""

from collections.abc import Callable

import pytest

from hestia.words import states
from hestia.words.states import STARTING, Phase
from tests.support.world import Stage, stage

SERVICES = {
    "db": {"idle_timeout": "5s", "needs": {"v": 1}},
    "app": {
        "base_url": "http://127.0.0.1:9",
        "launch": {"kind": "process", "command": ["serve"]},
        "machine": "desk",
        "depends_on": ["db"],
        "needs": {"v": 1},
        "warmup": "1s",
        "start_attempts": 2,
        "start_timeout": "3s",
        "idle_timeout": "5s",
        "failure_cooldown": "1s",
    },
}
MACHINES = {
    "desk": {"launch": {"kind": "command", "start": ["w"], "stop": ["s"]}, "capacity": {"v": 1}, "idle_timeout": "5s"},
    "local": {"capacity": {"v": 1}},
}


def stop(one, _asker):
    one.fleet.services["app"].stop("command")
    one.fleet.settle()


def stop_and_start(one, _asker):
    stop(one, _asker)
    one.fleet.services["app"].begin("command")
    one.fleet.settle()


def hold(one, _asker):
    one.fleet.services["app"].held_until = one.world.wall() + 5
    stop(one, _asker)


def stop_below(one, _asker):
    one.fleet.services["db"].stop("command")
    one.fleet.settle()


def sleep(one, _asker):
    one.fleet.machines["desk"].sleep("command")
    one.fleet.settle()


def leave(one, asker):
    if asker.life is None and asker.refusal is None:
        one.leave("app", asker)


def exit_(one, _asker):
    life = one.fleet.services["app"].lives[0]
    one.fleet.tell(life, states.Exited("killed"))


def lose_the_machine(one, _asker):
    life = one.fleet.machines["desk"].life
    if life.phase in {Phase.HOT, Phase.LAUNCHING, Phase.PROBING, Phase.WARMING}:
        one.fleet.tell(life, states.Exited("killed"))


def lose_what_is_below(one, _asker):
    life = one.fleet.services["db"].lives[0]
    if life.phase in {Phase.HOT, Phase.LAUNCHING, Phase.PROBING}:
        one.fleet.tell(life, states.Exited("killed"))


def kill_the_gateway(one, _asker):
    one.again()


def stops_fail(one, _asker):
    """Twice, then they work."""
    tries = {}

    def stopping(life):
        tries[life.key] = tries.get(life.key, 0) + 1
        return [(0.1, states.StopFailed("engine away") if tries[life.key] <= 2 else states.Stopped())]

    one.scripts[""].stopping = stopping
    stop(one, _asker)


HAPPENINGS = [
    stop, stop_and_start, hold, stop_below, sleep, leave, exit_, lose_the_machine, lose_what_is_below, kill_the_gateway, stops_fail,
]  # fmt: skip


def play(happening: Callable, at: int) -> tuple[Stage, int]:
    """`at`: before which of the world's steps it happens. Returns how many steps there were."""
    one = stage(SERVICES, machines=MACHINES)
    asker = one.ask("app")
    steps = 0
    while one.now < 1400.0:
        if steps == at:
            happening(one, asker)
        steps += 1
        if one.fleet.services["app"].state == "hot" and asker.life is not None and asker.life.leases:
            one.end(asker)
        if not one.step():
            break
    return one, steps


@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda each: each.__name__)
def test_whatever_happens_at_each_step_of_a_start_everything_is_cold_and_gone_in_the_end(happening):
    whole = play(happening, -1)[1]
    assert whole > 10
    for at in range(whole):
        one = play(happening, at)[0]
        where = f"{happening.__name__} before step {at}"
        assert one.running == one.written == {}, where
        assert {service.state for service in one.fleet} == {"cold"}, where
        assert not any(life.phase in STARTING for life in one.fleet.lives()), where
        assert not one.fleet.machines["desk"].awake, where
        assert not any(service.line or service.needing or service.dependents for service in one.fleet), where
        assert not one.fleet.rooms.line, where
