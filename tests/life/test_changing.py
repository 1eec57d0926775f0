"""A new configuration over services that run: what may stay stays, what is new is there."""

from tests.life.serving import QUICK, ask, free_port, launched, reaches, told, until, waiting
from tests.roof.test_reload import serving


def place(diary, *flags, **more):
    return {"launch": launched(diary, *flags)["launch"], **more}


async def test_a_further_place_and_one_less_leave_what_runs_alone(diaries, tmp_path):
    one, two = place(diaries("one")), place(diaries("two"))
    async with serving(tmp_path, {"a": {**QUICK, "places": [one]}}) as run:
        first = await run.ask(ask())
        for places in ([one, two], [one]):
            await run.reload({"a": {**QUICK, "places": places}})
            assert (await run.ask(ask())).body == first.body
        assert len(diaries("one").starts) == 1


async def test_replicas_come_and_go(diaries, tmp_path):
    spec = {**QUICK, "places": [place(diaries("one")), place(diaries("two"))]}
    async with serving(tmp_path, {"a": spec}) as run:
        assert (await run.ask(ask())).status == 200
        await run.reload({"a": {**spec, "replicas": 2}})
        await until(lambda: len(diaries("one").starts + diaries("two").starts) == 2)
        await until(lambda: all(each.state == "hot" for each in run.gateway.commands.status("a").places))
        await run.reload({"a": {**spec, "replicas": 1}})
        await until(lambda: [each.state for each in run.gateway.commands.status("a").places].count("cold") == 1)
        assert (await run.ask(ask())).status == 200


async def test_who_waits_for_what_depends_on_a_changed_one_is_served_once_both_are_back(diaries, gate, tmp_path):
    app = launched(diaries("app"), "--gate", gate, depends_on=["db"])
    async with serving(tmp_path, {"db": launched(diaries("db")), "app": app}) as run:
        client = await waiting(run, ask(service="app"), service="app")
        await until(lambda: diaries("app").starts)
        await run.reload({"db": launched(diaries("db"), launch={"env": {"X": "1"}}), "app": app})
        gate.touch()
        assert (await client.answer()).status == 200
        assert (len(diaries("db").starts), len(diaries("app").starts)) == (2, 2)


async def test_a_window_that_is_added_begins_and_one_that_is_taken_away_ends(diary, tmp_path):
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        await run.reload({"a": launched(diary, keep_warm=["always"], idle_timeout="0.2s")})
        await reaches(run, "hot", within=10)
        await run.reload({"a": launched(diary, idle_timeout="0.2s")})
        await reaches(run, "cold", within=10)
        assert [event["cause"] for event in told(run, "service.starting")] == ["keep_warm"]


async def test_a_machine_that_can_be_woken_now_is_woken_by_the_next_request(tmp_path):
    woken, port = tmp_path / "woken", free_port()
    watched = {"a": {**QUICK, "base_url": f"http://127.0.0.1:{port}", "machine": "desk", "start_timeout": "0.3s", "failure_cooldown": 0}}
    async with serving(tmp_path, watched, machines={"desk": {}}) as run:
        assert (await run.ask(ask())).status == 503
        await run.reload(watched, machines={"desk": {"launch": {"kind": "command", "start": ["touch", str(woken)], "stop": ["true"]}}})
        await run.ask(ask())
        assert woken.exists()
