"""What an earlier gateway wrote down: adopted, ended, forgotten, or asked about again; never two of one."""

from math import inf

from msgspec.structs import replace

from hestia.keeper.adoption import adopt
from hestia.ports import Seen
from tests.keeper.stage import staged
from tests.support.fake_launcher import fake_run


async def left_running(*ids, **top):
    """A gateway started these, and was killed: what runs, and what is written down."""
    async with staged({id_: {} for id_ in ids}, **top) as stage:
        for id_ in ids:
            await stage.commands.start(id_, wait=2)
    return stage.launcher.world, stage.notebook


async def adopted(stage):
    await adopt(stage.keeper, list(stage.notebook.runs.values()))


async def test_what_runs_and_is_wanted_is_hot_again_without_a_start():
    world, notebook = await left_running("a", "b")
    async with staged({"a": {}, "b": {}}, world=world, notebook=notebook) as stage:
        await adopted(stage)
        await stage.reaches("hot", "a")
        await stage.reaches("hot", "b")
        assert stage.launcher.did == []
        assert stage.commands.status("a").managed
        assert [note.cause for note in stage.notes if note.kind == "place.adopted"] == ["adoption"] * 2
        await stage.commands.stop("a", wait=True)
        assert (list(world.running), len(notebook.runs)) == (["service:b:0"], 1)


async def test_its_end_is_noticed_after_the_adoption():
    world, notebook = await left_running("a")
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        await stage.reaches("hot")
        world.end("service:a:0")
        await stage.reaches("cold")


async def test_what_has_ended_meanwhile_is_ended_for_good_and_forgotten_in_silence():
    world, notebook = await left_running("a")
    world.end("service:a:0")
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        assert (stage.state(), notebook.runs, stage.notes) == ("cold", {}, [])
        assert stage.launcher.did == [("stop", "a")]  # what its leader left behind


async def test_what_is_no_longer_configured_is_stopped_and_the_reason_is_told():
    world, notebook = await left_running("a", "gone")
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        assert list(world.running) == ["service:a:0"]
        (note,) = [note for note in stage.notes if note.kind == "place.left_over"]
        assert (note.service, note.more["reason"]) == ("gone", "it is no longer in the configuration")


async def test_what_was_changed_in_the_configuration_is_stopped():
    world, notebook = await left_running("a")
    async with staged({"a": {"health_url": "http://a.test/new"}}, world=world, notebook=notebook) as stage:
        await adopted(stage)
        assert (world.running, notebook.runs, stage.state()) == ({}, {}, "cold")


async def test_a_place_that_is_gone_from_its_service_is_stopped():
    two = {"places": [{"base_url": "http://a.test"}, {"base_url": "http://b.test", "machine": "desk"}], "replicas": 2}
    async with staged({"a": two}, machines={"desk": {}}) as before:
        before.answers["http://b.test"] = Seen("later")
        await before.commands.start("a", wait=2)
        await before.until(lambda: len(before.notebook.runs) == 2)
    world, notebook = before.launcher.world, before.notebook
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        assert "service:a:1" not in world.running


async def test_what_could_not_be_stopped_stays_written_down_and_is_tried_again():
    world, notebook = await left_running("gone")
    async with staged(world=world, notebook=notebook) as stage:
        stage.launcher.fails_to_stop["gone"] = "permission denied"
        await adopted(stage)
        assert len(notebook.runs) == 1
        assert "could not be stopped: permission denied" in stage.notes[-1].more["reason"]
        stage.launcher.fails_to_stop.clear()
        await stage.keeper.ask_again()
        assert (world.running, notebook.runs) == ({}, {})


# --- an engine that cannot be asked


async def test_an_engine_out_of_reach_is_asked_again_and_nothing_is_done_meanwhile(monkeypatch):
    monkeypatch.setattr("hestia.keeper.keeper.TICK", 0.005)
    world, notebook = await left_running("a")
    world.down = True
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        assert (stage.state(), len(notebook.runs), stage.launcher.did) == ("cold", 1, [])
        world.down = False
        stage.ahead += 11
        await stage.reaches("hot")
        assert stage.launcher.did == []


async def test_what_answers_is_ours_by_what_is_written_down_also_while_its_engine_is_out_of_reach():
    world, notebook = await left_running("a")
    world.down = True
    async with staged(world=world, notebook=notebook) as stage:
        stage.answers["http://a.test"] = Seen()
        await adopted(stage)
        status = await stage.commands.start("a", wait=2)
        assert status.managed
        world.down = False
        await stage.commands.stop("a", wait=True)
        assert (world.running, notebook.runs) == ({}, {})


async def test_a_start_goes_on_with_what_is_written_down():
    world, notebook = await left_running("a")
    (run,) = notebook.runs.values()
    world.down = True
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        world.down = False
        stage.answers["http://a.test"] = Seen("no answer")
        stage.ask()
        await stage.until(lambda: stage.life().reason == "no answer")
        stage.answers.clear()
        await stage.reaches("hot")
        assert list(notebook.runs) == [run.id]
        assert stage.launcher.did == []


