"""The control socket under anything that a program may write: standard errors, others still served, no mistake of ours."""

import asyncio
import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestia.doors.verbs import VERBS
from hestia.wire import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, REFUSED
from tests.hostile.fuzz import played, tries
from tests.support.gateway import running

WITHIN = 20.0
ENDS_IT = {"gateway.drain", "gateway.shutdown", "backup"}  # the last writes where it is told to
METHODS = sorted(set(VERBS) - ENDS_IT)
PARAMS = ("id", "wait", "timeout", "all", "hold", "lines", "follow", "after", "service", "since", "until", "kind", "limit", "cursor", "name", "services", "level", "path", "x")
WORDS = ("a", "never", "box", "nope", "", "*", "\0", "x" * 5000, "30s", "-1s", "9" * 400, "2026-05-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "99999999999d", "info", "loud", "é", "../..", "service.starting", "0", "1.5")
PLAIN = st.one_of(st.sampled_from(WORDS), st.text(max_size=5), st.integers(), st.integers(10**300, 10**301), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5)
NAMED = st.dictionaries(st.sampled_from(PARAMS), st.one_of(PLAIN, PLAIN, VALUES), max_size=3)
IDS = st.one_of(st.integers(-9, 9), st.text(max_size=3), st.none(), st.floats(allow_nan=False, allow_infinity=False))
CALLS = st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "method": st.sampled_from(METHODS)}, optional={"id": IDS, "params": NAMED})
ODD_CALLS = st.fixed_dictionaries({}, optional={"jsonrpc": st.one_of(st.just("2.0"), VALUES), "method": st.one_of(st.sampled_from(METHODS), VALUES), "id": VALUES, "params": VALUES, "more": VALUES})
JSON = st.one_of(CALLS, CALLS, CALLS, ODD_CALLS, st.lists(st.one_of(CALLS, ODD_CALLS, VALUES), max_size=4), VALUES).map(lambda thing: json.dumps(thing).encode())
BROKEN = st.sampled_from((b"[" * 100_000, b"{" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\\ud800"', b"nan", b'{"jsonrpc":"2.0","id":1e999,"method":"hello"}', b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"hello"}', b"GET / HTTP/1.1", b"\0" * 50, b"1" * 5000))  # fmt: skip
CUT = st.tuples(JSON, st.integers(0, 60), st.integers(0, 5), st.binary(max_size=3)).map(lambda four: four[0][: four[1]] + four[3] + four[0][four[1] + four[2] :])
LINES = st.one_of(JSON, JSON, JSON, CUT, BROKEN, st.binary(max_size=40)).map(lambda line: line.replace(b"\n", b" "))
ENDS = ("half", "half", "answered", "abort")
STANDARD = {PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, REFUSED}


class Scene:
    """A gateway with its real control socket."""

    def __init__(self, runner):
        self.runner = runner

    @contextlib.asynccontextmanager
    async def open(self):
        quick = {"start_attempts": 1, "retry_delay": "10ms", "failure_cooldown": "10ms", "start_timeout": "100ms", "queue_timeout": "1s"}
        services = {"a": {"base_url": "http://127.0.0.1:9"}, "never": {"base_url": "http://127.0.0.1:9", "launch": {"kind": "command", "start": ["false"], "stop": ["true"], "status": ["false"]}, **quick}}
        machines = {"box": {"launch": {"kind": "command", "start": ["true"], "stop": ["true"], "status": ["true"]}}}
        async with running(services, machines=machines) as self.gateway:
            self.second = await self.dial()
            yield
            self.second[1].close()

    async def dial(self):
        return await asyncio.open_unix_connection(f"{self.gateway.folder}/control.sock", limit=1 << 26)

    async def play(self, lines, cuts, end):
        reader, writer = await self.dial()
        data = b"".join(line + b"\n" for line in lines)
        if end != "half":
            data += b'{"jsonrpc":"2.0","id":"the last","method":"hello"}\n'
        for piece in pieces(data, cuts):
            writer.write(piece)
            await asyncio.sleep(0)
        if end == "half":
            writer.write_eof()
        if end != "abort":
            await self.read(reader, lines, until=None if end == "half" else "the last")
        writer.transport.abort()
        await self.another()

    async def read(self, reader, lines, until):
        """What came, judged; who follows something is not waited for."""
        parse_errors = 0
        async with asyncio.timeout(WITHIN):
            while follows(lines) < 1 or until is not None:
                line = await reader.readline()
                if not line:
                    break
                answers = json.loads(line)
                for answer in answers if isinstance(answers, list) else [answers]:
                    parse_errors += judge(answer)
                    if until is not None and answer.get("id") == until:
                        return
        if follows(lines) < 1 and not any(len(line) > 1 << 20 for line in lines):
            assert parse_errors >= sum(map(surely_no_json, lines)), lines

    async def another(self):
        """A second caller, there all the time."""
        reader, writer = self.second
        writer.write(b'{"jsonrpc":"2.0","id":0,"method":"hello"}\n')
        async with asyncio.timeout(WITHIN):
            answer = json.loads(await reader.readline())
        assert answer["id"] == 0, answer
        assert answer["result"]["pid"] > 0, answer
        mistakes = [event for event in self.gateway.events if event["event"] == "internal"]
        assert not mistakes, mistakes
        self.gateway.lines.clear()


def judge(answer):
    """A message of JSON-RPC 2.0 and nothing else; 1 for a parse error."""
    assert answer["jsonrpc"] == "2.0", answer
    if "method" in answer:  # an item of a stream
        assert set(answer) == {"jsonrpc", "method", "params"}, answer
        return 0
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), answer
    code = answer.get("error", {}).get("code")
    assert code != INTERNAL_ERROR, answer
    assert code is None or (code in STANDARD and answer["error"]["message"]), answer
    if code == REFUSED:
        assert answer["error"]["data"]["code"], answer
    return code == PARSE_ERROR


def follows(lines):
    return sum(line.count(b"follow") for line in lines)


def surely_no_json(line):
    if not line.strip():
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def pieces(data, cuts):
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


@pytest.fixture(scope="module")
def scene():
    yield from played(Scene)


@tries(60)
@given(lines=st.lists(LINES, min_size=1, max_size=5), cuts=st.lists(st.integers(0, 400), max_size=5), end=st.sampled_from(ENDS))
@example(lines=[b'{"jsonrpc":"2.0","id":1,"method":"services.stop","params":{"id":"a","hold":' + b"9" * 400 + b"}}"], cuts=[], end="half")
@example(lines=[b"[" * 100_000], cuts=[7], end="answered")
@example(lines=[b'{"jsonrpc":"2.0","id":1,"method":"hello"}', b"x" * ((1 << 20) + 1)], cuts=[], end="half")
def test_whatever_is_written_gets_standard_errors_and_harms_nobody_else(scene, lines, cuts, end):
    scene.runner.run(scene.play(lines, cuts, end))
