"""Launched programs that do what they should not (section 5; faults CS-6, CS-15, CS-16, CS-20; section 10: what they tell)."""

import http.server
import sys
import threading
import time

from tests.hostile.gateway import SERVED, Gateway, served, shell

PROGRAM = f"{sys.executable} -S -E {SERVED} --port {{port}}"
ENDLESS_HEAD = """import socket, threading
server = socket.socket(); server.setsockopt(1, 2, 1); server.bind(("127.0.0.1", {port})); server.listen()
def answer(client):
    client.sendall(b"HTTP/1.1 200 OK\\r\\n")
    while True: client.sendall(b"X: " + b"y" * 4000 + b"\\r\\n")
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
MIB = 1 << 20


def refused(gateway: Gateway, service: str) -> str:
    answer = gateway.ask("GET", f"/services/{service}/x")
    assert (answer.status, answer.code) == (503, "start_failed"), service
    return str(answer.json()["detail"])


def test_whatever_it_does_with_its_streams_its_name_and_its_children_it_serves_and_ends(serve, tmp_path):
    gateway = serve(
        {
            "closes": shell(f"exec {PROGRAM} >&- 2>&- <&-"),
            "floods": shell(f"yes aaaaaaaaaaaaaaaaaaaaaaaaaaa & exec {PROGRAM} --log {tmp_path}/diary"),
            "title": {"launch": {"kind": "process", "command": ["/bin/bash", "-c", f"exec -a 'x) S 1 1 1 (evil' {PROGRAM}"]}},
            "stops": shell(f"{PROGRAM} & sleep 0.3; kill -STOP $!; wait"),
            "stubborn": shell(f"trap '' TERM HUP INT; {PROGRAM} --ignore-term 1 & while :; do sleep 1; done"),
            "forks": shell(f"for i in 1 2 3 4 5; do (trap '' TERM; while :; do sleep 0.05 & wait; done) & done; exec {PROGRAM}"),
            "health": served(tmp_path, "health", "--health-body", "endless", health_url="http://127.0.0.1:{port}/health"),
        }
    )
    memory = gateway.memory
    for service in ("closes", "floods", "title", "stubborn", "forks", "health", "stops"):
        answer = gateway.ask("GET", f"/services/{service}/x")
        assert answer.status == 200, service
        pid = int(answer.body) if answer.body.isdigit() else 0
        begin = time.monotonic()
        assert gateway.ask("POST", f"/v1/services/{service}/stop?wait=true").status == 200
        assert time.monotonic() - begin < 4, service
        assert not gateway.left_over(), (service, pid)
    assert gateway.memory - memory < 32 * MIB


def test_a_check_that_never_ends_is_not_ready_and_takes_no_memory(serve, tmp_path):
    endless = {"launch": {"kind": "process", "command": [sys.executable, "-S", "-c", ENDLESS_HEAD]}}
    hangs = served(tmp_path, "hangs", "--health-body", "hangs", start_timeout="1s", health_url="http://127.0.0.1:{port}/health")
    gateway = serve({"endless": {**endless, "start_timeout": "1s"}, "hangs": hangs})
    memory = gateway.memory
    assert "not ready within 1 s" in refused(gateway, "endless")
    assert "not ready within 1 s" in refused(gateway, "hangs")
    assert gateway.memory - memory < 32 * MIB
    assert not gateway.left_over()


def test_an_address_that_is_told_is_an_address_or_nothing(serve, tmp_path):
    told = {
        "user": "http://user:sekret@127.0.0.1:1/",
        "file": "file:///etc/passwd",
        "control": "http://127.0.0.1:1/\\033[31m\\r",
        "fragment": "http://127.0.0.1:1/#a",
        "port": "http://127.0.0.1:99999/",
        "dots": "http://evil.example/../",
    }
    gateway = serve({name: shell(f"printf 'HESTIA_BASE_URL={url}\\n'; sleep 60", start_timeout="400ms") for name, url in told.items()})
    for name, url in told.items():
        assert "what its output told is no address: HESTIA_BASE_URL" in refused(gateway, name), name
        assert url not in refused(gateway, name)  # it may hold a password
        assert gateway.status(name)["base_url"] is None
    assert "sekret" not in gateway.program.stderr


def test_an_address_that_leads_back_to_the_gateway_is_a_loop_and_ends_at_once(serve, tmp_path):
    launch = {"kind": "command", "start": ["/bin/sh", "-c", "echo HESTIA_BASE_URL=http://localhost:@PORT@/services/a"], "stop": ["/bin/true"]}
    gateway = serve({"a": {"launch": launch}})
    answer = gateway.ask("GET", "/services/a/x")
    assert (answer.status, answer.code) == (508, "loop")


def test_last_words_are_harmless_wherever_they_are_shown(serve, tmp_path):
    words = "\\033[31m<script>alert(1)</script>\\033]0;t\\007\\n\\342\\200\\256rtl\\r\\n\\377\\376"
    launch = {"kind": "process", "command": ["/bin/sh", "-c", f"echo $MY_TOKEN; printf '{words}'; exit 3"], "env": {"MY_TOKEN": "s3kr3tvalue"}}
    gateway = serve({"a": {"launch": launch, "failure_cooldown": "60s"}})
    said = refused(gateway, "a")
    assert "exited with code 3" in said
    page = gateway.ask("GET", "/services/a/x", Accept="text/html", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert page.status == 503
    assert b"<script>alert" not in page.body
    shown = said + page.body.decode() + gateway.program.stderr + gateway.ask("GET", "/v1/activity").body.decode()
    assert not {"\x1b", "\x07", "\u202e", "s3kr3tvalue"} & {word for word in ("\x1b", "\x07", "\u202e", "s3kr3tvalue") if word in shown}


class Engine(http.server.BaseHTTPRequestHandler):
    """Starts and stops when it is told to, and says nothing that can be understood."""

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_an_engine_that_cannot_be_understood_is_told_neither_to_start_nor_to_stop(serve, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine) as engine:
        engine.asked = []
        threading.Thread(target=engine.serve_forever, args=(0.05,)).start()
        at = f"http://127.0.0.1:{engine.server_port}"
        status = {"url": f"{at}/status", "running": {"json": "a.b", "equals": "x"}}
        launch = {"kind": "http", "start": {"url": f"{at}/start"}, "stop": {"url": f"{at}/stop"}, "status": status}
        gateway = serve({"a": {"launch": launch, "base_url": "http://127.0.0.1:1"}})
        assert "its answer is no JSON" in refused(gateway, "a")
        engine.shutdown()
    assert set(engine.asked) == {"GET /status"}


def test_what_one_launcher_started_another_of_the_same_kind_stops(serve, tmp_path):
    start = f"{sys.executable} -S -E {SERVED} --port {{port}} --log {tmp_path}/diary-a >/dev/null 2>&1 & echo $! >{tmp_path}/pid"
    launch = {"kind": "command", "start": ["/bin/sh", "-c", start], "stop": ["/bin/false"]}
    stop_with = {"kind": "command", "start": ["/bin/false"], "stop": ["/bin/sh", "-c", f"kill $(cat {tmp_path}/pid)"]}
    gateway = serve({"a": {"launch": launch, "stop_with": stop_with}})
    assert gateway.ask("GET", "/services/a/x").status == 200
    assert gateway.ask("POST", "/v1/services/a/stop?wait=true").json()["last_error"] is None
    gateway.until(lambda: not gateway.left_over(), what=gateway.left_over)


def test_a_command_whose_status_cannot_be_asked_is_neither_started_nor_stopped(serve, tmp_path):
    launch = {"kind": "command", "start": ["/bin/touch", f"{tmp_path}/began"], "stop": ["/bin/touch", f"{tmp_path}/ended"], "status": ["/nowhere"]}
    gateway = serve({"a": {"launch": launch, "base_url": "http://127.0.0.1:1"}})
    assert "the status command cannot be run" in refused(gateway, "a")
    assert not (tmp_path / "began").exists()
    assert not (tmp_path / "ended").exists()
