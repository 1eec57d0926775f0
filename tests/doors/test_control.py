"""The control socket from outside: good callers, and slow, broken and greedy ones."""

import asyncio
import contextlib
import json
import os
import resource
import sys

import pytest

from hestia.doors.control import Bounds, Control, Turns
from hestia.doors.control_rpc import Rpc
from hestia.doors.control_socket import CannotListen
from hestia.doors.verbs import Verbs
from hestia.fence import Fence
from hestia.wire import MAX_LINE
from tests.support.house import fake_house

WITHIN = 10.0


class World:
    def __init__(self, folder, bounds):
        self.house = fake_house()
        self.failures = []
        self.fence = Fence(self.failures.append)
        self.path = f"{folder}/c.sock"
        self.control = Control(self.path, Verbs(self.house, self.fence), self.failures.append, bounds=bounds)

    async def caller(self, **kw):
        return Caller(*await asyncio.open_unix_connection(self.path, limit=1 << 26, **kw))


class Caller:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    def call(self, method, id_=1, **params):
        self.send(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode() + b"\n")

    async def read(self):
        async with asyncio.timeout(WITHIN):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, method, **params):
        self.call(method, **params)
        return await self.read()

    def close(self):
        self.writer.transport.abort()


def opening(bounds):
    @contextlib.asynccontextmanager
    async def opened(tmp_path):
        one = World(tmp_path, bounds)
        assert await one.control.open() == []
        await one.control.serve()
        yield one
        await one.control.close()
        await one.fence.close()
        assert (one.control.fence.tasks, one.control.callers, one.failures) == (set(), set(), [])

    return opened


@pytest.fixture
async def world(tmp_path):
    async with opening(Bounds())(tmp_path) as one:
        yield one


@pytest.fixture
async def strict(tmp_path):
    """Short patience and small shares."""
    async with opening(Bounds(callers=3, at_once=2, line_s=0.05, idle_s=0.2, write_s=0.1))(tmp_path) as one:
        yield one


async def until(true):
    async with asyncio.timeout(WITHIN):
        while not true():
            await asyncio.sleep(0.001)


async def test_a_call_is_answered_on_its_line(world):
    caller = await world.caller()
    assert (await caller.ask("hello"))["result"]["name"] == "hestia"
    assert (await caller.ask("services.status", id="demo"))["result"]["state"] == "cold"


async def test_many_lines_in_one_go_are_all_answered(world):
    caller = await world.caller()
    for id_ in range(100):
        caller.call("log.level", id_)
    assert sorted([(await caller.read())["id"] for _ in range(100)]) == list(range(100))


async def test_a_line_may_come_byte_by_byte_and_blank_ones_are_nothing(world):
    caller = await world.caller()
    for byte in b'\n \r\n{"jsonrpc":"2.0","id":1,"method":"log.level"}\r\n':
        caller.send(bytes([byte]))
        await caller.writer.drain()
        await asyncio.sleep(0)
    assert (await caller.read())["result"] == {"level": "info"}


async def test_a_broken_line_harms_nobody_and_the_next_one_is_answered(world):
    caller, other = await world.caller(), await world.caller()
    caller.send(b"\xff\xfe{\n")
    assert (await caller.read())["error"]["code"] == -32700
    assert "result" in await caller.ask("hello")
    assert "result" in await other.ask("hello")


async def test_a_line_without_its_end_is_not_obeyed(world):
    caller = await world.caller()
    caller.send(b'{"jsonrpc":"2.0","id":1,"method":"services.stop","params":{"id":"ollama"}}')
    caller.writer.write_eof()
    assert await caller.read() is None
    assert world.house.keeper.asked == []


async def test_half_a_line_and_then_silence_is_closed_and_not_obeyed(strict):
    caller = await strict.caller()
    caller.send(b'{"jsonrpc":"2.0","id":1,"method":"services.stop","params":{"id":"ollama"}}')
    assert (await caller.read())["error"]["code"] == -32600
    assert await caller.read() is None
    assert strict.house.keeper.asked == []


async def test_a_line_that_trickles_is_closed_too(strict):
    caller = await strict.caller()
    with contextlib.suppress(OSError):
        for _ in range(100):
            caller.send(b" ")
            await caller.writer.drain()
            await asyncio.sleep(0.01)
    await until(lambda: not strict.control.callers)


