"""Strategies and routes as the roof puts them in force."""

import asyncio
from pathlib import Path

import pytest

from hestia.roof.build import build
from hestia.roof.choices import watch_strategies
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log
from tests.doors.test_choosing import SYNC, until
from tests.support.gateway import config_text, running


def test_a_strategy_that_there_is_not_stops_the_start(tmp_path):
    text = config_text(str(tmp_path), {"a": {"base_url": "http://x"}}, {"routes": [{"strategy": "none"}]})
    with pytest.raises(CannotStart, match="no route strategy is called 'none'") as told:
        build(load_text(text, name=str(tmp_path / "c.yml")).config, Log([].append))
    assert told.value.usage


async def test_the_folder_beside_the_file_is_read_unless_another_is_named(tmp_path):
    async with running({}, strategies_dir=str(tmp_path)) as gateway:
        choices, config = gateway.gateway.choices, gateway.gateway.config
        assert choices.folder(config) == tmp_path
        beside = type(config)(**{**{key: getattr(config, key) for key in config.__struct_fields__}, "strategies_dir": None})
        assert choices.folder(beside) == Path.cwd() / "strategies"


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
