"""Connections that wait for the next request: the newest first, none that is dead, none that has something to say."""

import pytest

from hestia.relay import pool as pool_file
from hestia.relay.pool import Pool
from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import Upstream, answering, in_turn, reply, turns


class Idle:
    """An upstream connection as the pool sees one."""

    def __init__(self, name):
        self.name = name
        self.alive = True
        self.closed = False
        self.idle_since = 0.0
        self.readable = False

    def poll(self, _):
        return self.readable

    def close(self):
        self.closed = True


@pytest.fixture
def now(monkeypatch):
    clock = {"now": 1000.0}
    monkeypatch.setattr(pool_file, "boottime", lambda: clock["now"])
    return clock


def test_the_one_used_last_is_taken_first(now):
    pool, one, two = Pool(), Idle("one"), Idle("two")
    pool.put(one)
    pool.put(two)
    assert [pool.take(), pool.take(), pool.take()] == [two, one, None]


def test_one_that_is_dead_is_passed_over(now):
    pool, one, two = Pool(), Idle("one"), Idle("two")
    pool.put(one)
    pool.put(two)
    two.alive = False
    assert pool.take() is one


def test_one_that_became_readable_is_closed_not_used(now):
    pool, one, two = Pool(), Idle("one"), Idle("two")
    pool.put(one)
    pool.put(two)
    two.readable = True
    assert pool.take() is one
    assert two.closed


def test_one_that_idled_for_long_or_through_a_suspend_is_closed_not_used(now):
    pool, one = Pool(), Idle("one")
    pool.put(one)
    now["now"] += pool_file.LONGEST_IDLE + 1
    assert pool.take() is None
    assert one.closed


def test_old_ones_are_pruned_from_the_bottom(now):
    pool, one, two = Pool(), Idle("one"), Idle("two")
    pool.put(one)
    now["now"] += pool_file.LONGEST_IDLE - 1
    pool.put(two)
    now["now"] += 2
    pool.prune()
    assert (one.closed, two.closed) == (True, False)
    assert pool.take() is two


def test_a_full_pool_closes_what_comes_too_much(now):
    pool, many = Pool(), [Idle(str(i)) for i in range(pool_file.MOST_IDLE + 1)]
    for each in many:
        pool.put(each)
    assert [each.closed for each in many] == [False] * pool_file.MOST_IDLE + [True]


def test_one_that_the_other_side_closed_is_forgotten_and_the_rest_can_be_closed(now):
    pool, one, two = Pool(), Idle("one"), Idle("two")
    pool.put(one)
    pool.put(two)
    pool.forget(one)
    pool.forget(one)
    pool.close()
    assert (one.closed, two.closed) == (False, True)
    assert pool.take() is None


# --- with real sockets


async def test_connections_are_used_again_across_clients():
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        for _ in range(5):
            await gateway.ask(req())
        assert len(upstream.wires) == 1


async def test_an_upstream_that_says_close_is_not_used_again():
    async def once(wire):
        await wire.message()
        wire.transport.write(reply(b"x", b"Connection: close"))
        await answering(wire)

    async with Upstream(in_turn(once, answering)) as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        assert (await gateway.ask(req())).get(b"connection") in (None, b"close")
        await gateway.ask(req())
        assert len(upstream.wires) == 2
        wire = upstream.wires[0]
        await wire.until(lambda: wire.ended)


async def test_a_post_does_not_take_a_connection_that_was_closed_meanwhile():
    async def once(wire):
        await wire.message()
        wire.transport.write(reply(b"x"))
        wire.close()

    async with Upstream(in_turn(once, answering)) as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        await gateway.ask(req())
        await turns(3)
        assert (await gateway.ask(post(b"Content-Length: 1", body=b"y"))).body == b"POST|/x||y"


@pytest.mark.parametrize("request_", (req(target=b"/services/a/victim"), post(b"Content-Length: 1", body=b"y")), ids=("GET", "POST"))
async def test_an_answer_that_nobody_asked_for_is_never_the_next_clients(request_):
    async def poisoning(wire):
        await wire.message()
        wire.transport.write(reply(b"x"))
        await turns(4)
        wire.transport.write(reply(b"poison"))
        await answering(wire)

    async with Upstream(in_turn(poisoning, answering)) as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        client, next_client = await gateway.dial(), await gateway.dial()
        await client.send(req())
        await client.answer()
        wire = upstream.wires[0]
        before = len(upstream.wires)
        await turns(8)
        await next_client.send(request_)
        assert b"poison" not in (await next_client.answer()).body
        assert len(upstream.wires) == before + 1
        await wire.until(lambda: wire.ended)


async def test_an_unasked_answer_that_still_lies_in_the_kernel_is_not_read_as_the_next_one():
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        client = await gateway.dial()
        await client.send(req())
        await client.answer()
        client.transport.write(req(target=b"/services/a/next"))
        upstream.wires[0].transport.write(reply(b"poison"))  # both arrive before the gateway's loop looks again
        answer = await client.answer()
        assert answer.body == b"GET|/next||"
