"""Each rule of the grammar, the framing and the crossing is switched off, one at a time; then a row of its tables must fail.

So the rows pin the rules: none is green by chance, and a rule that somebody loosens is noticed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hestia.doors import front, reception
from hestia.h1 import answer, framing, request, target
from hestia.h1.grammar import TEXT, TOKEN, forbidden_in_trailers
from hestia.h1.request import CHUNKED
from hestia.relay import exchange, upstream
from hestia.rules.gate import Gate
from tests.support import hostile_answers, hostile_requests, trial
from tests.support.gateway import running
from tests.support.wire import Upstream


@dataclass(frozen=True)
class Mutation:
    rule: str
    name: str
    patch: Callable[[pytest.MonkeyPatch], None]

    def __str__(self):
        return f"{self.rule}:{self.name}"


def put(rule, name, *patches):
    """A mutation that sets attributes: (owner, attribute, value) each."""

    def patch(monkeypatch):
        for owner, attribute, value in patches:
            monkeypatch.setattr(owner, attribute, value)

    return Mutation(rule, name, patch)


def wrap(rule, name, owner, attribute, around):
    """A mutation that puts a function around another."""

    def patch(monkeypatch):
        inner = getattr(owner, attribute)
        monkeypatch.setattr(owner, attribute, lambda *args, **kw: around(inner, *args, **kw))

    return Mutation(rule, name, patch)


def line(pattern):
    """A request line by another rule, and any beginning of one."""
    return (request, "REQUEST_LINE", re.compile(pattern)), (request, "REQUEST_LINE_BEGUN", re.compile(rb"[^\n]*+"))


def fields(owner, name=TOKEN + rb"++", value=TEXT + rb"*+", end=rb"\r\n"):
    """Header blocks by a looser rule; no lone line end is looked for."""
    whole = re.compile(rb"(?:(?:" + name + rb":" + value + end + rb")*+)\r\n", re.DOTALL)
    return (owner, "FIELDS", whole), (owner, "LONE_LINE_END", re.compile(rb"(?!)"))


def last_length(head, named):
    """Reads whatever looks like a length, the coding first, of several lengths the last."""
    if b"chunked" in named.get(b"transfer-encoding", b"").lower():
        head.length = CHUNKED
    elif b"content-length" in named:
        head.length = int(named[b"content-length"].split(b",")[-1])


def lax_length(inner, head, named, *_):
    last_length(head, named)


def no_coding(inner, head, named, minor):
    """An unknown coding is plain data."""
    named = {name: value for name, value in named.items() if name != b"transfer-encoding" or value == b"chunked"}
    inner(head, named, minor)


def with_host(inner, block, minor):
    head = inner(block, minor)
    head.named.setdefault(b"host", b"localhost")
    head.host = head.own_host = head.named[b"host"]
    return head


def with_underscores(inner, block, minor):
    head = inner(block, minor)
    head.fields += [each for each in block.split(b"\r\n") if b"_" in each and each not in head.fields]
    return head


def without_authority(inner, given, method):
    return inner(given, method)[0], None


def any_upgrade(inner, head, named):
    inner(head, named)
    head.upgrade = named.get(b"upgrade")


def any_size(inner, data, longest):
    return inner(data, 10**9)


def unchecked_content(self, data, at, out):
    end = min(len(data), at + self.left)
    self.left -= end - at
    return end


def unasked(inner, self, head, data):
    self.head.upgrade = b"foo"
    inner(self, head, data)


def as_if_whole(inner, self):
    """An answer that broke off gets its end from us."""
    self.client.transport.write(b"0\r\n\r\n")
    self._answered(surplus=False)


def no_special(name):
    return put("answer_request_id", "the upstream's passes", (answer, "SPECIAL", answer.SPECIAL - {name}))


HOPS = frozenset((b"keep-alive", b"te", b"proxy-connection", b"proxy-authorization"))
ANY = re.compile(rb".*+", re.DOTALL)
NEVER = re.compile(rb"(?!)")
START = rb"(" + TOKEN + rb"{1,32}+) ([!-~]++) "

REQUESTS = (
    put("version", "any version", *line(START + rb"HTTP/[0-9]\.([0-9])\r\n")),
    put("start_line", "any white space", *line(rb"[ ]*(" + TOKEN + rb"{1,32}+)[ \t]++([!-~]++)[ \t]++HTTP/1\.([01])[ \t]*\r\n")),
    put("method_token", "any byte in a method", *line(rb"([^ ]*+) ([!-~]++) HTTP/1\.([01])\r\n")),
    put("target_bytes", "8-bit and control bytes in a target", *line(rb"(" + TOKEN + rb"{1,32}+) ([^ ]++) HTTP/1\.([01])\r\n"), (target, "TARGET", ANY)),
    put("control", "control bytes in a value", *fields(request, value=rb"[^\r\n]*+")),
    put("control", "a bare CR in a value", *fields(request, value=rb"(?:[^\r\n]|\r(?!\n))*+")),
    put("field_name", "space before the colon", *fields(request, name=TOKEN + rb"++[ \t]*+")),
    put("field_name", "any byte in a name", *fields(request, name=rb"[^:\r\n]++")),
    put("bare_lf", "LF ends a line", *fields(request, value=rb"[^\r\n]*+", end=rb"\r?\n")),
    put("obs_fold", "folded lines", *fields(request, name=rb"[ \t]*+" + TOKEN + rb"*+", value=rb"[^\r\n]*+(?:\r\n[ \t][^\r\n]*+)*+")),
    put("length_digits", "a plus", (request, "LENGTH", re.compile(rb"[+]?[0-9]{1,18}+"))),
    put("length_digits", "an underscore", (request, "LENGTH", re.compile(rb"[0-9_]{1,18}+"))),
    put("length_huge", "any number of digits", (request, "LENGTH", re.compile(rb"[0-9]++"))),
    put("length_twice", "the last one counts", (request, "ONCE", frozenset()), (request, "_read_length", last_length)),
    wrap("both_lengths", "the coding counts", request, "_read_length", lax_length),
    wrap("te_exact", "anything with chunked in it", request, "_read_length", lax_length),
    wrap("te_http10", "chunks in HTTP/1.0", request, "_read_length", lax_length),
    put("te_twice", "two codings", (request, "ONCE", frozenset()), (request, "_read_length", last_length)),
    wrap("host_needed", "no Host", reception, "read_request_head", with_host),
    put("host_twice", "the last one counts", (request, "ONCE", frozenset()), (reception, "split_host", lambda _: b"localhost")),
    put("host_form", "any value", (reception, "split_host", lambda _: b"localhost")),
    put("host_allowed", "any name", (Gate, "host_allowed", lambda *_: True)),
    wrap("absolute_form", "any authority", reception, "check_target", without_authority),
    put("origin_form", "a fragment", (target, "TARGET", re.compile(rb"/(?:[!-$&-~]++|%(?!00)[0-9A-Fa-f]{2})*+"))),
    put("dot_segment", "dots", (target, "DOTS", NEVER)),
    put("dot_segment_encoded", "encoded dots", (target, "DOTS", re.compile(rb"(?:/|\\|%2f|%5c)\.{1,2}(?=/|\\|;|%2f|%5c|%3b|\Z)"))),
    put("dot_segment_beside", "dots beside other separators", (target, "DOTS", re.compile(rb"/(?:\.|%2e){1,2}(?=/|\Z)"))),
    put("percent_nul", "%00", (target, "TARGET", re.compile(rb"/(?:[!\"$&-~]++|%[0-9A-Fa-f]{2})*+"))),
    put("percent_form", "a bare percent sign", (target, "TARGET", re.compile(rb"/[!-~]*+"))),
    put("method_allowed", "TRACE and CONNECT", (reception, "REFUSED_METHODS", frozenset())),
    wrap("header_bytes", "any size", front, "find_request_line", any_size),
    put("chunk_size", "0x", (framing, "CHUNK_LINE", re.compile(rb"((?:0x)?[0-9A-Fa-f]{1,15}+)([ \t]*+;" + TEXT + rb"*+)?\r\n"))),
    put("chunk_huge", "any number of digits", (framing, "CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]++)([ \t]*+;" + TEXT + rb"*+)?\r\n"))),
    put("chunk_end", "any two bytes", (framing.Chunked, "_content", unchecked_content)),
    put("chunk_line", "LF ends it", (framing, "CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]{1,15}+)([ \t]*+;" + TEXT + rb"*+)?\r?\n"))),
    put("chunk_extension", "any byte in it", (framing, "CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]{1,15}+)(;[^\r]*+)?\r\n"))),
    put("chunk_extension", "of any length", (framing, "LONGEST_CHUNK_LINE", 10**9)),
    put("trailer_names", "all of them", (framing, "forbidden_in_trailers", lambda _: False)),
    put("trailer_form", "space before the colon", (framing, "FIELD_LINES", re.compile(rb"(?:" + TOKEN + rb"++[ ]*+:" + TEXT + rb"*+\r\n)*+"))),
    put("trailer_form", "LF ends a line", (framing, "FIELD_LINES", re.compile(rb"(?:" + TOKEN + rb"++:[^\r\n]*+\r?\n)*+"))),
    put("trailer_size", "any size", (framing, "LONGEST_TRAILERS", 10**9), (framing, "MOST_TRAILERS", 10**9)),
    wrap("underscore", "all pass", reception, "read_request_head", with_underscores),
    put("forwarded", "the client's pass", (request, "OURS", request.OURS - request.FORWARDING)),
    put("connection_named", "they pass", (request, "nominated", lambda *_: False)),
    put("connection_named", "Content-* goes too", (request, "NEVER_NOMINATED", ())),
    put("hop_by_hop", "they pass", (request, "OURS", request.OURS - HOPS)),
    wrap("h2c", "it passes", request, "_read_connection", any_upgrade),
    put("request_id", "any value", (request, "REQUEST_ID", ANY)),
    put("expect", "any expectation", (request, "_read_expect", lambda *_: None)),
)  # fmt: skip

ANSWERS = (
    put("status_line", "any three characters", (answer, "STATUS_LINE", re.compile(rb"HTTP/1\.([01]) ([+0-9]{2,4})(?: ([^\n]*+))?\r\n")), (answer, "LONE_LINE_END", NEVER)),
    put("answer_control", "any byte in a value", *fields(answer, value=rb"[^\n]*?")),
    put("answer_name", "space before the colon", *fields(answer, name=TOKEN + rb"++[ \t]*+")),
    put("answer_fold", "folded lines", *fields(answer, value=rb"[^\r\n]*+(?:\r\n[ \t][^\r\n]*+)*+")),
    put("answer_lf", "LF ends a line", *fields(answer, value=rb"[^\r\n]*+", end=rb"\r?\n")),
    wrap("answer_size", "any size", upstream, "find_answer_head", any_size),
    wrap("answer_both", "the coding counts", answer, "_read_framing", lax_length),
    wrap("answer_te", "an unknown coding is data", answer, "_read_framing", no_coding),
    wrap("answer_te_twice", "two codings", answer, "_read_framing", lax_length),
    wrap("answer_te10", "chunks in HTTP/1.0", answer, "_read_framing", lax_length),
    put("answer_digits", "a plus", (answer, "LENGTH", re.compile(rb"[+]?[0-9]++"))),
    put("answer_huge", "any number of digits", (answer, "LENGTH", re.compile(rb"[0-9]++"))),
    wrap("answer_length_twice", "the first one counts", answer, "_read_special", lambda inner, head, name, field, named: None if name in named else inner(head, name, field, named)),
    wrap("cut_length", "it gets an end", exchange.Exchange, "_break", as_if_whole),
    wrap("cut_chunked", "it gets an end", exchange.Exchange, "_break", as_if_whole),
    put("cut_close", "a reset is an end", (exchange.Exchange, "_break", lambda self: self._answered(surplus=False))),
    put("cut_http10", "a clean end", (front.Front, "reset", lambda self: self.transport.close())),
    put("answer_chunk_size", "0x", (framing, "CHUNK_LINE", re.compile(rb"((?:0x)?[0-9A-Fa-f]{1,15}+)(;" + TEXT + rb"*+)?\r\n"))),
    put("answer_chunk_huge", "any number of digits", (framing, "CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]++)(;" + TEXT + rb"*+)?\r\n"))),
    put("answer_chunk_end", "any two bytes", (framing.Chunked, "_content", unchecked_content)),
    put("answer_chunk_line", "LF ends it", (framing, "CHUNK_LINE", re.compile(rb"([0-9A-Fa-f]{1,15}+)(;" + TEXT + rb"*+)?\r?\n"))),
    put("answer_trailer_form", "space before the colon", (framing, "FIELD_LINES", re.compile(rb"(?:" + TOKEN + rb"++[ ]*+:" + TEXT + rb"*+\r\n)*+"))),
    put("answer_trailer_size", "any size", (framing, "LONGEST_TRAILERS", 10**9), (framing, "MOST_TRAILERS", 10**9)),
    put("answer_trailer_names", "all pass", (framing, "forbidden_in_trailers", lambda _: False)),
    wrap("surplus", "it is nobody's", exchange.Exchange, "_answered", lambda inner, self, surplus: inner(self, surplus=False)),
    put("surplus_none", "204 and 304 may have a body", (exchange, "NO_BODY", frozenset())),
    put("no_body", "204 and 304 may have a body", (exchange, "NO_BODY", frozenset())),
    wrap("switch_unasked", "it passes", exchange.Exchange, "_switch", unasked),
    put("answer_named", "they pass", (answer, "nominated", lambda *_: False)),
    put("answer_hop", "they pass", (answer, "SPECIAL", answer.SPECIAL - {b"keep-alive", b"proxy-connection", b"upgrade"})),
    put("answer_request_id", "the upstream's passes", (answer, "SPECIAL", answer.SPECIAL - {b"x-request-id"})),
    put("interim", "the last answer", (exchange, "FINAL", 100)),
)  # fmt: skip

# Rules that no switch turns off: what passes by them passes because nothing is done to it, or they are made of others.
NOT_MUTATED = {
    "te_case", "value_bytes", "dot_names", "query_bytes", "byte_for_byte", "unknown_id", "method_any", "trailers", "upgrade_http10", "loop", "body_is_body",
    "no_answer", "half_head", "reason", "answer_room", "answer_underscore", "interim10", "until_close", "untouched", "answer_trailers",
}  # fmt: skip


async def fails(mutation):
    """Whether a row of the rule fails now."""
    for pieces in (False, True):
        for row in [row for row in hostile_requests.ROWS if row.rule == mutation.rule]:
            async with Upstream() as up, running({"a": {"base_url": up.base_url}}, strict=False) as gateway:
                if await trial.try_request(gateway, up, row, pieces=pieces):
                    return True
        for row in [row for row in hostile_answers.ROWS if row.rule == mutation.rule]:
            async with trial.misbehaving(row, pieces=pieces) as up, running({"a": {"base_url": up.base_url}}, strict=False) as gateway:
                if await trial.try_answer(gateway, up, row):
                    return True
    return False


@pytest.mark.parametrize("mutation", REQUESTS + ANSWERS, ids=str)
async def test_a_rule_that_is_switched_off_fails_a_row(mutation, monkeypatch):
    monkeypatch.setattr(trial, "WITHIN", 0.3)
    mutation.patch(monkeypatch)
    assert await fails(mutation)


def test_every_rule_of_the_tables_is_switched_off_or_excused():
    rules = {row.rule for row in (*hostile_requests.ROWS, *hostile_answers.ROWS)}
    mutated = {mutation.rule for mutation in (*REQUESTS, *ANSWERS)}
    assert rules - mutated == NOT_MUTATED
    assert mutated <= rules
    assert forbidden_in_trailers(b"host")
