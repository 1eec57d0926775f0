"""The scripts that wrk gets, and the line that it answers with."""

import pytest

from bench import wrk

SAID = "Running 2s test\n  ...\n\nFIGURES 30000 2000000 1900 2300 4100 0\n"


def test_the_figures_of_a_run_are_read():
    assert wrk.read_figures(SAID) == {
        "rps": 15000,
        "p50_us": 1900,
        "p95_us": 2300,
        "p99_us": 4100,
        "requests": 30000,
        "errors": 0,
    }


@pytest.mark.parametrize("text", ("", "unable to connect", "FIGURES 0 2000000 0 0 0 64"))
def test_a_run_without_answers_is_an_error(text):
    with pytest.raises(ValueError, match=r"wrk said|no request"):
        wrk.read_figures(text)


def test_a_request_has_ten_headers_of_which_one_varies():
    script = wrk.get_script(8080, "/small", varied=True)
    assert script.count(": ") - script.count("://") >= len(wrk.HEADERS) == 10
    assert "GET /small HTTP/1.1\\r\\nHost: 127.0.0.1:8080" in script
    assert 'string.format("%08x", n)' in script
    assert "delay" not in script


def test_constant_headers_are_as_long_as_those_that_vary():
    script = wrk.get_script(8080, "/small", varied=False)
    assert f"00-4bf92f3577b34da6a3ce929d{wrk.CONSTANT}-" in script
    assert len(wrk.CONSTANT) == 8
    assert 'string.format("%08x"' not in script


def test_a_pause_is_random_about_what_was_asked():
    assert "math.random(0, 16)" in wrk.get_script(1, "/", varied=True, delay_ms=8)
