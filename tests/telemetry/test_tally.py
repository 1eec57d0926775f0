from hestia.telemetry.tally import OVERHEAD_BOUNDS, REQUEST_BOUNDS, Tally


def end(tally, *, service="a", status=200, outcome="ok", total=0.003, overhead=40e-6):
    tally.ended(service, status, b"GET", b"/x?q=1", "127.0.0.1", b"id", total, overhead, 10, 20, outcome)


def test_an_exchange_is_counted_under_its_service_and_status():
    tally = Tally(["a", "b"])
    end(tally)
    end(tally, status=502, outcome="upstream_failed")
    row = tally.rows["a"]
    assert (row.codes, row.unfinished, row.requests) == ({200: 1, 502: 1}, {"upstream_failed": 1}, 2)
    assert (row.bytes_in, row.bytes_out) == (20, 40)
    assert tally.rows["b"].requests == 0


def test_a_service_that_nobody_configured_makes_no_new_row():
    tally = Tally(["a"])
    for number in range(1000):
        end(tally, service=f"made-up-{number}")
    assert set(tally.rows) == {"", "a"}
    assert tally.rows[""].requests == 1000


def test_a_bound_is_inclusive_and_the_last_bucket_takes_the_rest():
    tally = Tally(["a"])
    end(tally, total=0.001, overhead=25e-6)
    end(tally, total=1e9, overhead=1e9)
    row = tally.rows["a"]
    assert (row.seconds[0], row.seconds[len(REQUEST_BOUNDS)]) == (1, 1)
    assert (row.overhead[0], row.overhead[len(OVERHEAD_BOUNDS)]) == (1, 1)


def test_the_access_line_gets_the_same_figures():
    lines = []
    end(Tally(["a"], lambda *figures: lines.append(figures)))
    assert lines == [("a", 200, b"GET", b"/x?q=1", "127.0.0.1", b"id", 0.003, 40e-6, 10, 20, "ok")]
