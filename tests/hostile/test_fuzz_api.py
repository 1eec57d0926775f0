"""The HTTP API and the dispatcher under any parameter and any body: an answer that was promised, never a mistake of ours."""

import base64
import contextlib
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestia.doors.api_routes import ROUTES
from tests.hostile.fuzz import played, tries
from tests.support.gateway import running
from tests.support.wire import BrokenError, Upstream, reply

WITHIN = 20.0
WORDS = ("a", "never", "box", "local", "nope", "", "*", "\0", "x" * 300, "30s", "-1s", "1e999", "9" * 400, "inf", "nan", "true", "false", "2026-05-01", "2026-05-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "99999999999d", "é", "../..", "service.starting", "0", "1.5", "\r\nX: 1", "\ud7ff", "%00", "/")
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
NAMES = st.sampled_from(("service", "since", "until", "kind", "limit", "cursor", "lines", "wait", "timeout", "hold", "x", "", "follow"))
QUERIES = st.one_of(
    st.lists(st.tuples(NAMES, TEXTS), max_size=4).map(lambda pairs: urlencode([pair for pair in pairs if pair[0] != "follow"])),
    st.text("=&;%+aslimt0149fF?/", max_size=20).filter(lambda text: "follow" not in text),
)
PATHS = [route.path for route in ROUTES if route.path != "/v1/events"] + ["/__health", "/metrics", "/v1/openapi.json", "/dashboard/", "/v1/requests", "/", "/v1/services/a/nope"]
SUBJECTS = st.one_of(st.sampled_from(("a", "never", "box", "local", "nope")), TEXTS).map(lambda text: quote(text, safe=""))
PLAIN = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
TREES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5)
BODIES = st.one_of(st.none(), st.dictionaries(NAMES, TREES, max_size=3).map(lambda tree: json.dumps(tree).encode()), TREES.map(lambda tree: json.dumps(tree).encode()), st.binary(max_size=30), st.just(b"[" * 50_000))
KINDS = st.sampled_from(("application/json", "application/json", "application/json; charset=utf-8", "text/plain", "multipart/form-data; boundary=x", "", "é"))
ALLOWED = {200, 202, 204, 302, 303, 307, 308, 400, 404, 405, 413, 415, 421, 502, 503, 504}


class Scene:
    """A gateway before an upstream that answers with what it saw."""

    def __init__(self, runner):
        self.runner = runner

    @contextlib.asynccontextmanager
    async def open(self):
        quick = {"start_attempts": 1, "retry_delay": "10ms", "failure_cooldown": "10ms", "start_timeout": "100ms", "queue_timeout": "1s"}
        async with Upstream(seen) as self.upstream:
            services = {
                # no check of its readiness is taken for a request
                "a": {"base_url": self.upstream.base_url + "/base", "health_url": self.upstream.base_url.replace("http", "tcp"), "no_wake": [{"path": "/never"}]},
                "never": {"base_url": "http://127.0.0.1:9", "launch": {"kind": "command", "start": ["false"], "stop": ["true"], "status": ["false"]}, **quick},
            }
            machines = {"box": {"launch": {"kind": "command", "start": ["true"], "stop": ["true"], "status": ["true"]}}}
            async with running(services, machines=machines, routes=[{"match": {"path": "/routed*"}, "service": "a"}]) as self.gateway:
                yield

    async def ask(self, method, target, body, kind):
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *([f"Content-Type: {kind}"] if kind else [])]
        lines += [f"Content-Length: {len(body)}"] if body is not None else []
        client = await self.gateway.dial()
        try:
            await client.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
            message = await client.answer(method.encode(), WITHIN)
        finally:
            client.transport.abort()
        mistakes = [event for event in self.gateway.events if event["event"] == "internal"]
        assert not mistakes, mistakes
        self.gateway.lines.clear()
        return message

    async def promised(self, method, target, body, kind):
        message = await self.ask(method, target, body, kind)
        assert message.status in ALLOWED, message.raw
        if message.status >= 400 and method != "HEAD":
            told = json.loads(message.body)
            assert told["status"] == message.status
            assert told["code"] != "internal"

    async def dispatched(self, asked):
        """What was asked for came to the upstream as it was asked, or was refused with a reason."""
        self.upstream.wires[:] = [wire for wire in self.upstream.wires if not wire.lost]
        for wire in self.upstream.wires:
            wire.received.clear()
            wire.at = 0
        message = await self.ask("POST", "/v1/requests", json.dumps(asked).encode(), "application/json")
        for request in self.upstream.requests():
            path = asked["path"].partition("?")[0]
            if asked.get("service") is None:
                path = path.removeprefix("/services/a")
            assert request.target.split(b"?")[0] == b"/base" + path.encode()
            assert request.method == asked["method"].upper().encode()
            assert request.all(b"host") == [self.upstream.base_url.removeprefix("http://").encode()]
            assert request.body == body_of(asked)
        if message.get(b"x-upstream") is None:
            assert message.status in ALLOWED, message.raw
            assert json.loads(message.body)["code"] in {"bad_request", "unknown_service", "not_found", "start_failed", "stopped", "cold", "upstream_timeout", "wait_timeout", "payload_too_large", "method_not_allowed"}, message.body


