from types import SimpleNamespace

import pytest

from hestia.doors.shared import FASTEST_SWEEP, SLOWEST_SWEEP, Shared


def shared(head_timeout=30.0, idle_connection=75.0, stall_timeout=300.0):
    limits = SimpleNamespace(head_timeout=head_timeout, idle_connection=idle_connection, stall_timeout=stall_timeout)
    limits.body_peek = limits.body_peek_total = 1
    names = ("router", "gate", "guard", "sessions", "login", "trust", "tally", "server", "cold", "chooser", "users")
    nothing = dict.fromkeys(names) | {"server": SimpleNamespace(begin_closing=lambda: None, room=None)}
    return Shared(
        **nothing,
        limits=limits,
        cors_origins=frozenset(),
        loop_tag=b"hestia-1",
        most_connections=1,
        reserve=0,
        failed=lambda _: None,
    )


def test_request_ids_are_never_the_same_and_gateways_do_not_share_them():
    one, other = shared(), shared()
    ids = [next(one.request_ids) for _ in range(3)] + [next(other.request_ids) for _ in range(3)]
    assert len(set(ids)) == 6
    assert len({each[:10] for each in ids}) == 2


@pytest.mark.parametrize(
    ("head_timeout", "interval"), [(30.0, SLOWEST_SWEEP), (0.4, 0.1), (0.01, FASTEST_SWEEP)], ids=("slow", "quick", "tiny")
)
def test_the_sweep_looks_often_enough_for_the_shortest_deadline(head_timeout, interval):
    assert shared(head_timeout=head_timeout).sweep.interval == pytest.approx(interval)


def test_closing_closes_what_is_idle_and_aborting_all():
    said = []
    gateway = shared()
    gateway.fronts = [SimpleNamespace(wind_up=lambda: said.append("wind up"), abort=lambda: said.append("abort"))]
    gateway.begin_closing()
    assert gateway.closing
    gateway.abort()
    assert said == ["wind up", "abort"]
