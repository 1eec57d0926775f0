"""A gateway in the test's own loop, built through the roof, on ports of the system's choice."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hestia.roof.build import build
from hestia.roof.config import load_text
from hestia.telemetry.log import Log
from hestia.words.states import Found
from tests.support.wire import DEADLINE, Message, Wire, dial

OTHERS = ("service.", "machine.")
"""What went wrong there is no mistake of the gateway's."""


def config_text(folder: str, services: dict[str, Any], top: dict[str, Any]) -> str:
    """JSON is YAML: a whole configuration from plain values, without `ollama`, and nothing outside the folder."""
    whole = {"listen": ["127.0.0.1:0"], "data_dir": folder, "control_socket": f"{folder}/control.sock", **top}
    whole["services"] = {"ollama": None, **services}
    whole["defaults"] = {"watch_interval": 0, "start_timeout": "0.1s", **top.get("defaults", {})}
    return json.dumps(whole)


@dataclass
class Running:
    """A gateway that is open: where it listens, what it logged, what went wrong unseen."""

    gateway: Any
    folder: str
    lines: list[bytes]
    unseen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        """Ports in the order of the configuration: `listen`, `admin_listen`, the services' own."""
        return [int(each.rpartition(":")[2]) for each in self.gateway.addresses if each.startswith("http") and "unix" not in each]

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.lines).splitlines()]

    async def dial(self, index: int = 0, **kw: Any) -> Wire:
        return await dial(self.ports[index], **kw)

    async def ask(self, raw: bytes, index: int = 0, within: float = DEADLINE) -> Message:
        """One request on a connection of its own, and its answer."""
        client = await self.dial(index)
        try:
            await client.send(raw)
            return await client.answer(raw.split(b" ", 1)[0], within)
        finally:
            client.transport.abort()


def make_hot(gateway: Any) -> None:
    """As if a check had just passed: the tests of the relay have upstreams that expect their requests and no other."""
    for life in gateway.fleet.places():
        if not life.settings.launches:
            gateway.keeper.set_way(life)
            gateway.fleet.tell(life, Found(None))


@asynccontextmanager
async def running(services: dict[str, Any] | None = None, *, strict: bool = True, hot: bool = True, learns: bool = False, **top: Any) -> AsyncIterator[Running]:
    """A gateway with these services. `hot`: those that are only watched are so, without a check. `learns`: services are asked for their models. When `strict`, an exception that only the loop or the log saw fails the test."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="hestia-") as folder:
        loaded = load_text(config_text(folder, services or {}, top), name=f"{folder}/hestia_config.yml")
        lines: list[bytes] = []
        gateway = build(loaded.config, Log(lines.append, level="debug"))
        run = Running(gateway, folder, lines)
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: run.unseen.append(context))
        gateway.choices.lists.learns = learns
        await gateway.open()
        if hot:
            make_hot(gateway)
        try:
            yield run
        finally:
            await gateway.close(0)
            loop.set_exception_handler(before)
        shared = gateway.shared
        assert (gateway.busy(), len(shared.sweep.watched), len(shared.sweep.paused)) == ({"connections": 0, "leases": 0}, 0, 0)
        if strict:
            assert not run.unseen, run.unseen
            assert not [event for event in run.events if event.get("level") == "error" and not event["event"].startswith(OTHERS)], run.events
