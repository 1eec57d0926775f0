"""Clients of all manners: brisk, slow and vanishing. Each knows the answer it must get, to the byte."""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from tests.gauntlet.faults_asking import Answer, Broken, Line, Refused, Request, Silent, Unanswered
from tests.gauntlet.faults_ledger import BROKEN, REFUSED, RIGHT, SILENT, TUNNEL_CUT, UNANSWERED, WRONG, Asked, Ledger
from tests.gauntlet.faults_upstream import PIECE, pattern

UP_S = 40.0
Check = Callable[[Answer, Asked], bool]


def bytes_of(size: int) -> Check:
    return lambda answer, one: answer.body == pattern(one.id, size)


def sum_of(body: bytes) -> Check:
    wanted = f"{len(body)} {zlib.crc32(body)}".encode()
    return lambda answer, _: answer.body == wanted


def events_of(count: int) -> Check:
    return lambda answer, one: answer.body == b"".join(f"data: {one.id} {n}\n\n".encode() for n in range(count))


def anything(answer: Answer, _: Asked) -> bool:
    return bool(answer.body)


def nothing(answer: Answer, _: Asked) -> bool:
    return not answer.body


class Traffic:
    """Where the clients ask, what they write down, and whether they may ask just now."""

    def __init__(self, port: int, ledger: Ledger, on: Callable[[], bool]) -> None:
        self.port, self.ledger, self.on = port, ledger, on
        self.gate = asyncio.Event()
        self.gate.set()

    async def come_and_go(self, seed: int, visit: Callable[[Client], Awaitable[None]], low: float, high: float) -> None:
        """One client's days: visits, with a pause between `low` and `high` seconds after each."""
        client = Client(self, random.Random(seed))
        while self.on():
            if not self.gate.is_set():
                client.drop()
                await self.gate.wait()
                continue  # it may be over meanwhile
            await visit(client)
            await asyncio.sleep(client.chance.uniform(low, high))
        client.drop()


