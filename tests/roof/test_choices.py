"""Strategies and routes as the roof puts them in force."""

import asyncio
from pathlib import Path

import pytest

from hestia.roof.build import build
from hestia.roof.choices import folder_of, watch_strategies
from hestia.roof.config import load, load_text
from hestia.roof.listen import CannotStart
from hestia.rules.marks import ConfigError
from hestia.telemetry.log import Log
from tests.doors.test_choosing import SYNC, chat, named, post, problem, until
from tests.roof.test_reload import serving
from tests.support.gateway import config_text, running
from tests.support.wire import Upstream


def config_with(tmp_path: Path, text: str = "") -> Path:
    file = tmp_path / "hestia_config.yml"
    file.write_text(f"data_dir: {tmp_path}/data\n{text}")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes: [{strategy: nnone}]", ":2:21: routes[0].strategy: no route strategy is called 'nnone'"),
        ("services: {a: {base_url: http://x, balance: rr}}", ": services.a.balance: no balance strategy is called 'rr'"),
        ("strategies_dir: nowhere", ": strategies_dir: there is no such folder"),
    ],
)
def test_a_strategy_that_there_is_not_is_a_mistake_of_the_configuration(tmp_path, text, words):
    with pytest.raises(ConfigError) as told:
        load(str(config_with(tmp_path, text)), {})
    assert any(words in str(each) for each in told.value.mistakes), [str(each) for each in told.value.mistakes]


def test_the_folder_beside_the_file_is_read_unless_another_is_named(tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "mine.py").write_text(SYNC)
    file = config_with(tmp_path, "routes: [{strategy: mine}]")
    config = load(str(file), {}).config
    assert folder_of(config, tmp_path) == tmp_path / "strategies"
    (tmp_path / "other").mkdir()
    named = load(str(config_with(tmp_path, "strategies_dir: other")), {}).config
    assert folder_of(named, Path("/")) == tmp_path / "other"


async def test_a_strategy_that_is_gone_since_the_file_was_read_stops_the_start(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(SYNC)
    text = config_text(str(tmp_path), {"a": {"base_url": "http://x"}}, {"routes": [{"strategy": "mine"}], "strategies_dir": str(tmp_path)})
    config = load_text(text, name=str(tmp_path / "c.yml")).config
    mine.unlink()
    with pytest.raises(CannotStart, match="no route strategy is called 'mine'") as told:
        build(config, Log([].append))
    assert told.value.usage


async def test_changed_files_are_taken_up_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr("hestia.roof.choices.LOOK_EVERY", 0.02)
    async with running({}, strategies_dir=str(tmp_path)) as gateway:
        strategies = gateway.gateway.choices.strategies
        task = asyncio.ensure_future(watch_strategies(strategies))
        await asyncio.sleep(0)
        (tmp_path / "mine.py").write_text(SYNC)
        await until(lambda: "mine" in [each.name for each in strategies.infos()])
        (tmp_path / "mine.py").unlink()
        await until(lambda: "mine" not in [each.name for each in strategies.infos()])
        task.cancel()


async def test_a_reload_changes_routes_models_and_limits_for_the_next_request(tmp_path):
    async with Upstream() as a, Upstream() as b:
        services = named(a, b)
        async with serving(tmp_path, services) as run:
            await reaches_by_model(run, "model-a")
            services["b"]["models"] = ["other"]
            await run.reload(services, limits={"body_peek": 100, "body_peek_total": 200})
            assert problem(await run.ask(post(chat("model-b")))) == (404, "unknown_model")
            assert (run.gateway.shared.room.longest, run.gateway.shared.room.total) == (100, 200)
            await run.reload(services, routes=[{"match": {"path": "/v1/*"}, "service": "b"}])
            await reaches_by_model(run, "model-a")
            assert [len([each for each in up.requests() if each.method == b"POST"]) for up in (a, b)] == [1, 1]


async def test_a_reload_that_names_an_unknown_strategy_changes_nothing(tmp_path):
    async with Upstream() as a, serving(tmp_path, named(a)) as run:
        chooser = run.gateway.shared.chooser
        with pytest.raises(ConfigError, match="no route strategy"):
            await run.reload(named(a), routes=[{"strategy": "none"}])
        assert run.gateway.shared.chooser is chooser
        await reaches_by_model(run, "model-a")


async def test_a_reload_may_name_another_folder_of_strategies(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text(SYNC)
    async with Upstream() as a, serving(tmp_path, named(a)) as run:
        await run.reload(named(a), strategies_dir="other", routes=[{"strategy": "mine"}])
        assert "mine" in [each.name for each in run.gateway.choices.strategies.infos()]
        await run.reload(named(a))
        await run.gateway.choices.strategies.reload()  # the last version stayed as long as a route used it
        assert "mine" not in [each.name for each in run.gateway.choices.strategies.infos()]
        await reaches_by_model(run, "model-a")


async def test_a_file_of_strategies_that_is_broken_now_stands_in_no_reloads_way(tmp_path):
    mine = tmp_path / "strategies" / "mine.py"
    mine.parent.mkdir()
    mine.write_text(SYNC)
    async with Upstream() as a, serving(tmp_path, named(a), routes=[{"strategy": "mine"}]) as run:
        mine.write_text("def register_strategy(:\n")
        await run.reload(named(a), routes=[{"strategy": "mine"}], limits={"body_peek": 100})
        assert run.gateway.shared.room.longest == 100
        assert "mine" in [each.name for each in run.gateway.choices.strategies.infos()]


async def test_a_reload_says_where_an_unknown_strategy_is_named(tmp_path):
    async with Upstream() as a, serving(tmp_path, named(a)) as run:
        with pytest.raises(ConfigError) as told:
            await run.reload(named(a), routes=[{"strategy": "none"}])
        assert str(told.value.mistakes[0]).startswith(f"{run.file}:"), told.value.mistakes


async def test_a_use_that_stays_the_same_remembers_over_a_reload(tmp_path):
    services = {"a": {"base_url": "http://127.0.0.1:9", "balance": "round_robin"}}
    async with serving(tmp_path, services) as run:
        before = run.gateway.choices.made.services["a", "balance"]
        await run.reload(services, limits={"body_peek": 100})
        assert run.gateway.choices.made.services["a", "balance"] is before


async def reaches_by_model(run, model):
    answer = await run.ask(post(chat(model)))
    assert answer.status == 200, answer.body
