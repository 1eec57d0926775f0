import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_service import launched, slow
from tests.core.test_starts import notes
from tests.support.world import Script, stage

WAKES = {"launch": {"kind": "command", "start": ["wake"], "stop": ["suspend"]}, "idle_timeout": "30s"}
ON_DESK = {"launch": launched(), "machine": "desk", "idle_timeout": "10s"}


def desk(services=None, **machine):
    return stage(services or {"a": ON_DESK}, machines={"desk": {**WAKES, **machine}})


def states_of(one):
    return one.fleet.machines["desk"].state, one.fleet.services["a"].state


def served(one, service="a", seconds=3):
    asker = one.ask(service)
    one.run(seconds)
    assert asker.life is not None
    return asker


def test_a_start_wakes_its_machine_first():
    one = desk()
    one.scripts["desk"] = slow(5)
    asker = one.ask("a")
    one.run(4)
    assert (states_of(one), one.fleet.services["a"].lives[0].phase) == (("starting", "starting"), "waking")
    one.run(2)
    assert asker.life is not None
    assert [kind for kind in one.kinds() if "." in kind] == [
        "service.starting", "machine.waking", "machine.awake", "service.ready",
    ]  # fmt: skip
    assert notes(one, "machine.waking")[0].more == {"who": "a"}


def test_its_wake_has_its_own_time_and_not_the_places():
    one = desk({"a": {**ON_DESK, "start_timeout": "2s"}}, start_timeout="60s")
    one.scripts["desk"] = slow(50)
    asker = one.ask("a")
    one.run(52)
    assert asker.life is not None


def test_one_wake_serves_every_place_on_it():
    one = desk({"a": ON_DESK, "b": ON_DESK})
    first, second = one.ask("a"), one.ask("b")
    one.run(3)
    assert first.life is not None
    assert second.life is not None
    assert len([run for run in one.running.values() if run.of == "machine"]) == 1


def test_one_that_is_awake_already_is_used_as_it_is_and_not_put_to_sleep_by_us():
    one = desk()
    one.scripts["desk"] = Script(checking=lambda _life: [(0.1, states.Found(None))])
    one.end(served(one))
    one.run(60)
    assert states_of(one) == ("cold", "cold")
    assert one.running == {}


def test_one_that_does_not_wake_fails_its_places_with_its_reason_and_the_next_place_is_tried():
    places = [{"launch": launched(), "machine": "desk"}, {"launch": launched()}]
    one = desk({"a": {"places": places, "start_attempts": 3}}, start_attempts=1)
    one.scripts["desk"] = Script(launching=lambda _life: [(0.5, states.Failed("no route to host"))])
    asker = served(one)
    assert asker.life.machine == "local"
    assert notes(one, "place.fallback")[0].more["reason"] == "the machine desk did not wake: no route to host"
    assert one.fleet.machines["desk"].last_error == "no route to host"


def test_its_wake_is_attempted_as_often_as_it_says():
    one = desk(start_attempts=3)
    tries = []

    def launching(_life):
        tries.append(one.now)
        return [(0.1, states.Failed("no"))]

    one.scripts["desk"] = Script(launching=launching)
    asker = one.ask("a")
    one.run(30)
    assert (len(tries), asker.refusal.code) == (3, "start_failed")


def test_it_sleeps_its_idle_time_after_its_last_place():
    one = desk()
    one.end(served(one))
    one.run(10.1)
    assert states_of(one) == ("hot", "cold")
    one.run(29.8)
    assert states_of(one) == ("hot", "cold")
    one.run(0.2)
    assert (states_of(one), one.running, one.written) == (("cold", "cold"), {}, {})


def test_one_without_idle_time_stays_awake():
    one = desk(idle_timeout=0)
    one.end(served(one))
    one.run(100_000)
    assert states_of(one) == ("hot", "cold")


def test_the_command_to_sleep_stops_first_what_is_hot_on_it():
    one = desk()
    one.end(served(one))
    one.scripts["a"] = Script(stopping=lambda _life: [(5, states.Stopped())])
    one.fleet.machines["desk"].sleep("command")
    one.fleet.settle()
    one.run(4)
    assert states_of(one) == ("hot", "stopping")
    one.run(2)
    assert states_of(one) == ("cold", "cold")


def test_the_command_to_sleep_calls_off_what_waits_for_its_wake():
    one = desk()
    one.scripts["desk"] = slow(5)
    asker = one.ask("a")
    one.run(1)
    one.fleet.machines["desk"].sleep("command")
    one.fleet.settle()
    one.run(3)
    assert (asker.refusal.code, states_of(one)) == ("stopped", ("cold", "cold"))


