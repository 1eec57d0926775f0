"""Traffic while services are killed, stopped and reloaded: no request is lost that the contract does not allow.

`HESTIA_SOAK_S` sets for how long; `make gauntlet` has a larger one before the real program.
"""

import asyncio
import collections
import contextlib
import json
import os
import random
import signal
import time

import aiohttp

from tests.life.serving import launched
from tests.life.test_kills import House, house

SECONDS = float(os.environ.get("HESTIA_SOAK_S", "4"))
CLIENTS = 8
ALLOWED = {
    (503, "stopped"),  # a stop command, or a reload that changed the service
    (502, "upstream_failed"),  # killed after the request was sent
    (502, "upstream_unreachable"),  # killed, started anew for this request, and killed again
}


class Soak:
    """What was asked and what came of it."""

    def __init__(self, gateway: House, session: aiohttp.ClientSession) -> None:
        self.house = gateway
        self.session = session
        self.until = time.monotonic() + SECONDS
        self.seen: collections.Counter[tuple[int, str]] = collections.Counter()
        self.wrong: list[str] = []
        self.longest = 0.0

    @property
    def on(self) -> bool:
        return time.monotonic() < self.until

    async def client(self, number: int) -> None:
        chance = random.Random(number)
        while self.on:
            service = chance.choice("ab")
            began = time.monotonic()
            url = f"http://127.0.0.1:{self.house.port}/services/{service}/x{number}"
            try:
                if chance.random() < 0.5:
                    answer = await self.session.get(url)
                else:
                    answer = await self.session.post(url, data=b"y" * chance.choice((10, 100_000)))
                async with answer:
                    body = await answer.read()
                code = "" if answer.status == 200 else json.loads(body)["code"]
                self.seen[answer.status, code] += 1
                if answer.status != 200 and (answer.status, code) not in ALLOWED:
                    self.wrong.append(f"{answer.status} {body[:300]!r}")
            except (aiohttp.ClientError, TimeoutError) as problem:  # an answer that broke off
                self.wrong.append(repr(problem))
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(chance.uniform(0, 0.01))

    async def chaos(self) -> None:
        chance = random.Random(99)
        while self.on:
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            what = chance.random()
            if what < 0.5:
                for pid in self.house.running()[-1:]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            elif what < 0.8:
                stop = f"http://127.0.0.1:{self.house.port}/v1/services/{chance.choice('ab')}/stop"
                async with self.session.post(stop) as answer:
                    assert answer.status == 202
            else:
                self.house.write(**both(self.house, str(chance.randrange(3))))
                self.house.process.send_signal(signal.SIGHUP)


def both(gateway: House, word: str) -> dict[str, object]:
    """`a` changes with each reload, `b` never does."""
    keys = {"idle_timeout": "0s", "start_attempts": 5, "retry_delay": "10ms"}
    return {"a": launched(gateway.diary, "--print", word, **keys), "b": launched(gateway.diary, **keys)}


one_house = house  # a fixture of theirs


async def test_no_request_is_lost_that_may_not_be(one_house):
    house = one_house
    house.write(**both(house, "0"))
    assert await asyncio.to_thread(house.begin)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        soak = Soak(house, session)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(soak.chaos())
            for number in range(CLIENTS):
                tasks.create_task(soak.client(number))
    print(dict(soak.seen), f"longest {soak.longest:.2f} s", f"{len(house.diary.starts)} starts")
    assert soak.wrong == []
    assert soak.seen[200, ""] > 20 * SECONDS
    assert len(house.diary.starts) > SECONDS / 2
    await asyncio.to_thread(house.end)
    assert house.running() == []
