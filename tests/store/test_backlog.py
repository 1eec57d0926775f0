import asyncio

from hestia.store.backlog import Backlog, Op


def event(name: str) -> Op:
    return Op(name)


def urgent(name: str, done=None) -> Op:
    return Op(name, done=done, urgent=True)


def names(ops) -> list[str]:
    return [op.sql for op in ops]


def test_what_is_urgent_goes_first_and_each_line_keeps_its_order():
    backlog = Backlog()
    for op in (event("a"), urgent("1"), event("b"), urgent("2")):
        backlog.add(op)
    assert names(backlog.take(3)) == ["1", "2", "a"]
    backlog.wrote()
    assert names(backlog.take(9)) == ["b"]


def test_what_could_not_be_written_stands_before_what_came_meanwhile():
    backlog = Backlog()
    for op in (event("a"), urgent("1"), event("b")):
        backlog.add(op)
    backlog.take(2)
    backlog.add(urgent("2"))
    backlog.add(event("c"))
    backlog.put_back()
    assert names(backlog.take(9)) == ["1", "2", "a", "b", "c"]


def test_what_is_being_written_counts_as_waiting_until_it_is():
    backlog = Backlog()
    backlog.add(event("a"))
    backlog.take(1)
    assert len(backlog) == 1
    backlog.wrote()
    assert len(backlog) == 0


def test_beyond_the_bound_events_are_counted_as_lost_but_nothing_urgent_is():
    backlog = Backlog(2)
    assert [backlog.add(event(name)) for name in "abc"] == [True, True, False]
    assert backlog.add(urgent("1"))
    assert (len(backlog), backlog.lost) == (3, 1)
    assert names(backlog.take(9)) == ["1", "a", "b"]


def test_what_is_being_written_takes_room_too():
    backlog = Backlog(2)
    backlog.add(event("a"))
    backlog.add(event("b"))
    backlog.take(2)
    assert not backlog.add(event("c"))


async def test_what_nobody_wants_any_more_is_not_written():
    backlog = Backlog()
    done = asyncio.get_running_loop().create_future()
    backlog.add(urgent("1", done))
    backlog.add(urgent("2"))
    done.cancel()
    assert names(backlog.take(9)) == ["2"]


def test_what_is_left_at_the_end_is_lost():
    backlog = Backlog()
    for op in (event("a"), event("b"), urgent("1")):
        backlog.add(op)
    backlog.take(1)
    assert names(backlog.give_up()) == ["1", "a", "b"]
    assert (len(backlog), backlog.lost) == (0, 3)
