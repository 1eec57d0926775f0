import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.support.world import Script, stage


def slow(seconds):
    """A launch that takes so long to be ready."""
    return Script(probing=lambda _life: [(seconds, states.Ready())])


def hot(services, **top):
    """All of them, made hot by a command."""
    one = stage(services, **top)
    for service in one.fleet:
        service.begin("command")
    one.fleet.settle()
    one.run(3)
    return one


# --- one start, one line


def test_many_requests_make_one_start_and_go_in_the_order_in_which_they_came():
    one = stage({"a": {}})
    askers = [one.ask("a", str(number)) for number in range(50)]
    assert one.fleet.services["a"].waiters == 50
    one.run(1)
    assert one.granted == askers
    assert one.kinds("a") == ["service.starting", "service.ready"]
    assert len(one.running) == 1


def test_a_thousand_waiters_are_granted_in_the_moment_in_which_it_is_ready():
    one = stage({"a": {"queue_size": 1000}})
    askers = [one.ask("a") for _ in range(1000)]
    one.run(1)
    assert {asker.done_at for asker in askers} == {one.granted[0].done_at}
    assert one.granted == askers


def test_a_hot_one_is_leased_at_once_and_each_lease_is_paid_back():
    one = hot({"a": {}})
    life = one.fleet.services["a"].lives[0]
    first, second = one.ask("a"), one.ask("a")
    assert (first.life, life.leases, one.fleet.leases) == (life, 2, 2)
    one.end(first)
    one.end(second)
    assert (life.leases, life.slots, life.idle_since) == (0, 0, one.now)


def test_one_more_than_the_line_holds_is_refused_and_the_others_are_served():
    one = stage({"a": {"queue_size": 5}})
    askers = [one.ask("a") for _ in range(8)]
    assert [asker.refusal.code for asker in askers[5:]] == ["queue_full"] * 3
    assert askers[5].refusal.retry_after == 5
    one.run(1)
    assert one.granted == askers[:5]


def test_whoever_leaves_frees_its_position_and_the_others_keep_theirs():
    one = stage({"a": {"queue_size": 3}})
    first, second, third = (one.ask("a", name) for name in "123")
    one.leave("a", second)
    fourth = one.ask("a", "4")
    one.run(1)
    assert one.granted == [first, third, fourth]
    assert (second.life, second.refusal) == (None, None)


def test_a_start_goes_on_when_its_last_waiter_leaves():
    one = stage({"a": {}})
    one.leave("a", one.ask("a"))
    one.run(1)
    assert one.fleet.services["a"].state == "hot"


def test_a_wait_ends_at_its_deadline_and_the_start_goes_on():
    one = stage({"a": {"queue_timeout": "2s"}})
    one.scripts["a"] = slow(5)
    early = one.ask("a")
    one.run(1)
    late = one.ask("a")
    one.run(1.5)
    assert (early.refusal.code, early.done_at - early.since) == ("wait_timeout", 2)
    assert "waited 2 s (`queue_timeout`) for a, which is starting" in early.refusal.detail
    assert late.refusal is None
    one.run(3)
    assert one.fleet.services["a"].state == "hot"


def test_the_reason_of_the_last_check_stands_in_a_wait_that_took_too_long():
    one = stage({"a": {"queue_timeout": "2s"}})
    one.scripts["a"] = Script(probing=lambda _life: [(0.1, states.NotReady("connection refused"))])
    asker = one.ask("a")
    one.run(3)
    assert asker.refusal.detail.endswith("starting: connection refused")


# --- max_concurrency


def test_above_max_concurrency_requests_wait_in_the_same_line_and_nobody_overtakes():
    one = hot({"a": {"max_concurrency": 2}})
    askers = [one.ask("a", str(number)) for number in range(4)]
    assert one.granted == askers[:2]
    one.end(askers[0])
    late = one.ask("a", "late")
    assert one.granted == askers[:3]
    one.end(askers[1])
    one.end(askers[2])
    assert one.granted == [*askers, late]


def test_a_wait_for_a_turn_ends_with_words_about_turns():
    one = hot({"a": {"max_concurrency": 1, "queue_timeout": "1s"}})
    one.ask("a")
    second = one.ask("a")
    one.run(2)
    assert (second.refusal.code, "max_concurrency" in second.refusal.detail) == ("wait_timeout", True)


def test_a_tunnel_holds_a_lease_and_no_slot():
    one = hot({"a": {"max_concurrency": 1}})
    tunnel, second = one.ask("a"), one.ask("a")
    tunnel.life.tunnel_begins()
    assert second.life is tunnel.life
    one.end(second)
    tunnel.life.tunnel_ended(one.now)
    assert (tunnel.life.leases, tunnel.life.slots) == (0, 0)