def body_of(asked):
    if asked.get("body_text") is not None:
        return asked["body_text"].encode()
    if asked.get("body_base64") is not None:
        return base64.b64decode(asked["body_base64"])
    return json.dumps(asked["body"]).encode() if asked.get("body") is not None else b""


async def seen(wire):
    while True:
        try:
            message = await wire.message(within=600)
        except BrokenError:
            wire.close()
            return
        sent = reply(b"seen", b"X-Upstream: 1")
        wire.transport.write(sent[:-4] if message.method == b"HEAD" else sent)


@pytest.fixture(scope="module")
def scene():
    yield from played(Scene)


@tries(80)
@given(method=st.sampled_from(("GET", "POST", "POST", "HEAD", "PUT", "OPTIONS")), path=st.sampled_from(PATHS), subject=SUBJECTS, query=QUERIES, body=BODIES, kind=KINDS)
@example(method="POST", path="/v1/services/{id}/stop", subject="a", query="hold=" + "9" * 400, body=None, kind="")
@example(method="POST", path="/v1/services/{id}/stop", subject="a", query="", body=b'{"hold":' + b"9" * 400 + b"}", kind="application/json")
def test_any_parameter_is_answered_as_promised(scene, method, path, subject, query, body, kind):
    for mark in ("{id}", "{request_id}"):
        path = path.replace(mark, subject)
    scene.runner.run(scene.promised(method, path + ("?" + query if query else ""), body, kind))


HEADER_NAMES = st.one_of(st.sampled_from(("Host", "X-A", "Content-Type", "Connection", "Content-Length", "Transfer-Encoding", "Cookie", "Authorization", "X_Forwarded_For", "X-Forwarded-Host", "Origin", "Expect", "CDN-Loop", "", "a b", "a\r\nb")), st.text(max_size=4))
DISPATCHED = st.fixed_dictionaries(
    {
        "method": st.sampled_from(("GET", "get", "POST", "DELETE", "HEAD", "M-SEARCH", "CONNECT", "TRACE", "", "G T", "é")),
        "path": st.one_of(st.sampled_from(("/x", "/routed/x", "/", "//evil", "/../x", "/%2e%2e/x", "/x?y=1", "x", "http://evil/", "/\\evil", "/%zz", "/a\r\nb", "/é", "/v1/services", "/dashboard/", "/services/a/x", "/x#y", "/;..", "/.;/x")), st.text("/ab.%2e?#\\:@", max_size=8)),
    },
    optional={
        "service": st.one_of(st.sampled_from(("a", "a", "a", "nope", "", "never", "é")), TEXTS),
        "query": st.one_of(TEXTS, st.dictionaries(TEXTS, st.one_of(PLAIN, st.lists(PLAIN, max_size=2)), max_size=2)),
        "headers": st.dictionaries(HEADER_NAMES, st.one_of(TEXTS, st.sampled_from(("localhost", "close", "3", "chunked", "a", "evil.example"))), max_size=3),
        "body": TREES,
        "body_text": TEXTS,
        "body_base64": st.one_of(st.binary(max_size=9).map(lambda raw: base64.b64encode(raw).decode()), TEXTS),
        "timeout": st.one_of(st.sampled_from(("5s", 5, 5.5, "1h")), PLAIN),
    },
)  # fmt: skip


@tries(100)
@given(asked=DISPATCHED)
@example(asked={"method": "POST", "path": "/x", "service": "a", "query": {"q": ["a b", 1, True, None]}, "body": {"model": "x"}, "timeout": "5s"})
@example(asked={"method": "GET", "path": "/services/a/x"})
@example(asked={"method": "HEAD", "path": "/x"})
@example(asked={"method": "HEAD", "path": "/x", "service": "never"})
def test_a_dispatched_request_reaches_its_service_as_it_was_asked_or_is_refused_with_a_reason(scene, asked):
    scene.runner.run(scene.dispatched(asked))