async def test_a_caller_who_says_nothing_is_let_go(strict):
    caller = await strict.caller()
    assert await caller.read() is None


async def test_a_caller_who_waits_for_an_answer_is_not_idle(strict):
    caller = await strict.caller()
    caller.call("services.start", id="demo", wait=True)
    await until(lambda: strict.house.keeper.waiting)
    await asyncio.sleep(0.3)
    strict.house.keeper.ready.set()
    assert (await caller.read())["result"]["state"] == "hot"


async def test_a_hundred_megabytes_without_a_line_end_are_cut_at_the_bound(world):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    caller = await world.caller()
    chunk = b"x" * (1 << 20)
    with contextlib.suppress(OSError):
        for _ in range(100):
            caller.send(chunk)
            await caller.writer.drain()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 30
    assert "result" in await (await world.caller()).ask("hello")


async def test_an_oversized_line_gets_an_error_and_what_was_asked_before_its_answer(world):
    caller = await world.caller()
    caller.call("services.start", id="demo", wait=True)
    await until(lambda: world.house.keeper.waiting)
    caller.send(b" " * (MAX_LINE + 1))
    assert (await caller.read())["error"]["code"] == -32600
    world.house.keeper.ready.set()
    assert (await caller.read())["result"]["state"] == "hot"
    assert await caller.read() is None


async def test_a_line_of_the_largest_size_is_read(world):
    line = b'{"jsonrpc":"2.0","id":1,"method":"log.level"}'
    caller = await world.caller()
    caller.send(line + b" " * (MAX_LINE - len(line)) + b"\n")
    assert "result" in await caller.read()
    caller.send(line + b" " * (MAX_LINE - len(line) + 1) + b"\n")
    assert (await caller.read())["error"]["code"] == -32600


async def test_after_a_half_close_pending_requests_are_answered(world):
    caller = await world.caller()
    caller.call("services.start", 1, id="demo", wait=True)
    caller.call("log.level", 2)
    caller.writer.write_eof()
    assert (await caller.read())["id"] == 2
    world.house.keeper.ready.set()
    assert (await caller.read())["id"] == 1
    assert await caller.read() is None


async def test_a_caller_who_leaves_during_a_long_start_harms_nothing(world):
    caller = await world.caller()
    caller.call("services.start", id="demo", wait=True)
    await until(lambda: world.house.keeper.waiting)
    caller.close()
    await until(lambda: not world.control.callers)
    await until(lambda: not world.control.fence.tasks)
    assert (world.house.keeper.waiting, world.house.keeper.services["demo"].state) == (0, "starting")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next write tells")
async def test_a_caller_who_leaves_after_a_half_close_is_noticed(world):
    caller = await world.caller()
    caller.call("services.start", id="demo", wait=True)
    caller.writer.write_eof()
    await until(lambda: world.house.keeper.waiting)
    caller.close()
    await until(lambda: not world.control.fence.tasks)
    assert world.house.keeper.waiting == 0


async def test_a_reload_goes_on_when_its_caller_leaves(world):
    world.house.settings.go.clear()
    caller = await world.caller()
    caller.call("config.reload")
    await until(lambda: world.house.settings.at_once)
    caller.close()
    await until(lambda: not world.control.callers)
    world.house.settings.go.set()
    await until(lambda: world.house.settings.reloads == 1)


async def test_two_reloads_at_once_come_one_after_the_other(world):
    world.house.settings.go.clear()
    one, other = await world.caller(), await world.caller()
    one.call("config.reload")
    other.call("config.reload")
    await until(lambda: world.house.settings.at_once)
    world.house.settings.go.set()
    assert "result" in await one.read()
    assert "result" in await other.read()
    assert (world.house.settings.reloads, world.house.settings.most_at_once) == (2, 1)


async def test_events_are_followed_until_the_caller_closes(world):
    caller = await world.caller()
    assert (await caller.ask("events.follow"))["result"] == {"following": True}
    world.house.events.tell(id=8, service="demo")
    params = (await caller.read())["params"]
    assert (params["follow"], params["data"]["id"], params["data"]["service"]) == (1, 8, "demo")
    assert "result" in await caller.ask("hello")
    caller.close()
    await until(lambda: world.house.events.streams[0].closed)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next write tells")