class Client:
    """One program with one connection at a time, which it keeps while it may."""

    def __init__(self, traffic: Traffic, chance: random.Random) -> None:
        self.traffic, self.chance = traffic, chance
        self.ledger = traffic.ledger
        self.line: Line | None = None

    def drop(self) -> None:
        if self.line is not None:
            self.line.close()
        self.line = None

    async def ask(
        self,
        kind: str,
        service: str,
        what: str,
        method: str = "GET",
        *,
        expects: tuple[str, ...] = (RIGHT,),
        check: Check = anything,
        receive: int = 0,
        slowly: float = 0.0,
        target: str = "",
        **more: Any,
    ) -> Asked:
        """One request, and in the ledger how it ended."""
        one = self.ledger.ask(kind, service, method, *expects)
        request = Request(one.id, method, target or f"/services/{service}/{what}", **more)
        try:
            answer = await self._exchange(request, receive, slowly)
            self.ledger.end(one, *_ending(answer, one, check))
        except Refused as problem:
            self.ledger.end(one, REFUSED, str(problem))
            await self._until_somebody_listens()
        except (Unanswered, Broken, Silent) as problem:
            ending = {Unanswered: UNANSWERED, Broken: BROKEN, Silent: SILENT}[type(problem)]
            self.ledger.end(one, ending, str(problem))
        except (ValueError, LookupError, asyncio.LimitOverrunError) as problem:  # an answer that is no HTTP
            self.drop()
            self.ledger.end(one, WRONG, repr(problem))
        if self.line is not None and (not self.line.usable or receive or self.chance.random() < 0.2):
            self.drop()
        return one

    async def _exchange(self, request: Request, receive: int, slowly: float) -> Answer:
        if receive or (self.line is not None and self.line.is_over):
            self.drop()
        if self.line is None:
            self.line = await Line.open(self.traffic.port, receive)
        await self.line.send(request)
        return await self.line.answer(request.method, slowly=slowly)

    async def _until_somebody_listens(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + UP_S
        while self.line is None and loop.time() < end:
            await asyncio.sleep(0.2)
            try:
                self.line = await Line.open(self.traffic.port)
            except Refused:
                continue

    # -- visits of the brisk

    async def mixed(self, service: str) -> None:
        """Any of the ordinary ones."""
        visits = [self.get, self.get, self.get, self.head, self.big, self.chunks, self.post, self.post, self.upload]
        visits += [self.waits, self.events, self.tunnel]
        await self.chance.choice(visits)(service)

    async def get(self, service: str) -> None:
        size = self.chance.randrange(20_000)
        await self.ask("get", service, f"bytes?{size}", check=bytes_of(size))

    async def head(self, service: str) -> None:
        await self.ask("head", service, "bytes?500", "HEAD", check=nothing)

    async def big(self, service: str) -> None:
        await self.ask("big", service, "bytes?600000", check=bytes_of(600_000))

    async def chunks(self, service: str) -> None:
        await self.ask("chunks", service, "chunks?100000", check=bytes_of(100_000))

    async def post(self, service: str) -> None:
        body = self.chance.randbytes(self.chance.choice((1, 1000, 100_000)))
        await self.ask("post", service, "sum", "POST", body=body, check=sum_of(body))

    async def upload(self, service: str) -> None:
        pieces = [self.chance.randbytes(self.chance.randrange(1, 30_000)) for _ in range(5)]
        await self.ask("upload", service, "sum", "PUT", pieces=pieces, check=sum_of(b"".join(pieces)))

    async def waits(self, service: str) -> None:
        milliseconds = self.chance.randrange(20, 300)
        await self.ask("slow answer", service, f"slow?{milliseconds}", check=bytes_of(100))

    async def events(self, service: str) -> None:
        count = self.chance.randrange(1, 20)
        await self.ask("events", service, f"events?{count}", check=events_of(count))

    async def dispatched(self, service: str) -> None:
        call = json.dumps({"service": service, "method": "GET", "path": "/bytes", "query": "700"}).encode()
        target, more = "/v1/requests", ("Content-Type: application/json",)
        await self.ask("dispatched", service, "", "POST", target=target, more=more, body=call, check=bytes_of(700))

    async def chosen(self, _: str) -> None:
        await self.ask("by a strategy", "plain", "", target="/chosen/bytes?90", check=bytes_of(90))

    async def own(self, _: str) -> None:
        target = self.chance.choice(("/__health", "/v1/services", "/metrics", "/v1/activity?limit=20", "/v1/inflight"))
        await self.ask("own pages", "", "", target=target)

    async def tunnel(self, service: str) -> None:
        """An upgraded connection: everything comes back, and then its end."""
        self.drop()
        more = ("Connection: Upgrade", "Upgrade: echo")
        one = self.ledger.ask("tunnel", service, "GET")
        try:
            line = await Line.open(self.traffic.port)
        except Refused as problem:
            self.ledger.end(one, REFUSED, str(problem))
            await self._until_somebody_listens()
            return
        try:
            await line.send(Request(one.id, "GET", f"/services/{service}/echo", more=more))
            answer = await line.answer("GET")
            if answer.status != 101:
                self.ledger.end(one, *_ending(answer, one, nothing))
                return
            await self._talk(line, one)
        except (Unanswered, Broken, Silent) as problem:
            ending = {Unanswered: UNANSWERED, Broken: BROKEN, Silent: SILENT}[type(problem)]
            self.ledger.end(one, ending, str(problem))
        finally:
            line.close()

    async def _talk(self, line: Line, one: Asked) -> None:
        try:
            async with asyncio.timeout(20):
                for _ in range(self.chance.randrange(1, 8)):
                    said = self.chance.randbytes(self.chance.choice((1, 100, 20_000)))
                    line.writer.write(said)
                    if await line.reader.readexactly(len(said)) != said:
                        self.ledger.end(one, WRONG, "something else came back")
                        return
                    await asyncio.sleep(0.02)
                line.writer.write_eof()
                rest = await line.reader.read()
            self.ledger.end(one, WRONG if rest else RIGHT, "bytes too many")
        except TimeoutError:
            self.ledger.end(one, SILENT, "in the tunnel")
        except (asyncio.IncompleteReadError, OSError) as problem:
            self.ledger.end(one, TUNNEL_CUT, repr(problem))

    # -- visits of those who are the fault themselves

    async def reads_slowly(self, service: str) -> None:
        with self.ledger.fault("client reads slowly"):
            await self.ask("slow reader", service, "bytes?200000", check=bytes_of(200_000), receive=4096, slowly=0.02)

    async def sends_slowly(self, service: str) -> None:
        pieces = [self.chance.randbytes(2000) for _ in range(10)]
        with self.ledger.fault("client sends slowly"):
            check = sum_of(b"".join(pieces))
            await self.ask("slow sender", service, "sum", "POST", pieces=pieces, pause=0.1, check=check)

    async def vanishes(self, service: str) -> None:
        """In one of the moments where that is worst; by FIN or by RST."""
        moment = self.chance.choice((self._in_head, self._in_body, self._in_wait, self._in_answer, self._in_tunnel))
        try:
            line = await Line.open(self.traffic.port)
        except Refused:
            await asyncio.sleep(0.1)
            return
        try:
            await moment(line, service)
        except (Unanswered, Broken, Silent, OSError):
            pass  # the gateway went first
        finally:
            line.close() if self.chance.random() < 0.5 else line.reset()

    def _leaves(self, moment: str, service: str, method: str, what: str, **more: Any) -> tuple[Asked, Request]:
        self.ledger.faults[f"client vanishes {moment}"] += 1
        one = self.ledger.ask("vanishing", service, method)
        self.ledger.leave(one)
        return one, Request(one.id, method, f"/services/{service}/{what}", **more)

    async def _in_head(self, line: Line, service: str) -> None:
        _, request = self._leaves("in its head", service, "GET", "bytes?100")
        line.writer.write(request.head()[:-9])
        await line.writer.drain()
        await asyncio.sleep(self.chance.uniform(0, 0.05))

    async def _in_body(self, line: Line, service: str) -> None:
        _, request = self._leaves("in its body", service, "POST", "sum", body=bytes(100_000))
        line.writer.write(request.head() + bytes(self.chance.randrange(70_000)))
        await line.writer.drain()
        await asyncio.sleep(self.chance.uniform(0, 0.2))

    async def _in_wait(self, line: Line, _: str) -> None:
        _, request = self._leaves("while it waits", self.chance.choice(("nap1", "nap2", "nap3", "hung")), "GET", "slow?500")
        await line.send(request)
        await asyncio.sleep(self.chance.uniform(0, 0.05))

    async def _in_answer(self, line: Line, service: str) -> None:
        _, request = self._leaves("in its answer", service, "GET", self.chance.choice(("events?50", "bytes?3000000")))
        await line.send(request)
        async with asyncio.timeout(20):
            await line.reader.read(self.chance.randrange(1, 5000))

    async def _in_tunnel(self, line: Line, service: str) -> None:
        more = ("Connection: Upgrade", "Upgrade: echo")
        _, request = self._leaves("in its tunnel", service, "GET", "echo", more=more)
        await line.send(request)
        if (await line.answer("GET")).status == 101:
            line.writer.write(bytes(PIECE))
            await asyncio.sleep(self.chance.uniform(0, 0.05))

    # -- visits to services with a trouble of their own

    async def is_cut_off(self, service: str) -> None:
        what, method, expects = self.chance.choice(
            (
                ("cut?5000", "GET", (BROKEN,)),
                ("cutchunks?5000", "GET", (BROKEN,)),
                ("reset?5000", "POST", (BROKEN, "upstream_failed")),  # a reset takes with it what was not read yet
                ("nothing", "POST", ("upstream_failed",)),
            )
        )
        with self.ledger.fault("upstream breaks off its answer"):
            await self.ask("cut off", service, what, method, expects=expects)

    async def comes_in_a_burst(self, service: str) -> None:
        """As many at once as make an idle service's last moment likely to be met."""
        others = [Client(self.traffic, self.chance) for _ in range(self.chance.randrange(1, 5))]
        async with asyncio.TaskGroup() as tasks:
            for each in others:
                tasks.create_task(self.chance.choice((each.get, each.post, each.upload))(service))
        for each in others:
            each.drop()

    async def crowds(self, service: str) -> None:
        """More at once than its line holds: those in the line are answered, the others are told at once."""
        others = [Client(self.traffic, self.chance) for _ in range(10)]
        with self.ledger.fault("line is full"):
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(each.crowd(service)) for each in others]
        for each in others:
            each.drop()
        endings = [task.result().ending for task in asked]
        if set(endings) <= {RIGHT, "queue_full"} and endings.count(RIGHT) < 3:
            self.ledger.wrong.append(f"a line of three served {endings.count(RIGHT)} of ten")

    async def crowd(self, service: str) -> Asked:
        return await self.ask("crowd", service, "slow?60", expects=(RIGHT, "queue_full"), check=bytes_of(100))


def _ending(answer: Answer, one: Asked, check: Check) -> tuple[str, str]:
    if answer.code and one.method != "HEAD":
        return answer.code, answer.body[:300].decode(errors="replace")
    if answer.status != 200:
        return f"status {answer.status}", answer.body[:300].decode(errors="replace")
    if not check(answer, one):
        return WRONG, f"other bytes: {len(answer.body)}, {answer.body[:80]!r}"
    return RIGHT, ""
