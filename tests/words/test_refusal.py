from pathlib import Path

import pytest

import hestia
from hestia.words.refusal import REFUSALS, Refusal, errors_table

ERROR_TYPES = {  # RFC 9209, section 2.3: those that we use
    "connection_limit_reached",
    "destination_not_found",
    "destination_unavailable",
    "http_protocol_error",
    "http_request_denied",
    "http_request_error",
    "http_response_timeout",
    "proxy_internal_error",
    "proxy_loop_detected",
}

CONTRACT = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_service": 404,
    "unknown_model": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "host_not_allowed": 421,
    "too_many_tries": 429,
    "headers_too_large": 431,
    "internal": 500,
    "too_many_connections": 503,
    "queue_full": 503,
    "start_failed": 503,
    "cold": 503,
    "held": 503,
    "stopped": 503,
    "no_room": 503,
    "wait_timeout": 504,
    "upstream_unreachable": 502,
    "upstream_failed": 502,
    "upstream_timeout": 504,
    "loop": 508,
}


def test_the_table_has_every_promised_code_with_its_status_and_no_other():
    assert {code: kind.status for code, kind in REFUSALS.items()} == CONTRACT


@pytest.mark.parametrize("code", REFUSALS)
def test_every_row_is_whole(code):
    kind = REFUSALS[code]
    assert kind.title.isascii()
    assert kind.title
    assert kind.when.endswith(".")
    assert "|" not in kind.when
    assert kind.error in ERROR_TYPES


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        REFUSALS["cold"] = REFUSALS["held"]


def test_a_refusal_takes_status_title_and_advice_from_its_row():
    refusal = Refusal("queue_full", "100 requests wait already")
    assert (refusal.code, refusal.status, refusal.title) == ("queue_full", 503, "Queue full")
    assert (refusal.retry_after, refusal.error, refusal.allow) == (5, "connection_limit_reached", None)
    assert str(refusal) == "queue_full: 100 requests wait already"


def test_what_the_caller_knows_better_than_the_row_wins():
    refusal = Refusal("upstream_unreachable", "x", retry_after=0, error="connection_refused", allow="GET")
    assert (refusal.retry_after, refusal.error, refusal.allow) == (0, "connection_refused", "GET")


def test_an_unknown_code_cannot_be_raised():
    with pytest.raises(KeyError):
        Refusal("teapot", "x")


def test_the_docs_list_the_errors_as_the_code_has_them():
    page = (Path(hestia.__file__).parent / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n" + errors_table())