async def test_events_are_followed_after_a_half_close_too(world):
    caller = await world.caller()
    caller.call("events.follow")
    caller.writer.write_eof()
    await caller.read()
    world.house.events.tell(id=8)
    assert (await caller.read())["params"]["data"]["id"] == 8
    caller.close()
    await until(lambda: world.house.events.streams[0].closed)


async def test_a_stream_that_ends_says_so_and_one_that_breaks_ends_alone(world):
    caller = await world.caller()
    await caller.ask("services.logs", id="demo", follow=True, lines=1)
    world.house.keeper.log.stream.items.put_nowait("more")
    world.house.keeper.log.stream.items.put_nowait(None)
    assert (await caller.read())["params"] == {"follow": 1, "data": "more"}
    assert (await caller.read())["params"] == {"follow": 1, "end": True}
    await caller.ask("services.logs", id="demo", follow=True, lines=1)
    world.house.keeper.log.stream.items.put_nowait(OSError("disk"))
    assert (await caller.read())["params"] == {"follow": 1, "end": True}
    assert str(world.failures.pop()) == "disk"
    assert "result" in await caller.ask("hello")


async def test_a_follower_who_does_not_read_is_let_go(strict):
    caller = await strict.caller()
    caller.call("events.follow")
    caller.reader._transport.pause_reading()
    await until(lambda: strict.house.events.streams)
    for number in range(2000):
        strict.house.events.tell(id=number, more={"words": "x" * 1000})
    await until(lambda: not strict.control.callers)
    await until(lambda: strict.house.events.streams[0].closed == 1)


async def test_a_caller_who_asks_and_never_reads_takes_a_bounded_share(strict):
    strict.house.settings.effective = list
    caller = await strict.caller()
    caller.reader._transport.pause_reading()
    for _ in range(5000):
        caller.call("config.show")
    most = 0
    async with asyncio.timeout(WITHIN):
        while strict.control.callers or most == 0:
            for one in list(strict.control.callers):
                most = max(most, one.transport.get_write_buffer_size())
            await asyncio.sleep(0.001)
    assert 0 < most < 2 << 20
    assert "result" in await (await strict.caller()).ask("hello")


async def test_requests_beyond_a_callers_share_wait_for_it(strict):
    caller = await strict.caller()
    for id_ in range(5):
        caller.call("services.start", id_, id="demo", wait=True)
    await until(lambda: strict.house.keeper.waiting == 2)
    assert len([asked for asked in strict.house.keeper.asked if asked[0] == "start"]) == 2
    strict.house.keeper.ready.set()
    assert sorted([(await caller.read())["id"] for _ in range(5)]) == [0, 1, 2, 3, 4]


async def test_two_hundred_callers_at_once_are_all_answered(world):
    async def one(number):
        caller = await world.caller()
        caller.call("services.status", number, id="demo")
        answer = await caller.read()
        caller.close()
        return answer["id"]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(200)]
    assert sorted(task.result() for task in tasks) == list(range(200))


class Paced:
    """Use-cases that write down the loop's turn in which each began."""

    def __init__(self):
        self.began = []
        self.turn = 0
        self._beat()

    def _beat(self):
        self.turn += 1
        asyncio.get_running_loop().call_soon(self._beat)

    async def call(self, name, given):
        self.began.append(self.turn)
        await asyncio.sleep(0)
        return {}


async def test_of_fifty_requests_one_begins_in_each_turn_of_the_loop(world):
    world.control.rpc = Rpc(paced := Paced(), world.failures.append)
    callers = [await world.caller() for _ in range(50)]
    for caller in callers:
        caller.call("hello")
    for caller in callers:
        assert (await caller.read())["result"] == {}
    assert len(set(paced.began)) == 50


