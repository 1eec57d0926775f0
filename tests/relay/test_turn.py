"""A request's turn: a lease or a place in the line, each paid back once, and one new start for what turns out dead."""

import pytest

from hestia.relay.dial import Unreachable
from hestia.relay.turn import Turn
from hestia.words.refusal import Refusal


class Lease:
    """A place; what is called stands in `did`."""

    def __init__(self, *, wakes=True):
        self.did = []
        self.wakes = wakes

    def release(self, _now):
        self.did.append("release")

    def release_quiet(self, _now):
        self.did.append("release_quiet")

    def tunnel_begins(self):
        self.did.append("tunnel_begins")

    def tunnel_ended(self, _now):
        self.did.append("tunnel_ended")

    def quieten(self, _now):
        self.did.append("quieten")

    def waken(self):
        self.did.append("waken")
        return self.wakes


class Line:
    """A service's life. With `at_once` it grants or refuses whoever waits before `wait` returns."""

    def __init__(self, at_once=None):
        self.at_once = at_once
        self.did = []

    def wait(self, asker, request_id, who):
        self.did.append(("wait", request_id, who))
        if isinstance(self.at_once, Refusal):
            asker.refused(self.at_once)
        elif self.at_once is not None:
            asker.granted(self.at_once, None)
        return "ticket"

    def left(self, ticket):
        self.did.append(("left", ticket))

    def no_answer(self, lease, reason):
        self.did.append(("no_answer", reason))


class Request(Turn):
    """What an exchange adds, as far as a turn needs it."""

    def __init__(self, line):
        super().__init__(line, b"r-1")
        self.refusal = None

    @property
    def who(self):
        return "me"

    def start(self, lease, *, quiet=False):
        self.lease = lease
        self.release = lease.release_quiet if quiet else lease.release
        self.pending = [b"head", *(self.pending or ())]

    def refuse(self, refusal):
        self.refusal = refusal
        self.end()

    def end(self):
        self.ended = True
        self.leave_line()
        self.pay_back()


def refused(text="connection refused"):
    return Unreachable(text, refused=True)


# --- the line


def test_who_waits_has_a_ticket_and_gives_it_back_when_it_leaves():
    line = Line()
    request = Request(line)
    request.wait()
    assert (request.waiting, request.pending) == (True, [])
    request.end()
    request.end()
    assert line.did == [("wait", "r-1", "me"), ("left", "ticket")]


def test_who_is_granted_starts_and_says_how_long_it_waited():
    line, lease = Line(), Lease()
    request = Request(line)
    request.wait()
    request.granted(lease, 1.5)
    request.end()
    assert (request.waited, request.waiting, lease.did) == (1.5, False, ["release"])
    assert ("left", "ticket") not in line.did


@pytest.mark.parametrize("answer", (Lease(), Refusal("queue_full", "full")))
def test_who_is_answered_before_wait_returns_keeps_no_ticket(answer):
    line = Line(answer)
    request = Request(line)
    request.wait()
    assert request.ticket is None
    request.end()
    assert line.did == [("wait", "r-1", "me")]


def test_a_lease_that_comes_too_late_is_given_back_at_once():
    request, lease = Request(Line()), Lease()
    request.wait()
    request.end()
    request.granted(lease, 0.1)
    assert (request.lease, lease.did) == (None, ["release"])


def test_who_waited_in_vain_is_refused():
    request = Request(Line())
    request.wait()
    request.refused(Refusal("wait_timeout", "too long"))
    assert request.refusal.code == "wait_timeout"


def test_what_came_of_the_body_is_kept_while_it_waits():
    request = Request(Line())
    request.pending = [b"some"]
    request.wait()
    assert request.pending == [b"some"]


# --- nobody is there


def test_what_refuses_may_have_died_and_the_request_waits_for_one_new_start():
    line, lease = Line(), Lease()
    request = Request(line)
    request.start(lease)
    request.pending.append(b"body")
    request.no_answer(refused())
    assert line.did == [("no_answer", "connection refused"), ("wait", "r-1", "me")]
    assert (lease.did, request.lease, request.refusal) == (["release"], None, None)
    assert request.pending == [b"body"]  # its head is written anew for the next place


def test_a_second_refusal_is_told():
    request = Request(Line())
    request.start(Lease())
    request.no_answer(refused())
    second = Lease()
    request.granted(second, 0.5)
    request.no_answer(refused("still refused"))
    assert (request.refusal.code, request.refusal.detail) == ("upstream_unreachable", "still refused")
    assert second.did == ["release"]


def test_a_connection_that_only_took_too_long_is_no_death():
    line = Line()
    request = Request(line)
    request.start(Lease())
    request.no_answer(Unreachable("no connection within 5s"))
    assert (request.refusal.code, line.did) == ("upstream_unreachable", [])


def test_a_quiet_request_waits_for_nothing():
    line, lease = Line(), Lease()
    request = Request(line)
    request.start(lease, quiet=True)
    request.no_answer(refused())
    assert (request.refusal.code, lease.did) == ("cold", ["release_quiet"])
    assert line.did == [("no_answer", "connection refused")]


def test_without_a_lease_there_is_nothing_to_answer_for():
    line = Line()
    Request(line).no_answer(refused())
    assert line.did == []


# --- tunnels


def test_a_tunnel_gives_back_its_slot_and_later_its_lease():
    request, lease = Request(Line()), Lease()
    request.start(lease)
    request.becomes_tunnel()
    request.end()
    assert lease.did == ["tunnel_begins", "tunnel_ended"]


def test_a_silent_tunnel_keeps_nobody_awake_until_it_speaks_again():
    request, lease = Request(Line()), Lease()
    request.start(lease)
    request.becomes_tunnel()
    for _ in range(2):
        request.quieten(1.0)
    for _ in range(2):
        request.waken()
    request.end()
    assert lease.did == ["tunnel_begins", "quieten", "waken", "tunnel_ended"]


def test_a_tunnel_that_speaks_too_late_stays_quiet():
    request, lease = Request(Line()), Lease(wakes=False)
    request.start(lease)
    request.becomes_tunnel()
    request.quieten(1.0)
    request.waken()
    request.end()
    assert lease.did == ["tunnel_begins", "quieten", "waken", "release_quiet"]


def test_the_tunnel_of_a_request_that_keeps_nobody_awake_never_does():
    request, lease = Request(Line()), Lease()
    request.start(lease, quiet=True)
    request.becomes_tunnel()
    request.waken()
    request.quieten(1.0)
    request.waken()
    request.end()
    assert lease.did == ["release_quiet"]
