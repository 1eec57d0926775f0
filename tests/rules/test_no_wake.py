import msgspec
import pytest

from hestia.rules.no_wake import PLAIN, NoWakeRules
from hestia.words.spec import Answer, NoWake


class Head:
    def __init__(self, **fields):
        self.fields = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
        self.asked = 0

    def header(self, name):
        self.asked += 1
        return self.fields.get(name)


def asleep(rule, head=None, method="GET", path="/", client="192.168.1.7"):
    rules = NoWakeRules((msgspec.convert(rule, NoWake),))
    return rules.of_request(rules.of_head(head or Head()), method.encode(), path.encode(), client) is not None


@pytest.mark.parametrize(
    "rule, request_, fits",
    [
        ({"method": ["GET", "HEAD"]}, dict(method="HEAD"), True),
        ({"method": ["GET", "HEAD"]}, dict(method="POST"), False),
        ({"path": "/api/health"}, dict(path="/api/health"), True),
        ({"path": "/api/health"}, dict(path="/api/healthy"), False),
        ({"path": "/api/*"}, dict(path="/api/a/b"), True),
        ({"path": "/a.c"}, dict(path="/abc"), False),
        ({"path": "/caf%C3%A9*"}, dict(path="/caf%C3%A9/x"), True),
        ({"path": "/caf[eé]"}, dict(path="/cafe"), True),
        ({"user_agent": "uptime-kuma*"}, dict(head=Head(user_agent="Uptime-Kuma/1.23")), True),
        ({"user_agent": "uptime-kuma*"}, dict(head=Head(user_agent="curl/8")), False),
        ({"user_agent": "*"}, dict(), False),
        ({"header": {"X-Monitor": "kuma?"}}, dict(head=Head(x_monitor="kuma1")), True),
        ({"header": {"X-Monitor": "kuma?"}}, dict(head=Head(x_monitor="KUMA1")), False),
        ({"header": {"X-Monitor": "*"}}, dict(), False),
        ({"from": ["192.168.1.0/24"]}, dict(), True),
        ({"from": ["192.168.1.0/24"]}, dict(client="::ffff:192.168.1.9"), True),
        ({"from": ["192.168.1.0/24"]}, dict(client="10.0.0.1"), False),
        ({"from": ["192.168.1.0/24"]}, dict(client=""), False),
        ({"from": ["192.168.1.0/24"]}, dict(client="unknown"), False),
        ({}, dict(), True),
    ],
)
def test_a_field_of_a_rule_fits_or_does_not(rule, request_, fits):
    assert asleep(rule, **request_) is fits


FULL = {"method": ["GET"], "path": "/health", "user_agent": "kuma*", "header": {"X-A": "1"}, "from": ["10.0.0.0/8"]}
RIGHT = dict(head=Head(user_agent="Kuma/2", x_a="1"), path="/health", client="10.1.2.3")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        dict(method="POST"),
        dict(path="/"),
        dict(client="11.0.0.1"),
        dict(head=Head(user_agent="Kuma/2", x_a="2")),
        dict(head=Head(user_agent="curl", x_a="1")),
    ],
)
def test_all_fields_of_a_rule_must_fit(wrong):
    assert asleep(FULL, **(RIGHT | wrong)) is (not wrong)


def test_any_rule_suffices_and_the_first_that_fits_gives_the_answer():
    first, second = Answer(json={"up": True}), Answer(status=204)
    rules = NoWakeRules(
        (NoWake(path="/a", answer="last"), NoWake(method=("GET",), answer=first), NoWake(answer=second))
    )
    mask = rules.of_head(Head())
    assert rules.of_request(mask, b"GET", b"/a", "").last
    assert rules.of_request(mask, b"GET", b"/b", "").answer == first
    assert rules.of_request(mask, b"POST", b"/b", "").answer == second


@pytest.mark.parametrize("fields", [dict(sec_purpose="prefetch;prerender"), dict(purpose="Prefetch")])
def test_a_prefetch_wakes_nothing_without_a_rule(fields):
    rules = NoWakeRules()
    assert rules.of_request(rules.of_head(Head(**fields)), b"GET", b"/", "") is PLAIN


def test_a_rules_answer_stands_before_that_of_a_prefetch():
    rules = NoWakeRules((NoWake(answer=Answer(status=204)),))
    assert rules.of_request(rules.of_head(Head(purpose="prefetch")), b"GET", b"/", "").answer.status == 204


def test_an_ordinary_request_costs_nothing_but_a_number():
    rules = NoWakeRules()
    assert rules.of_head(Head(user_agent="curl")) == 0
    assert rules.of_request(0, b"GET", b"/", "") is None
    assert rules.keeps_last is False


def test_what_the_request_alone_decides_is_asked_without_reading_headers_again():
    rules = NoWakeRules((NoWake(user_agent="kuma*", path="/health", answer="last"),))
    head = Head(user_agent="kuma")
    mask = rules.of_head(head)
    before = head.asked
    assert rules.of_request(mask, b"GET", b"/health", "") is not None
    assert rules.of_request(mask, b"GET", b"/", "") is None
    assert head.asked == before
    assert rules.keeps_last
