"""Waiting pages and the login page, asked for by somebody who means no good (sections 8 and 14)."""

import re
import socket
import time

from tests.hostile.gateway import Answer, Gateway, served

KEY = "k" * 32
MIB = 1 << 20
NAVIGATION = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Accept": "text/html"}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def test_thousands_of_pages_with_long_addresses_cost_little(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", "--gate", tmp_path / "gate", start_timeout="60s")})
    memory = gateway.memory
    head = b"HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        reader = client.makefile("rb")
        for number in range(2_000):
            client.sendall(b"GET /services/a/%b%d %b" % (b"a" * 20_000, number, head))
            assert reader.readline().startswith(b"HTTP/1.1 503")
            fields = dict(line.lower().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
            reader.read(int(fields[b"content-length"]))
    assert gateway.status("a")["waiters"] == 2_000
    assert gateway.memory - memory < 16 * MIB


def test_a_retry_leads_back_to_this_host_whatever_its_path_looks_like(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", "--crash", 3, hosts=["a.localhost"], failure_cooldown="60s")})
    fields = {**NAVIGATION, **FORM, "Host": "a.localhost", "Origin": "http://a.localhost"}
    for target, back in (("//evil.example/", "/.//evil.example/"), ("/\\evil.example/", "/./\\evil.example/"), ("/x?y=//z", "/x?y=//z")):
        gateway.ask("GET", target, **{**NAVIGATION, "Host": "a.localhost"})
        answer = gateway.ask("POST", target, b"hestia_wait=retry", **fields)
        assert (answer.status, answer.fields["location"]) == (303, back)


def test_a_page_of_elsewhere_neither_retries_nor_cancels(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", "--gate", tmp_path / "gate")})
    gateway.ask("GET", "/services/a/x", **NAVIGATION)
    for foreign in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        for wish in ("retry", "cancel"):
            assert gateway.ask("POST", "/services/a/x", b"", Hestia_Wait=wish, **foreign).status == 403
        assert gateway.ask("POST", "/services/a/x", b"hestia_wait=retry", **FORM, **foreign).status == 403
    assert gateway.status("a")["state"] == "starting"


def guarded(serve, tmp_path, head: str = "") -> Gateway:
    auth = f'auth: {{api_keys: [{{name: all, key: {KEY}}}], dashboard: {{username: admin, password: "right one"}}}}'
    gateway: Gateway = serve({"a": served(tmp_path, "a")}, f"{auth}\n{head}")
    return gateway


def log_in(gateway: Gateway, body: bytes = b"username=admin&password=right+one", **fields: str) -> Answer:
    return gateway.ask("POST", "/__login", body, **{**FORM, **fields})


def test_a_login_form_that_stands_still_is_given_up(serve, tmp_path):
    gateway = guarded(serve, tmp_path, "limits: {stall_timeout: 500ms}")
    form = b"POST /__login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    begin = time.monotonic()
    assert gateway.raw(form + b"Content-Length: 100\r\n\r\nusername=") == b""
    assert time.monotonic() - begin < 3
    assert Answer(gateway.raw(form + b"Content-Length: 9000\r\n\r\n")).status == 413


def test_a_login_leads_to_this_host_and_to_a_session_that_nobody_planted(serve, tmp_path):
    gateway = guarded(serve, tmp_path)
    login = b"username=admin&password=right+one&next="
    for away in (b"//evil.example", b"/%5Cevil.example", b"http://evil.example", b"/%09/evil", b"/x%0D%0ASet-Cookie:+a=b"):
        answer = log_in(gateway, login + away)
        assert (answer.status, answer.fields["location"]) == (303, "/"), away
    cookie = log_in(gateway).fields["set-cookie"].partition(";")[0]
    name = cookie.partition("=")[0]
    assert gateway.ask("GET", "/v1/services", Cookie=cookie).status == 200
    assert gateway.ask("GET", "/v1/services", Cookie=f"{name}=planted").status == 401
    assert log_in(gateway, Cookie=f"{name}=planted").fields["set-cookie"].partition(";")[0] != f"{name}=planted"
    for foreign in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"}):
        assert gateway.ask("POST", "/v1/services/a/stop", Cookie=cookie, **foreign).status == 403
        assert log_in(gateway, **foreign).status == 403


def test_guesses_from_many_addresses_are_stopped_while_keys_go_on(serve, tmp_path):
    gateway = guarded(serve, tmp_path)
    statuses = []
    body = b"username=admin&password=guess"
    head = b"POST /__login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for number in range(150):
        with socket.socket() as client:
            client.settimeout(10)
            client.bind((f"127.0.1.{number + 1}", 0))
            client.connect(("127.0.0.1", gateway.port))
            client.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            statuses.append(int(client.recv(100).split(b" ")[1]))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 100
    assert gateway.ask("GET", "/v1/services", X_API_Key=KEY).status == 200
    assert KEY not in gateway.program.stderr
    assert "right one" not in gateway.program.stderr


def test_nobody_without_a_key_learns_which_services_there_are(serve, tmp_path):
    gateway = guarded(serve, tmp_path)
    known, unknown = (gateway.ask("GET", f"/services/{name}/x") for name in ("a", "nope"))
    plain = [re.sub(rb"[0-9a-f]{12,}", b"", answer.body) for answer in (known, unknown)]
    assert known.status == unknown.status == 401
    assert plain[0] == plain[1]
    assert gateway.status("a")["state"] == "cold"
