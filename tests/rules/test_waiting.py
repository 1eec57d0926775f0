import pytest

from hestia.rules.waiting import course, deed, is_retry_form, may_be_retry_form, wish
from hestia.words.refusal import Refusal
from hestia.words.status import STATES


@pytest.mark.parametrize(
    "waiting, method, navigation, dest, gets",
    [
        ("auto", b"GET", True, b"document", "page"),
        ("auto", b"GET", False, None, "hold"),
        ("auto", b"GET", False, b"iframe", "hold"),
        ("auto", b"POST", True, b"document", "hold"),
        ("auto", b"HEAD", True, None, "hold"),
        ("hold", b"GET", True, b"document", "hold"),
        ("page", b"GET", False, None, "page"),
        ("page", b"HEAD", False, None, "page"),
        ("page", b"POST", False, None, "hold"),
        ("page", b"GET", False, b"iframe", "frame"),
        ("page", b"GET", False, b"empty", "page"),
        ("refuse", b"GET", True, b"document", "refuse"),
        ("refuse", b"POST", False, None, "refuse"),
    ],
)
def test_a_cold_service_holds_shows_its_page_or_refuses(waiting, method, navigation, dest, gets):
    assert course(waiting, method, navigation=navigation, dest=dest) == gets


@pytest.mark.parametrize("waiting", ["auto", "page"])
def test_an_upgrade_is_held_for_a_page_is_no_answer_to_it(waiting):
    assert course(waiting, b"GET", navigation=True, upgrade=True, dest=None) == "hold"


@pytest.mark.parametrize(
    "value, method, means",
    [
        (b"1", b"GET", "look"),
        (b"1", b"HEAD", "look"),
        (b" 1 ", b"GET", "look"),
        (b"Retry", b"POST", "retry"),
        (b"cancel", b"POST", "cancel"),
    ],
)
def test_the_header_asks_for_a_look_a_retry_or_a_cancel(value, method, means):
    assert wish(value, method) == means


@pytest.mark.parametrize(
    "value, method, code",
    [
        (b"1", b"POST", "method_not_allowed"),
        (b"retry", b"GET", "method_not_allowed"),
        (b"cancel", b"HEAD", "method_not_allowed"),
        (b"0", b"GET", "bad_request"),
        (b"", b"GET", "bad_request"),
        (b"1, 1", b"GET", "bad_request"),
    ],
)
def test_any_other_wish_is_refused(value, method, code):
    with pytest.raises(Refusal) as caught:
        wish(value, method)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "asked, state, more, follows",
    [
        ("retry", "failed", {}, "start"),
        ("retry", "cold", {}, "start"),
        ("retry", "stopping", {}, "start"),
        ("retry", "starting", {}, "nothing"),
        ("retry", "hot", {}, "nothing"),
        ("retry", "cold", {"held": True}, "nothing"),
        ("cancel", "starting", {"waiters": 1}, "stop"),
        ("cancel", "starting", {"waiters": 0}, "stop"),
        ("cancel", "starting", {"waiters": 2}, "nothing"),
        ("cancel", "hot", {"waiters": 1}, "nothing"),
        ("cancel", "stopping", {}, "nothing"),
        ("cancel", "failed", {}, "nothing"),
    ],
)
def test_what_a_wish_does_in_each_state(asked, state, more, follows):
    assert deed(asked, state, **more) == follows


@pytest.mark.parametrize("state", STATES)
def test_a_look_does_nothing_in_any_state(state):
    assert deed("look", state) == "nothing"


@pytest.mark.parametrize(
    "method, length, content_type, may",
    [
        (b"POST", 17, b"application/x-www-form-urlencoded", True),
        (b"POST", 17, b"Application/X-WWW-Form-Urlencoded ; charset=utf-8", True),
        (b"PUT", 17, b"application/x-www-form-urlencoded", False),
        (b"POST", 18, b"application/x-www-form-urlencoded", False),
        (b"POST", -1, b"application/x-www-form-urlencoded", False),
        (b"POST", 17, b"application/json", False),
        (b"POST", 17, None, False),
    ],
)
def test_only_a_form_of_this_very_length_is_looked_into(method, length, content_type, may):
    assert may_be_retry_form(method, length, content_type) is may


def test_the_pages_own_form_is_known_by_its_body():
    assert is_retry_form(b"hestia_wait=retry")
    assert not is_retry_form(b"hestia_wait=reset")