# --- two of one


async def test_of_two_processes_of_one_place_one_is_ended():
    world, notebook = await left_running("a")
    (run,) = notebook.runs.values()
    async with staged(world=world, notebook=notebook) as stage:
        await adopted(stage)
        await stage.reaches("hot")
        stage.launcher.did.clear()
        await adopt(stage.keeper, [replace(run, id="another")])
        assert ("stop", "a") in stage.launcher.did
        (note,) = [note for note in stage.notes if note.kind == "place.left_over"]
        assert "another one was started meanwhile" in note.more["reason"]


async def test_what_is_known_by_its_name_is_one_thing_however_often_it_was_written_down():
    """A container: to stop it for the older note would stop the one in use."""
    launch = {"kind": "command", "start": ["up"], "stop": ["down"], "status": ["is-up"]}
    async with staged({"a": {"launch": launch}}) as stage:
        await stage.commands.start("a", wait=2)
        (run,) = stage.notebook.runs.values()
        older = replace(run, id="older")
        await stage.notebook.record(older)
        await adopt(stage.keeper, [older])
        assert (stage.state(), list(stage.notebook.runs)) == ("hot", [run.id])
        assert ("stop", "a") not in stage.launcher.did


# --- what must not happen


async def test_one_that_breaks_keeps_no_gateway_from_starting_and_no_other_from_its_adoption(monkeypatch):
    world, notebook = await left_running("a", "b")
    async with staged({"a": {}, "b": {}}, world=world, notebook=notebook, mistakes=True) as stage:
        as_before = stage.launcher.state

        async def breaks(run):
            if run.owner == "a":
                raise RuntimeError("a bug")
            return await as_before(run)

        monkeypatch.setattr(stage.launcher, "state", breaks)
        await adopted(stage)
        await stage.reaches("hot", "b")
        assert len(notebook.runs) == 2


async def test_a_record_without_a_launcher_is_forgotten():
    async with staged() as stage:
        run = fake_run("a")
        await stage.notebook.record(run)
        await adopted(stage)
        assert stage.notebook.runs == {}


async def test_a_machine_is_adopted_with_the_place_on_it():
    machines = {"desk": {"launch": {"kind": "command", "start": ["wake"], "stop": ["sleep"], "status": ["is-awake"]}}}
    async with staged({"a": {"machine": "desk"}}, machines=machines) as before:
        await before.commands.start("a", wait=2)
    async with staged({"a": {"machine": "desk"}}, machines=machines, world=before.launcher.world, notebook=before.notebook) as stage:
        await adopted(stage)
        await stage.reaches("hot")
        await stage.until(lambda: stage.keeper.fleet.machines["desk"].state == "hot")
        assert stage.keeper.fleet.machines["desk"].life.leases == 1
        assert stage.launcher.did == []




async def test_what_a_killed_gateway_was_stopping_for_a_hold_is_stopped():
    world, notebook = await left_running("a", "b")
    async with staged({"a": {}, "b": {}}, world=world, notebook=notebook) as stage:
        stage.service().held_until = inf  # as it was written down
        await adopted(stage)
        await stage.reaches("cold")
        await stage.reaches("hot", "b")
        assert stage.launcher.did == [("stop", "a")]
        assert stage.ask().refusal.code == "held"


async def test_what_depends_on_it_is_stopped_first():
    services = {"a": {}, "b": {"depends_on": ["a"]}}
    async with staged(services) as stage:
        await stage.commands.start("b", wait=2)
        world, notebook = stage.launcher.world, stage.notebook
    async with staged(services, world=world, notebook=notebook) as stage:
        stage.service().held_until = inf
        await adopted(stage)
        await stage.reaches("cold")
        assert stage.launcher.did == [("stop", "b"), ("stop", "a")]


async def test_a_machine_that_is_held_is_put_to_sleep_when_what_still_runs_there_has_ended():
    services, machines = {"a": {"machine": "desk"}}, {"desk": {"launch": {"kind": "process", "command": ["wake"]}, "idle_timeout": 0}}
    async with staged(services, machines=machines) as stage:
        await stage.commands.start("a", wait=2)
        world, notebook = stage.launcher.world, stage.notebook
    async with staged(services, machines=machines, world=world, notebook=notebook) as stage:
        desk = stage.keeper.fleet.machines["desk"]
        desk.held_until = inf
        await adopted(stage)
        await stage.until(lambda: desk.state == "cold")
        assert stage.launcher.did == [("stop", "a"), ("stop", "desk")]


async def test_what_could_not_be_asked_about_is_stopped_for_its_hold_once_it_can():
    world, notebook = await left_running("a")
    world.down = True
    async with staged(world=world, notebook=notebook) as stage:
        stage.service().held_until = inf
        await adopted(stage)
        world.down = False
        await stage.keeper.ask_again()
        await stage.until(lambda: stage.launcher.did == [("stop", "a")])
        await stage.reaches("cold")
