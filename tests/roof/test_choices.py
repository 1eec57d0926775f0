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
from tests.doors.test_choosing import SYNC, until
from tests.support.gateway import config_text, running


def config_with(tmp_path: Path, text: str = "") -> Path:
    file = tmp_path / "hestia_config.yml"
    file.write_text(f"data_dir: {tmp_path}/data\n{text}")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes: [{strategy: nnone}]", ":2:21: routes.0.strategy: no route strategy is called 'nnone'"),
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
