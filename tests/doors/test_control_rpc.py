"""JSON-RPC 2.0, line by line."""

import json

import pytest

from hestia.doors.control_rpc import MOST_IN_BATCH, Rpc, end_line, item_line
from hestia.doors.verbs import Verbs
from hestia.fence import Fence
from tests.support.house import fake_house


class World:
    def __init__(self):
        self.house = fake_house()
        self.failures = []
        self.rpc = Rpc(Verbs(self.house, Fence(self.failures.append)), self.failures.append)

    async def say(self, line):
        reply = await self.rpc.answer(line if isinstance(line, bytes) else json.dumps(line).encode())
        return None if reply.line is None else json.loads(reply.line)


@pytest.fixture
async def world():
    return World()


def call(method, id_=1, **params):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


async def test_a_call_is_answered_with_its_id(world):
    assert await world.say(call("log.level", "seven")) == {"jsonrpc": "2.0", "id": "seven", "result": {"level": "info"}}


async def test_parameters_may_be_left_out(world):
    assert (await world.say({"jsonrpc": "2.0", "id": 1, "method": "log.level"}))["result"] == {"level": "info"}


@pytest.mark.parametrize("id_", [None, 0, -3, 1.5, "", "x"])
async def test_any_id_of_the_standard_comes_back_as_it_was(world, id_):
    assert (await world.say(call("log.level", id_)))["id"] == id_


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"nonsense", -32700),
        (b'{"a": "\xff\xfe"}', -32700),
        (b'{"a": NaN}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "hello"} x', -32700),
        (b"5", -32600),
        (b'"hello"', -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "explode"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "hello", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "hello", "params": null}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "services.status", "params": {"id": 5}}', -32602),
    ],
)
async def test_what_is_wrong_gets_the_error_of_the_standard(world, line, code):
    answer = await world.say(line)
    assert answer["error"]["code"] == code
    assert answer["id"] == (1 if code in {-32601, -32602} or (b'"id": 1' in line and code == -32600) else None)
    assert answer["jsonrpc"] == "2.0"


async def test_a_refusal_carries_the_code_of_the_api(world):
    error = (await world.say(call("services.status", id="nope")))["error"]
    assert (error["code"], error["data"]) == (-32000, {"code": "unknown_service", "status": 404})
    world.house.keeper.fails = "exited with code 3"
    world.house.keeper.ready.set()
    error = (await world.say(call("services.start", id="demo", wait=True)))["error"]
    assert error == {"code": -32000, "message": "exited with code 3", "data": {"code": "start_failed", "status": 503, "retry_after": 10}}


async def test_a_rejected_configuration_lists_its_mistakes(world):
    world.house.settings.break_it()
    data = (await world.say(call("config.reload")))["error"]["data"]
    assert data["mistakes"] == ["hestia_config.yml:3:5: services.ollama.idle_timout: unknown key"]


async def test_a_notification_is_obeyed_and_not_answered(world):
    assert await world.say({"jsonrpc": "2.0", "method": "log.level", "params": {"level": "debug"}}) is None
    assert world.house.gateway.log_level == "debug"
    assert await world.say({"jsonrpc": "2.0", "method": "explode"}) is None


async def test_a_batch_is_answered_in_one_line_without_its_notifications(world):
    told = {"jsonrpc": "2.0", "method": "log.level"}
    answer = await world.say([call("log.level", 1), told, 5, call("explode", 2)])
    assert [(each["id"], each.get("error", {}).get("code")) for each in answer] == [(1, None), (None, -32600), (2, -32601)]
    assert await world.say([told, told]) is None


async def test_a_batch_is_bounded(world):
    assert (await world.say([1] * (MOST_IN_BATCH + 1)))["error"]["code"] == -32600


async def test_a_stream_begins_after_its_answer_and_names_its_request(world):
    reply = await world.rpc.answer(json.dumps(call("events.follow", 9)).encode())
    assert json.loads(reply.line)["result"] == {"following": True}
    (one,) = reply.opened
    assert json.loads(item_line(one, {"id": "8"})) == {"jsonrpc": "2.0", "method": "events.follow", "params": {"follow": 9, "data": {"id": "8"}}}
    assert json.loads(end_line(one))["params"] == {"follow": 9, "end": True}


async def test_a_stream_that_nobody_can_name_is_closed(world):
    reply = await world.rpc.answer(b'{"jsonrpc": "2.0", "method": "events.follow"}')
    assert (reply.line, reply.opened) == (None, [])
    assert world.house.events.streams[0].closed == 1


async def test_a_mistake_of_ours_is_logged_and_answered_without_its_words(world):
    world.house.keeper.status = lambda _: 1 / 0
    error = (await world.say(call("services.status", id="demo")))["error"]
    assert (error["code"], error["data"]) == (-32603, {"code": "internal"})
    assert "division" not in error["message"]
    assert isinstance(world.failures[0], ZeroDivisionError)


async def test_an_answer_that_is_no_json_is_a_mistake_of_ours(world):
    world.house.figures.metrics = lambda _: {"x": object()}
    assert (await world.say(call("metrics")))["error"]["code"] == -32603
    assert len(world.failures) == 1