def test_each_place_has_its_own_slots():
    one = hot({"a": {"max_concurrency": 1, "replicas": 2, "places": [{"launch": launched()}, {"launch": launched()}]}})
    assert {one.ask("a").life.number, one.ask("a").life.number} == {0, 1}
    assert one.ask("a").life is None


def launched():
    return {"kind": "process", "command": ["serve", "{port}"]}


# --- requests that keep nobody awake


def test_a_quiet_request_gets_a_hot_place_and_keeps_nobody_awake():
    one = hot({"a": {"idle_timeout": "10s"}})
    life = one.fleet.services["a"].lease_quietly()
    assert (life.leases, life.quiet, one.fleet.leases) == (0, 1, 1)
    one.run(11)
    assert one.fleet.services["a"].state == "cold"
    life.release_quiet(one.now)
    assert life.quiet == 0


@pytest.mark.parametrize("phase", ["cold", "starting", "stopping"])
def test_a_quiet_request_wakes_nothing(phase):
    one = stage({"a": {}}) if phase != "stopping" else hot({"a": {}})
    service = one.fleet.services["a"]
    if phase == "starting":
        one.ask("a")
    if phase == "stopping":
        one.ask("a")
        service.stop("command")
    assert (service.state, service.lease_quietly()) == (phase, None)


def test_a_silent_tunnel_keeps_nobody_awake_until_it_speaks_again():
    one = hot({"a": {"idle_timeout": "10s"}})
    life = one.ask("a").life
    life.tunnel_begins()
    life.quieten(one.now)
    one.run(9)
    assert life.waken()
    one.run(100)
    assert (one.fleet.services["a"].state, life.leases) == ("hot", 1)
    life.quieten(one.now)
    one.run(11)
    assert not life.waken()
    life.release_quiet(one.now)
    assert (life.leases, life.slots, life.quiet) == (0, 0, 0)


# --- pages


def test_a_page_counts_as_a_waiter_until_ten_seconds_after_it_last_asked_and_takes_no_place():
    one = stage({"a": {"queue_size": 1}})
    one.scripts["a"] = slow(60)
    service = one.fleet.services["a"]
    service.page("tab")
    service.begin("page")
    asker = one.ask("a")
    assert (service.waiters, asker.refusal) == (2, None)
    one.run(9)
    service.page("tab")
    one.run(9.9)
    assert service.waiters == 2
    one.run(0.2)
    assert service.waiters == 1


def test_a_page_that_is_cancelled_counts_no_more():
    one = stage({"a": {}})
    service = one.fleet.services["a"]
    service.page("tab")
    service.page_left("tab")
    service.page_left("tab")
    assert service.waiters == 0


# --- refusals


def test_one_that_says_refuse_starts_nothing():
    one = stage({"a": {"waiting": "refuse"}})
    asker = one.ask("a")
    assert (asker.refusal.code, one.fleet.services["a"].state) == ("cold", "cold")


def test_one_that_says_refuse_still_lets_requests_wait_for_their_turn():
    one = hot({"a": {"waiting": "refuse", "max_concurrency": 1}})
    first, second = one.ask("a"), one.ask("a")
    assert second.refusal is None
    one.end(first)
    assert second.life is first.life


def test_nobody_waits_while_the_gateway_closes():
    one = stage({"a": {}})
    one.fleet.closing = True
    assert one.ask("a").refusal.code == "stopped"


# --- what follows from its places


def test_it_is_never_leased_from_the_moment_in_which_its_place_is_stopped():
    one = hot({"a": {}})
    service = one.fleet.services["a"]
    one.fleet.apply(service.lives[0], states.Stop("room"))
    assert (service.state, service.open, service.lease_nowait()) == ("stopping", None, None)


def test_the_seconds_of_heat_are_added_up():
    one = hot({"a": {"idle_timeout": "10s"}})
    one.run(60)
    one.ask("a")
    one.run(1)
    service = one.fleet.services["a"]
    assert service.hot_seconds == pytest.approx(10)
    assert service.hot_since == pytest.approx(one.world.wall() - 0.98)


def test_a_dead_place_is_cold_at_once_while_what_is_left_of_it_is_ended():
    one = hot({"a": {}})
    service = one.fleet.services["a"]
    one.fleet.tell(service.lives[0], states.Exited("killed by signal 9"))
    assert (service.state, service.lives[0].phase, service.lease_nowait()) == ("cold", Phase.CLEARING, None)
