"""The ledger finds what is lost: each row is a mistake that a gateway could make, and one that is none."""

from collections import Counter

import pytest

from tests.gauntlet.faults_ledger import BROKEN, REFUSED, RIGHT, SILENT, UNANSWERED, WRONG, Ledger, read_diaries

KILLED = ("upstream killed", {"a"}, BROKEN, "upstream_failed", "sent again")
CLOSED = ("gateway stopped", None, "stopped", "not taken", REFUSED)


def verdict(method="GET", ending=RIGHT, delivered=1, fault=None, service="a", expects=()):
    ledger = Ledger()
    one = ledger.ask("get", service, method, *expects)
    if fault is not None:
        name, services, *excuses = fault
        with ledger.fault(name, services, *excuses):
            pass
    ledger.end(one, ending)
    ledger.judge(Counter({one.id: delivered}))
    return one.verdict


@pytest.mark.parametrize(
    "asked",
    [
        dict(ending=WRONG),
        dict(ending=SILENT),
        dict(ending=BROKEN),
        dict(ending=UNANSWERED, delivered=0),
        dict(ending="upstream_failed"),
        dict(ending="stopped", delivered=0),
        dict(delivered=0),  # answered by nobody
        dict(delivered=2),
        dict(method="POST", delivered=2, fault=KILLED),
        dict(delivered=3, fault=KILLED),
        dict(ending=BROKEN, fault=KILLED, service="b"),  # the fault was another's
        dict(ending="stopped", delivered=0, fault=KILLED),  # the fault excuses something else
        dict(ending="stopped", delivered=1, fault=CLOSED),  # refused after it was delivered
        dict(ending=UNANSWERED, delivered=1, fault=CLOSED),  # taken, and then dropped
        dict(ending=BROKEN, fault=CLOSED),
        dict(expects=(BROKEN,)),  # a whole answer where the service broke off
    ],
)
def test_what_the_contract_does_not_allow_is_lost(asked):
    assert verdict(**asked).startswith("lost")


@pytest.mark.parametrize(
    "asked",
    [
        dict(delivered=2, fault=KILLED),
        dict(ending=BROKEN, fault=KILLED),
        dict(ending="upstream_failed", method="POST", fault=KILLED),
        dict(ending="stopped", delivered=0, fault=CLOSED),
        dict(ending="status 503", method="HEAD", delivered=0, fault=CLOSED),
        dict(ending=UNANSWERED, delivered=0, fault=CLOSED),
        dict(ending=REFUSED, delivered=0, fault=CLOSED),
        dict(ending=BROKEN, expects=(BROKEN,)),
        dict(service="", delivered=0),  # the gateway's own page
    ],
)
def test_what_it_allows_is_not(asked):
    assert not verdict(**asked).startswith("lost")


def test_one_that_was_sent_again_may_be_refused_while_it_waits_for_the_next_start():
    for method, wanted in (("GET", "allowed"), ("POST", "lost")):
        ledger = Ledger()
        one = ledger.ask("get", "a", method)
        with ledger.fault(*KILLED), ledger.fault(*CLOSED):
            pass
        ledger.end(one, "stopped")
        ledger.judge(Counter({one.id: 1}))
        assert one.verdict.startswith(wanted)


def test_a_fault_excuses_nothing_that_was_over_before_it_or_began_after_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    ledger = Ledger()
    before, during = ledger.ask("get", "a", "GET"), ledger.ask("get", "a", "GET")
    ledger.end(before, BROKEN)
    now[0] = 1.0
    with ledger.fault(*KILLED):
        now[0] = 2.0
    ledger.end(during, BROKEN)
    now[0] = 3.0
    after = ledger.ask("get", "a", "GET")
    ledger.end(after, BROKEN)
    ledger.judge(Counter())
    assert [one.verdict.partition(":")[0] for one in (before, during, after)] == ["lost", "allowed", "lost"]


def test_one_that_never_ended_is_lost_and_one_whose_client_left_is_not():
    ledger = Ledger()
    waits, gone = ledger.ask("get", "a", "GET"), ledger.ask("get", "a", "GET")
    ledger.leave(gone)
    ledger.judge(Counter())
    assert ledger.lost == [waits]
    assert gone.verdict == "left"


def test_diaries_say_what_was_delivered_started_and_started_twice(tmp_path):
    (tmp_path / "a.diary").write_text("start 7\ngot x GET 7\ngot x GET 7\nbroke 7 Gone()\nstart 8\ntwice 8\n")
    diaries = read_diaries(tmp_path)
    assert (diaries.got["x"], diaries.starts["a"], diaries.pids["a"], diaries.twice) == (2, 2, [7, 8], ["a: twice 8"])