def test_a_request_while_it_goes_to_sleep_wakes_it_again():
    one = desk()
    one.end(served(one))
    one.scripts["a"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    one.scripts["desk"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    one.fleet.machines["desk"].sleep("command")
    one.fleet.settle()
    asker = one.ask("a")
    one.run(8)
    assert asker.life is not None
    assert states_of(one) == ("hot", "hot")


def test_one_that_is_always_awake_is_neither_woken_nor_put_to_sleep():
    one = stage({"a": {}})
    machine = one.fleet.machines["local"]
    machine.wake("command")
    machine.sleep("command")
    one.fleet.settle()
    assert (machine.state, machine.always, one.notes) == ("hot", True, [])


def test_a_command_wakes_it_without_a_service_and_it_sleeps_again_after_its_idle_time():
    one = desk()
    one.fleet.machines["desk"].wake("command")
    one.fleet.settle()
    one.run(1)
    assert states_of(one) == ("hot", "cold")
    one.run(31)
    assert states_of(one) == ("cold", "cold")


def test_one_that_is_lost_is_woken_again_by_the_next_start():
    one = desk()
    one.end(served(one))
    machine = one.fleet.machines["desk"]
    one.fleet.tell(machine.life, states.Exited("no answer"))
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Exited("no answer"))
    one.run(1)
    assert (states_of(one), machine.last_error) == (("cold", "cold"), "no answer")
    served(one)
    assert states_of(one) == ("hot", "hot")


def test_a_place_that_pauses_wakes_its_machine_again_if_that_is_lost_meanwhile():
    one = desk()
    tries = []

    def launching(_life):
        tries.append(one.fleet.machines["desk"].awake)
        return [(0.1, states.Failed("no") if len(tries) == 1 else states.Launched())]

    one.scripts["a"] = Script(launching=launching)
    asker = one.ask("a")
    one.run(0.5)
    assert one.fleet.services["a"].lives[0].phase is Phase.PAUSED
    one.fleet.tell(one.fleet.machines["desk"].life, states.Exited("no answer"))
    one.run(5)
    assert (tries, asker.life is not None) == ([True, True], True)


def test_a_sleep_is_given_up_when_a_place_that_could_not_be_stopped_is_used_again():
    known = {**ON_DESK, "base_url": "http://desk:9"}
    one = desk({"a": known, "b": ON_DESK})
    one.end(served(one))
    one.scripts["a"] = Script(
        checking=lambda life: [(0.1, states.Found(life.run))], stopping=lambda _life: [(0.1, states.StopFailed("engine away"))]
    )
    one.fleet.machines["desk"].sleep("command")
    one.fleet.settle()
    one.run(1)
    first, second = one.ask("a"), one.ask("b")
    one.run(3)
    assert first.life is not None
    assert second.life is not None
    assert one.fleet.machines["desk"].awake


def test_a_held_machine_is_left_out_of_the_places():
    places = [{"launch": launched(), "machine": "desk"}, {"launch": launched()}]
    one = desk({"a": {"places": places}})
    one.fleet.machines["desk"].held_until = float("inf")
    assert served(one).life.machine == "local"


def test_a_start_under_way_elsewhere_does_not_fall_back_to_a_machine_that_is_held_meanwhile():
    places = [{"launch": launched()}, {"launch": launched(), "machine": "desk"}]
    one = desk({"a": {"start_attempts": 1, "places": places}})
    one.scripts["a"] = Script(launching=lambda life: [(5, states.Failed("no") if life.number == 0 else states.Launched())])
    asker = one.ask("a")
    one.run(1)
    one.fleet.machines["desk"].hold(one.fleet.wall() + 600)
    one.fleet.settle()
    one.run(20)
    assert (asker.refusal.code, notes(one, "machine.waking")) == ("start_failed", [])


def test_one_whose_every_machine_is_held_is_refused_with_the_time_that_is_left():
    one = desk()
    one.fleet.machines["desk"].held_until = one.world.wall() + 90
    refusal = one.ask("a").refusal
    assert (refusal.code, refusal.retry_after) == ("held", 90)
    assert refusal.detail == "the operator holds the machine desk for another 90 s"


def test_a_place_inside_keep_warm_keeps_its_machine_awake():
    one = desk({"a": {**ON_DESK, "keep_warm": ["always"]}})
    one.fleet.tick({"a": True})
    for _ in range(50):
        one.run(10)
        one.fleet.tick({"a": True})
    assert states_of(one) == ("hot", "hot")
    one.fleet.tick({"a": False})
    one.run(60)
    assert states_of(one) == ("cold", "cold")


def test_adopted_places_keep_their_adopted_machine_awake():
    one = desk()
    served(one)
    one.again()
    one.run(5)
    assert states_of(one) == ("hot", "hot")
    one.run(60)
    assert (states_of(one), one.written) == (("cold", "cold"), {})


def test_the_end_of_a_stop_that_fails_is_waited_for():
    one = desk()
    one.end(served(one))
    one.scripts["desk"] = Script(stopping=lambda life: [(0.1, states.StopFailed("ssh") if life.tries_to_stop < 2 else states.Stopped())])
    one.run(41)
    assert states_of(one) == ("stopping", "cold")
    one.run(20)
    assert states_of(one) == ("cold", "cold")


@pytest.mark.parametrize("phase", ["wake", "hot"])
def test_a_watched_machine_without_a_launcher_is_waited_for(phase):
    one = stage({"a": {"launch": launched(), "machine": "barn"}}, machines={"barn": {"health": "tcp://barn:22"}})
    one.scripts["barn"] = Script(probing=lambda _life: [(3 if phase == "wake" else 0.1, states.Ready())])
    asker = one.ask("a")
    one.run(5)
    assert asker.life is not None
    assert one.fleet.machines["barn"].awake
