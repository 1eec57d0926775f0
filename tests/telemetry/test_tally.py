from bisect import bisect_left

import pytest

from hestia.telemetry.tally import OVERHEAD_BOUNDS, REQUEST_BOUNDS, Sums, Tally, coarser, finer


def end(tally, *, service="a", status=200, outcome="ok", total=0.003, overhead=40e-6, place=0):
    tally.ended(service, status, b"GET", b"/x?q=1", "127.0.0.1", b"id", total, overhead, 10, 20, outcome, place)


def test_an_exchange_is_counted_under_its_service_and_status():
    tally = Tally(["a", "b"])
    end(tally)
    end(tally, status=502, outcome="upstream_failed")
    row = tally.rows["a"]
    assert (row.codes, row.unfinished, row.requests) == ({200: 1, 502: 1}, {"upstream_failed": 1}, 2)
    assert (row.bytes_in, row.bytes_out) == (20, 40)
    assert tally.rows["b"].requests == 0


def test_an_error_is_an_answer_of_500_and_above_or_one_that_broke_off_once():
    tally = Tally(["a"])
    end(tally, status=404)
    end(tally, status=0, outcome="client_left")
    assert tally.rows["a"].errors == 0
    end(tally, status=500)
    end(tally, status=200, outcome="broken")
    end(tally, status=502, outcome="broken")
    assert tally.rows["a"].errors == 3


def test_what_another_place_than_the_first_did_is_kept_apart():
    tally = Tally(["a"])
    end(tally)
    end(tally, place=2, status=503)
    end(tally, place=2, total=1.0)
    row = tally.rows["a"]
    assert row.requests == 3
    assert row.sums() == {0: Sums(1, 0, 10, 20, 0.003 + 0.003 + 1.0 - (0.003 + 1.0)), 2: Sums(2, 1, 20, 40, 1.003)}


def test_a_service_that_nobody_configured_makes_no_new_row():
    tally = Tally(["a"])
    for number in range(1000):
        end(tally, service=f"made-up-{number}")
    assert set(tally.rows) == {"", "a"}
    assert tally.rows[""].requests == 1000


def test_after_a_reload_services_that_stay_keep_their_figures():
    tally = Tally(["a", "b"])
    end(tally)
    tally.follow(["a", "c"])
    assert {id_: row.requests for id_, row in tally.rows.items()} == {"": 0, "a": 1, "c": 0}


def test_a_bound_is_inclusive_and_the_last_bucket_takes_the_rest():
    tally = Tally(["a"])
    end(tally, total=0.001, overhead=25e-6)
    end(tally, total=1e9, overhead=1e9)
    row = tally.rows["a"]
    for counts, bounds in ((coarser(row.seconds), REQUEST_BOUNDS), (coarser(row.overhead), OVERHEAD_BOUNDS)):
        assert (counts[0], counts[-1], len(counts)) == (1, 1, len(bounds) + 1)


@pytest.mark.parametrize("bounds", [REQUEST_BOUNDS, OVERHEAD_BOUNDS, (1.0,)])
def test_finer_buckets_grow_and_make_up_the_coarse_ones(bounds):
    marks = finer(bounds)
    assert list(marks) == sorted(set(marks))
    assert set(bounds) <= set(marks)
    counts = [0] * (len(marks) + 1)
    for value in (0.0, *bounds, *(bound * 1.01 for bound in bounds)):
        counts[bisect_left(marks, value)] += 1
    assert coarser(counts) == [2, *[2] * (len(bounds) - 1), 1]


def test_the_access_line_gets_the_same_figures_from_whoever_listens():
    lines = []
    tally = Tally(["a"], lambda *figures: lines.append(figures))
    end(tally)
    assert lines == [("a", 200, b"GET", b"/x?q=1", "127.0.0.1", b"id", 0.003, 40e-6, 10, 20, "ok", b"")]
    tally.listen(None)
    end(tally)
    assert len(lines) == 1
