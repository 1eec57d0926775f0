"""What the program writes on standard error, and what it does when that can't be written."""

import json
import signal
import socket
import subprocess
import time
from http.client import HTTPConnection

from tests.whole.program import Program, Start, command, no_traceback
from tests.whole.upstream import CONFIG, Upstream


class TestStandardError:
    COUNT = 2_000

    def _serves(self, program: Program) -> None:
        """So many exchanges that their lines fill any pipe, and not one of them waits for the log."""
        connection = HTTPConnection("127.0.0.1", program.port, timeout=5)
        for number in range(self.COUNT):
            connection.request("GET", f"/services/app/{'p' * 100}?{number}")
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.read() == b"fine"
        connection.close()

    def _ends(self, program: Program) -> None:
        program.signal(signal.SIGTERM)
        assert program.wait(10) == 0

    def test_a_pipe_that_nobody_reads_stops_nothing(self, start: Start, behind: Upstream) -> None:
        program = start(CONFIG.format(base_url=behind.url), stderr=subprocess.PIPE)
        self._serves(program)
        self._ends(program)

    def test_a_pipe_whose_reader_is_gone_stops_nothing(self, start: Start, behind: Upstream) -> None:
        program = start(CONFIG.format(base_url=behind.url), stderr=subprocess.PIPE)
        assert program.process is not None
        assert program.process.stderr is not None
        program.process.stderr.close()
        self._serves(program)
        self._ends(program)

    def test_a_closed_standard_error_stops_nothing(self, start: Start, behind: Upstream) -> None:
        text = CONFIG.format(base_url=behind.url)
        program = start(text, argv=["sh", "-c", 'exec "$0" "$@" 2>&- >&-', *command("serve", "--config"), "{file}"])
        self._serves(program)
        self._ends(program)

    def test_a_full_disk_under_it_stops_nothing(self, start: Start, behind: Upstream) -> None:
        with open("/dev/full", "wb") as full:
            program = start(CONFIG.format(base_url=behind.url), stderr=full.fileno())
            self._serves(program)
            self._ends(program)


class TestLog:
    def _requests(self, program: Program, **fields: object) -> list[dict[str, object]]:
        """The access lines with these fields, as soon as there is one (a thread writes them)."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            lines = [json.loads(line) for line in program.lines() if line.startswith("{")]
            if found := [line for line in lines if {"event": "request", **fields}.items() <= line.items()]:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no request with {fields} in the log:\n{program.stderr}")

    def test_an_exchange_is_one_json_line_without_its_query(self, program: Program) -> None:
        status, headers, _ = program.get("/services/app/path?token=secret", **{"X-Request-ID": "my-own-id"})
        assert (status, headers["x-request-id"]) == (200, "my-own-id")
        (line,) = self._requests(program, request_id="my-own-id")
        assert line["service"] == "app"
        assert line["status"] == 200
        assert line["method"] == "GET"
        assert str(line["path"]).endswith("/path")
        assert line["level"] == "info"
        assert str(line["ts"]).endswith(("Z", "+00:00"))
        assert "secret" not in program.stderr

    def test_every_line_on_standard_error_is_json(self, program: Program) -> None:
        program.get("/services/app/")
        program.get("/services/nobody/")
        program.get("/nothing")
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        lines = [line for line in program.lines() if line.startswith("{")]
        assert {"gateway.started", "gateway.stopping", "request"} <= {json.loads(line)["event"] for line in lines}

    def test_control_characters_never_reach_the_log(self, program: Program) -> None:
        assert program.get("/services/app/%1b[31m%0a")[0] == 200
        with program.connect() as client:
            client.sendall(b"GET /services/app/\x1b[31m HTTP/1.1\r\nHost: a\x1b[31m\r\nX-Request-ID: \x1b\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
        self._requests(program, status=400)
        assert "\x1b" not in program.stderr

    def test_a_thousand_malformed_requests_are_a_thousand_lines_at_most(self, program: Program) -> None:
        before = len(program.lines())
        for number in range(1000):
            with program.connect() as client:
                client.sendall(b"GET  /%d HTTP/9.9\r\nHost: a b\r\nbad header \r\n\r\n" % number)
                answer = client.recv(4096)
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert len(answer) < 1500
        assert program.healthy()
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        assert len(program.lines()) - before <= 1000 + 20
        no_traceback(program.stderr)

    def test_a_thousand_noises_are_a_thousand_lines_at_most(self, program: Program) -> None:
        before = len(program.lines())
        noises = (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\r\n",
        )
        for number in range(1000):
            with program.connect() as client:
                client.sendall(noises[number % 3])
                client.shutdown(socket.SHUT_WR)
                try:
                    while client.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        assert program.healthy()
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        assert len(program.lines()) - before <= 1000 + 20
        no_traceback(program.stderr)

    def test_no_access_lines_when_they_are_not_wanted(self, start: Start, behind: Upstream) -> None:
        program = start(CONFIG.format(base_url=behind.url) + "log: {access: false}\n")
        program.get("/services/app/")
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        assert '"event":"request"' not in program.stderr.replace(" ", "")
