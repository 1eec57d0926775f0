"""What a hostile client says to the API: each is answered with what the contract names, and never by a mistake of ours."""

import json

import pytest

from tests.hostile.gateway import Gateway, served

DEEP = b"[" * 10_000 + b"]" * 10_000
START = {
    "deep": b'{"timeout":' + DEEP + b"}",
    "deep alone": DEEP,
    "NaN": b'{"wait":true,"timeout":NaN}',
    "Infinity": b'{"wait":true,"timeout":Infinity}',
    "1e400": b'{"wait":true,"timeout":1e400}',
    "1e308": b'{"wait":true,"timeout":1e308}',
    "5000 digits": b'{"wait":true,"timeout":' + b"9" * 5_000 + b"}",
    "400 digits": b'{"wait":true,"timeout":' + b"9" * 400 + b"}",
    "negative": b'{"wait":true,"timeout":-1}',
    "a name twice": b'{"wait":true,"wait":"x"}',
    "no UTF-8": b'{"\xff":1}',
    "half a surrogate": b'{"\\ud800":1}',
    "null": b"null",
    "unknown": b'{"a\\u0000b":1}',
    "a long name": b'{"' + b"a" * 100_000 + b'":1}',
}
IDS = ("..", "%2e%2e", "a%2fb", "%00", "%ff", "%e2%98%83", "a%0d%0aX:1", "%3cscript%3e", "A" * 5000, "", "%252e", "a;b", "..%2f..%2fetc")  # fmt: skip
DISPATCHED = {
    "deep": b'{"service":' + DEEP + b',"method":"GET","path":"/"}',
    "another host": {"path": "//evil.example/"},
    "a URL": {"path": "http://evil.example/"},
    "up": {"path": "/%2e%2e/x"},
    "a line end in the path": {"path": "/a\r\nX: 1"},
    "a line end in the query": {"path": "/", "query": "a\r\nx"},
    "a line end in a value": {"path": "/", "headers": {"X": "a\r\nb"}},
    "a line end in a name": {"path": "/", "headers": {"X\r\nY": "a"}},
    "framing": {"path": "/", "headers": {"Content-Length": "5"}},
    "other framing": {"path": "/", "headers": {"Transfer-Encoding": "chunked"}},
    "hop by hop": {"path": "/", "headers": {"Connection": "close"}},
    "an evil host": {"path": "/", "headers": {"Host": "evil\r\nX: 1"}},
    "CONNECT": {"path": "/", "method": "CONNECT"},
    "no method": {"path": "/", "method": "GE T"},
    "two bodies": {"path": "/", "body": 1, "body_text": "x"},
    "no base64": {"path": "/", "body_base64": "@@@"},
    "no text": {"path": "/", "method": "POST", "body_text": "\ud800"},
    "no time": {"path": "/", "timeout": -1},
}


@pytest.fixture
def gateway(serve, tmp_path) -> Gateway:
    return serve({"a": served(tmp_path, "a")})


def test_no_body_of_a_start_is_more_than_a_bad_request(gateway):
    for name, body in START.items():
        assert gateway.api("/v1/services/a/start", body).status == 400, name
    assert gateway.status("a")["state"] == "cold"


def test_bodies_that_a_form_of_another_page_could_send_are_refused(gateway):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"):
        assert gateway.api("/v1/services/a/start", b"{}", **{"Content-Type": kind}).status == 400, kind
    assert gateway.status("a")["state"] == "cold"


def test_an_id_is_looked_up_and_nothing_else(gateway):
    for id_ in IDS:
        paths = {"GET": (f"/v1/services/{id_}/status", f"/services/{id_}/x"), "POST": (f"/v1/machines/{id_}/wake", f"/v1/inflight/{id_}/cancel")}
        for method, targets in paths.items():
            for target in targets:
                answer = gateway.ask(method, target)
                assert answer.status in {400, 404, 405, 431}, (method, target[:60], answer.status)
                assert b"X:1" not in answer.data.partition(b"\r\n\r\n")[0]


def test_a_time_that_is_none_is_a_bad_request_and_never_kept(gateway):
    for query in ("hold=1e400", "hold=inf", "hold=nan", "hold=" + "9" * 300, "hold=10000000d", "hold=-5", "hold=-0.0"):
        assert gateway.ask("POST", f"/v1/services/a/stop?{query}").status == 400, query
    for query in ("timeout=1e400", "timeout=nan", "timeout=-1", "timeout=" + "9" * 5000, "timeout=%00", "timeout="):
        assert gateway.ask("POST", f"/v1/services/a/start?wait=true&{query}").status == 400, query
    for target in ("activity?since=1e400", "activity?limit=" + "9" * 30, "activity?cursor=%F0%9F%98%80", "report?since=" + "9" * 20 + "d"):
        assert gateway.ask("GET", f"/v1/{target}").status == 400, target
    assert gateway.status("a")["held_until"] is None


def test_the_dispatcher_reaches_nothing_but_a_service_with_a_request_of_its_own(gateway):
    for name, said in DISPATCHED.items():
        body = said if isinstance(said, bytes) else json.dumps({"service": "a", "method": "GET", **said}).encode()
        assert gateway.api("/v1/requests", body).status == 400, name
    for said in ({"service": "../a", "path": "/"}, {"path": "/v1/services"}):
        assert gateway.api("/v1/requests", json.dumps({"method": "GET", **said}).encode()).status == 404, said
    assert gateway.status("a")["state"] == "cold"
