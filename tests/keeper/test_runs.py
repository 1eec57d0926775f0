"""From a place of the configuration to a run: what is filled in, where it answers, and when it counts as changed."""

import pytest
from msgspec.structs import replace

from hestia.keeper.runs import bare_run, base_url_of, check_of, digest, kind_of, must_be_known, new_run
from hestia.ports import LaunchFailed
from hestia.words.run import Told
from tests.keeper.stage import staged


async def life_of(spec, **top):
    async with staged({"a": spec}, **top) as stage:
        return stage.life(), stage.keeper.outside


PORTED = {"base_url": None, "launch": {"kind": "process", "command": ["serve", "--port", "{port}", "{service}@{machine}", "{data_dir}", "{other}"]}}


async def test_placeholders_are_filled_in_and_every_other_brace_stays():
    life, outside = await life_of(PORTED)
    life.owner.request_id = "r-1"
    run = new_run(life, outside, frozenset({20000}))
    assert run.launch.command == ("serve", "--port", "20001", "a@local", "/data", "{other}")
    assert (run.base_url, run.port, run.socket) == ("http://127.0.0.1:20001", 20001, None)
    assert (run.of, run.owner, run.number, run.machine, run.request_id) == ("service", "a", 0, "local", "r-1")
    assert abs(run.since - outside.wall()) < 5


async def test_a_socket_is_chosen_for_this_run_alone():
    spec = {"base_url": "http+unix://{socket}", "launch": {"kind": "process", "command": ["serve", "{socket}"]}}
    life, outside = await life_of(spec)
    one, other = new_run(life, outside, frozenset()), new_run(life, outside, frozenset())
    assert one.socket == f"/run/{one.id}.sock" != other.socket
    assert (one.launch.command[1], one.base_url) == (one.socket, f"http+unix://{one.socket}")


async def test_a_port_is_chosen_only_where_it_is_named():
    life, outside = await life_of({})
    assert (new_run(life, outside, frozenset()).port, new_run(life, outside, frozenset()).base_url) == (None, "http://a.test")


async def test_a_place_is_asked_for_by_its_name_without_a_port():
    life, outside = await life_of(PORTED)
    run = bare_run(life, outside)
    assert run.port is None
    assert run.launch.command[2] == "{port}"


async def test_where_it_answers_is_what_was_told_then_what_was_chosen_then_what_is_configured():
    life, outside = await life_of({})
    assert base_url_of(life) == "http://a.test"
    life.run = replace(new_run(life, outside, frozenset()), base_url="http://chosen.test")
    assert base_url_of(life) == "http://chosen.test"
    life.run = replace(life.run, told=Told(base_url="http://told.test"))
    assert base_url_of(life) == "http://told.test"


async def test_before_its_port_is_chosen_it_answers_nowhere_and_is_checked_nowhere():
    life, outside = await life_of({**PORTED, "health_url": "http://127.0.0.1:{port}/health"})
    assert (base_url_of(life), check_of(life, outside)) == (None, None)
    with pytest.raises(LaunchFailed, match="HESTIA_BASE_URL"):
        must_be_known(life)
    life.run = new_run(life, outside, frozenset())
    must_be_known(life)
    assert check_of(life, outside).url == "http://127.0.0.1:20000/health"


async def test_a_check_has_its_statuses_and_without_a_health_url_any_will_do():
    life, outside = await life_of({"health_url": "http://a.test/{service}", "health_status": [200, "300-310"], "tls_verify": False})
    assert check_of(life, outside) == ("http://a.test/a", ((200, 200), (300, 310)), False)
    life, outside = await life_of({})
    assert check_of(life, outside) == ("http://a.test", None, True)


async def test_a_told_health_url_goes_before_the_configured_one():
    life, outside = await life_of({"health_url": "http://a.test/health"})
    life.run = replace(new_run(life, outside, frozenset()), told=Told(health_url="http://told.test/up"))
    assert check_of(life, outside).url == "http://told.test/up"


async def test_a_machine_is_checked_by_its_health_alone():
    async with staged({}, machines={"desk": {"health": "tcp://desk.test:22"}, "other": {}}) as stage:
        machines = stage.keeper.fleet.machines
        assert check_of(machines["desk"].life, stage.keeper.outside) == ("tcp://desk.test:22", ((200, 399),), True)
        assert check_of(machines["other"].life, stage.keeper.outside) is None
        assert [kind_of(machines["desk"].life), base_url_of(machines["desk"].life)] == ["machine", None]


@pytest.mark.parametrize(
    ("changed", "same"),
    (
        ({"idle_timeout": "1h"}, True),
        ({"start_timeout": "9s"}, True),
        ({"base_url": "http://other.test"}, False),
        ({"health_url": "http://a.test/h"}, False),
        ({"launch": {"kind": "process", "command": ["serve", "2"]}}, False),
        ({"stop_with": {"kind": "command", "start": ["x"], "stop": ["y"]}}, False),
    ),
)
async def test_what_makes_it_another_place(changed, same):
    before, _ = await life_of({})
    after, _ = await life_of(changed)
    assert (digest(before) == digest(after)) == same


async def test_another_machine_makes_it_another_place():
    before, _ = await life_of({})
    after, _ = await life_of({"machine": "desk"}, machines={"desk": {}})
    assert digest(before) != digest(after)
