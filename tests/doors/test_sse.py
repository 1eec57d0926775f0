"""Server-sent events, over connections of the guest lane without a gateway behind them."""

import asyncio
import json

import pytest

from hestia.doors import sse
from hestia.doors.guest import Server
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.spec import Limits


class Items:
    """What a test puts; None ends it."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.taken = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self.queue.get()
        self.taken += 1
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item


class Lane:
    """One stream for everybody, on a free port."""

    def __init__(self, items, **limits):
        self.lines = []
        self.items = items
        log = Log(self.lines.append)
        self.tally = Tally([], log.access)
        self.server = Server(self.answer, limits=Limits(**limits), tally=self.tally, log=log, cors=frozenset({"https://a.example"}))
        self.more = {}
        self.ended = asyncio.Event()

    async def answer(self, request):
        try:
            return await request.streams.answer(request, [sse.message({"n": 0})], self.items, self.render)
        finally:
            self.ended.set()

    def render(self, n):
        return sse.message({"n": n, **self.more}, id_=n)

    def events(self, name):
        return [each for each in map(json.loads, self.lines) if each["event"] == name]

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.listening = await loop.create_server(lambda: self.server.hire(None, "r-1", "192.0.2.7", "http"), "127.0.0.1", 0)
        self.reader, self.writer = await asyncio.open_connection(*self.listening.sockets[0].getsockname(), limit=1024)
        self.writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n")
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        self.listening.close()
        await self.server.shutdown(0.1)

    async def through(self, mark):
        async with asyncio.timeout(5):
            return await self.reader.readuntil(mark)

    async def rest(self):
        async with asyncio.timeout(5):
            return await self.reader.read()


def test_a_message_is_one_line_of_json_whatever_is_in_it():
    assert sse.message({"line": "a\nb\r\n\r\nid: 9"}, id_=7) == b'id: 7\ndata: {"line":"a\\nb\\r\\n\\r\\nid: 9"}\n\n'
    assert sse.message({}, event="missed") == b"event: missed\ndata: {}\n\n"


async def test_the_head_and_what_is_there_go_out_before_anything_happens():
    async with Lane(Items()) as lane:
        head = await lane.through(b"\r\n\r\n")
        assert b"Content-Type: text/event-stream\r\n" in head
        assert b"X-Accel-Buffering: no\r\n" in head
        assert b"Cache-Control: no-store\r\n" in head
        assert b"Access-Control-Allow-Origin: https://a.example\r\n" in head
        assert b"Connection: close\r\n" in head
        assert b"retry: 2000" in await lane.through(b'data: {"n":0}\n\n')


async def test_an_item_goes_out_when_it_comes_and_the_end_of_the_items_is_a_whole_answer():
    async with Lane(Items()) as lane:
        await lane.through(b'{"n":0}\n\n')
        lane.items.queue.put_nowait(1)
        assert b"id: 1\n" in await lane.through(b'{"n":1}\n\n')
        lane.items.queue.put_nowait(None)
        assert (await lane.rest()).endswith(b"0\r\n\r\n")
    assert lane.events("request")[0]["outcome"] == "ok"


async def test_silence_is_filled_with_comments():
    async with Lane(Items()) as lane:
        lane.server.streams.keep_alive_s = 0.02
        await lane.through(b": still here\n\n")
        await lane.through(b": still here\n\n")


async def test_the_end_of_the_gateway_ends_every_stream_whole():
    async with Lane(Items()) as lane:
        await lane.through(b'{"n":0}\n\n')
        assert len(lane.server.streams) == 1
        lane.server.begin_closing()
        assert (await lane.rest()).endswith(b"0\r\n\r\n")
        assert len(lane.server.streams) == 0


async def test_a_client_that_leaves_ends_its_stream_at_once():
    async with Lane(Items()) as lane:
        await lane.through(b'{"n":0}\n\n')
        lane.writer.close()
        async with asyncio.timeout(5):
            await lane.ended.wait()
        assert len(lane.server.streams) == 0
    line = lane.events("request")[0]
    assert (line["status"], line["outcome"], line["overhead_ms"]) == (200, "client_left", line["overhead_ms"])


async def test_a_reader_that_takes_nothing_holds_up_its_items_and_nobody_keeps_them():
    class Flood(Items):
        async def __anext__(self):
            self.taken += 1
            return self.taken

    async with Lane(Flood()) as lane:
        lane.more = {"more": "x" * 10_000}
        await lane.through(b"\r\n\r\n")
        before = -1
        async with asyncio.timeout(10):
            while lane.items.taken != before:  # it stands still once the kernel's buffers and ours are full
                before = lane.items.taken
                for _ in range(200):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.05)
        assert lane.items.taken < 5000
        assert not lane.ended.is_set()


async def test_a_mistake_in_the_stream_is_logged_and_the_answer_does_not_look_whole():
    async with Lane(Items()) as lane:
        await lane.through(b'{"n":0}\n\n')
        lane.items.queue.put_nowait(ZeroDivisionError("inside"))
        rest = await lane.rest()
        assert not rest.endswith(b"0\r\n\r\n")
        assert b"inside" not in rest
    assert "ZeroDivisionError: inside" in lane.events("internal")[0]["trace"]
    assert lane.events("request")[0]["outcome"] == "broken"


@pytest.mark.parametrize("count", [50])
async def test_streams_do_not_wait_for_each_other(count):
    async with Lane(Items()) as lane:
        address = lane.listening.sockets[0].getsockname()
        ends = [await asyncio.open_connection(*address) for _ in range(count)]
        for _, writer in ends:
            writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(5):
            await asyncio.gather(*(reader.readuntil(b'{"n":0}\n\n') for reader, _ in ends))
        assert len(lane.server.streams) == count + 1
        for _, writer in ends:
            writer.close()