async def test_a_whole_line_of_one_who_left_before_its_turn_is_obeyed(world):
    others, leaver = await world.caller(), await world.caller()
    for _ in range(16):
        others.call("hello")
    leaver.send(b'{"jsonrpc":"2.0","method":"services.stop","params":{"id":"ollama"}}\n')
    await leaver.writer.drain()
    leaver.close()
    await until(lambda: any(each[:2] == ("stop", "ollama") for each in world.house.keeper.asked))
    await until(lambda: len(world.control.callers) == 1)


async def test_what_waits_for_its_turn_when_the_gateway_ends_is_let_go(world):
    callers = [await world.caller() for _ in range(20)]
    for caller in callers:
        for id_ in range(16):
            caller.call("hello", id_)
    await until(lambda: world.control.turns._waiting)
    await world.control.close()
    for caller in callers:
        while await caller.read() is not None:
            pass


async def test_a_request_that_cannot_begin_costs_nobody_else_his_turn():
    turns, begun, failures = Turns(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: failures.append(told["exception"]))

    def fail():
        turns.wait(lambda: begun.append("asked meanwhile"))
        raise RuntimeError("out of luck")

    turns.wait(fail)
    turns.wait(lambda: begun.append("behind it"))
    await until(lambda: len(begun) == 2)
    turns.wait(lambda: begun.append("later"))
    await until(lambda: len(begun) == 3)
    assert begun == ["behind it", "asked meanwhile", "later"]
    assert [str(each) for each in failures] == ["out of luck"]


async def test_one_caller_too_many_is_told_so_and_there_is_room_again(strict):
    callers = [await strict.caller() for _ in range(3)]
    await until(lambda: len(strict.control.callers) == 3)
    late = await strict.caller()
    assert (await late.read())["error"]["data"]["code"] == "too_many_connections"
    assert await late.read() is None
    callers[0].close()
    await until(lambda: len(strict.control.callers) < 3)
    assert "result" in await (await strict.caller()).ask("hello")


async def test_another_user_is_refused(world, monkeypatch):
    monkeypatch.setattr("hestia.doors.control_socket.peer_uid", lambda _: 54321)
    caller = await world.caller()
    error = (await caller.read())["error"]
    assert error["data"]["code"] == "forbidden"
    assert "54321" in error["message"]
    assert await caller.read() is None
    assert not world.control.callers


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_whom_the_file_lets_through_is_still_refused(world, tmp_path):
    os.chmod(world.path, 0o666)
    folder = tmp_path
    modes = []
    while str(folder) != "/":
        modes.append((folder, os.stat(folder).st_mode))
        os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = folder.parent
    try:
        code = f"import os, socket; os.setuid(54321); s = socket.socket(socket.AF_UNIX); s.connect({world.path!r}); print(s.makefile().read())"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    finally:
        for each, mode in modes:
            os.chmod(each, mode)
    assert json.loads(said)["error"]["data"]["code"] == "forbidden"


async def test_a_program_that_half_closes_as_nc_does_gets_its_answer(world):
    code = (
        f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({world.path!r}); "
        "s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}\\n'); s.shutdown(1); print(s.makefile().read())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    assert json.loads(said)["result"]["name"] == "hestia"


async def test_when_the_gateway_ends_an_answer_that_is_written_arrives(tmp_path):
    world = World(tmp_path, Bounds())
    await world.control.open()
    await world.control.serve()
    caller = await world.caller()
    caller.call("gateway.shutdown")
    await until(lambda: world.house.gateway.ends)
    await asyncio.sleep(0)
    await world.control.close()
    assert (await caller.read())["result"] == {"ending": True, "leases": 2}
    assert await caller.read() is None
    assert not os.path.exists(world.path)
    await world.control.close()


async def test_whoever_comes_before_the_gateway_is_ready_waits(tmp_path):
    """What an earlier gateway left running is adopted first: a start by command must not come before that."""
    world = World(tmp_path, Bounds())
    await world.control.open()
    caller = await world.caller()
    caller.call("hello")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not world.control.callers
    await world.control.serve()
    assert "result" in await caller.read()
    await world.control.close()


async def test_a_second_gateway_on_the_same_socket_is_refused(world, tmp_path):
    second = World(tmp_path, Bounds())
    with pytest.raises(CannotListen, match="is taken"):
        await second.control.open()
    await second.control.close()
    assert "result" in await (await world.caller()).ask("hello")
