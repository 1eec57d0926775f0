"""The program at its edges: exit codes and words, signals, the environment."""

import json
import os
import signal
import socket
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from tests.whole.program import Program, Start, command, free_port, no_traceback, run
from tests.whole.upstream import CONFIG, Upstream


class TestCommands:
    def test_version_says_the_version(self, tmp_path: Path) -> None:
        done = run(tmp_path, "version")
        assert done.returncode == 0
        assert "0.1.0" in done.stdout

    def test_schema_prints_a_json_schema_that_knows_the_services(self, tmp_path: Path) -> None:
        done = run(tmp_path, "schema")
        assert done.returncode == 0
        assert "services" in json.loads(done.stdout)["properties"]

    def test_check_says_that_a_good_file_is_good(self, tmp_path: Path) -> None:
        file = tmp_path / "good.yml"
        file.write_text("services: {app: {base_url: http://127.0.0.1:9}}\n")
        assert run(tmp_path, "check", str(file)).returncode == 0

    def test_check_names_every_mistake_with_its_place(self, tmp_path: Path) -> None:
        file = tmp_path / "bad.yml"
        file.write_text("lissten: []\nservices:\n  app:\n    base_url: 7:7\n    idle_timeout: soon\n")
        done = run(tmp_path, "check", str(file))
        assert done.returncode == 2
        words = done.stdout + done.stderr
        no_traceback(words)
        assert "bad.yml:1:1: lissten: " in words
        assert "listen" in words.replace("lissten", "")
        assert "bad.yml:5:" in words

    @pytest.mark.parametrize("arguments", (("frob",), ("serve", "--frob"), ("check", "a", "b", "c")))
    def test_wrong_usage_exits_2_with_words(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        done = run(tmp_path, *arguments)
        assert done.returncode == 2
        assert done.stderr
        no_traceback(done.stderr)

    def test_commands_that_come_later_are_not_listed(self, tmp_path: Path) -> None:
        done = run(tmp_path, "--help")
        assert done.returncode == 0
        assert all(name in done.stdout for name in ("serve", "check", "schema", "version"))


def _folder(path: Path) -> None:
    path.mkdir()


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def _nul(path: Path) -> None:
    path.write_bytes(b"listen: []\0\n")


def _alias_bomb(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))


def _merge_bomb(path: Path) -> None:
    lines = ["m0: &m0 {a: b}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    path.write_text("\n".join(lines))


def _ten_megabytes(path: Path) -> None:
    path.write_text("# a comment\n" + "services: {}\n" + "x" * 10_000_000)


def _ten_megabytes_of_services(path: Path) -> None:
    path.write_text("services:\n" + "".join(f"  s{n}: {{base_url: 'http://127.0.0.1:9'}}\n" for n in range(250_000)))


def _deep(path: Path) -> None:
    path.write_text("listen: " + "[" * 100_000)


def _deep_flow_that_ends(path: Path) -> None:
    path.write_text("listen: " + "[" * 3_000 + "]" * 3_000)


def _missing_variable(path: Path) -> None:
    path.write_text("services: {app: {base_url: '${HESTIA_TEST_NOT_SET}'}}\n")


def _missing(_: Path) -> None:
    """The file that was named is not there."""


def _unreadable_link(path: Path) -> None:
    path.symlink_to(path.with_name("loop.yml"))
    path.with_name("loop.yml").symlink_to(path)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _two_documents(path: Path) -> None:
    path.write_text("listen: []\n---\nlisten: []\n")


def _tag(path: Path) -> None:
    path.write_text("listen: !!python/object/apply:os.system ['true']\n")


def _a_list(path: Path) -> None:
    path.write_text("- listen\n")


def _self_reference(path: Path) -> None:
    path.write_text("listen: &a [*a]\n")


BAD = [
    _folder, _binary, _nul, _alias_bomb, _merge_bomb, _ten_megabytes, _ten_megabytes_of_services, _deep,
    _deep_flow_that_ends, _missing_variable, _missing, _unreadable_link, _fifo, _two_documents, _tag, _a_list,
    _self_reference,
]  # fmt: skip


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__.strip("_"))
class TestBadConfig:
    def test_check_exits_2_without_a_traceback(self, tmp_path: Path, make) -> None:
        self._refused(tmp_path, make, "check")

    def test_serve_exits_2_without_a_traceback(self, tmp_path: Path, make) -> None:
        self._refused(tmp_path, make, "serve", "--config")

    def _refused(self, home: Path, make, *arguments: str) -> None:
        file = home / "file.yml"
        make(file)
        done = run(home, *arguments, str(file), limit=15)
        assert done.returncode == 2, done.stderr[-2000:]
        words = done.stdout + done.stderr
        no_traceback(words)
        assert "file.yml" in words
        assert len(words) < 20_000


class TestBadEnvironment:
    @pytest.mark.parametrize(
        ("name", "value"),
        (
            ("HESTIA__LISSTEN", "[]"),
            ("HESTIA__LOG__LEVEL", "{a: [}"),
            ("HESTIA__LIMITS__CONNECTIONS", "many"),
            ("HESTIA_API_KEYS_FILE", "/nowhere/at/all"),
            ("HESTIA_CONFIG", "/nowhere/at/all.yml"),
        ),
    )
    def test_the_variable_is_named(self, tmp_path: Path, name: str, value: str) -> None:
        done = run(tmp_path, "check", **{name: value})
        assert done.returncode == 2
        words = done.stdout + done.stderr
        no_traceback(words)
        assert name in words or value in words


class TestTakenPlaces:
    def test_a_taken_port_exits_1_with_one_line_that_names_it(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            begun = time.monotonic()
            done = run(tmp_path, "serve", "--listen", f"127.0.0.1:{port}")
            assert time.monotonic() - begun < 10
        assert done.returncode == 1
        no_traceback(done.stderr)
        assert len([line for line in done.stderr.splitlines() if f"127.0.0.1:{port}" in line]) == 1

    def test_a_second_gateway_on_the_address_leaves_the_first_one_alone(self, program: Program) -> None:
        done = run(program.home, "serve", "--config", str(program.file))
        assert done.returncode == 1
        no_traceback(done.stderr)
        assert program.healthy()

    def test_an_address_that_is_not_ours_exits_1(self, tmp_path: Path) -> None:
        done = run(tmp_path, "serve", "--listen", f"192.0.2.1:{free_port()}")
        assert done.returncode == 1
        no_traceback(done.stderr)
        assert "192.0.2.1" in done.stderr

    def test_a_unix_path_that_is_a_plain_file_is_left_alone(self, tmp_path: Path) -> None:
        plain = tmp_path / "plain.sock"
        plain.write_text("mine")
        done = run(tmp_path, "serve", "--listen", f"unix:{plain}")
        assert done.returncode in (1, 2)
        no_traceback(done.stderr)
        assert plain.read_text() == "mine"


def ask(program: Program, target: str) -> tuple[HTTPConnection, HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", program.port, timeout=15)
    connection.request("GET", target)
    return connection, connection.getresponse()


def until_refused(program: Program) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            program.connect(1).close()
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("new connections are still accepted")


class TestSignals:
    @pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
    def test_a_stream_ends_whole_after_the_first_signal(self, program: Program, number: int) -> None:
        connection, answer = ask(program, "/services/app/slow")
        first = answer.read(8)
        program.signal(number)
        until_refused(program)
        assert first + answer.read() == b"".join(b"%07d\n" % n for n in range(20))
        assert program.wait(5) == 0
        connection.close()

    def test_the_second_signal_ends_it_at_once(self, program: Program) -> None:
        connection, answer = ask(program, "/services/app/endless")
        answer.read(8)
        program.signal(signal.SIGTERM)
        until_refused(program)
        assert program.process is not None
        assert program.process.poll() is None
        begun = time.monotonic()
        program.signal(signal.SIGTERM)
        assert program.wait(3) != 0
        assert time.monotonic() - begun < 2
        connection.close()

    def test_a_broken_off_stream_does_not_look_whole(self, program: Program) -> None:
        with program.connect() as client:
            client.sendall(b"GET /services/app/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            seen = client.recv(4096)
            program.signal(signal.SIGTERM)
            until_refused(program)
            program.signal(signal.SIGTERM)
            try:
                while piece := client.recv(65536):
                    seen += piece
            except ConnectionResetError:
                pass
        assert b"\r\n0\r\n\r\n" not in seen

    def test_idle_connections_do_not_hold_up_the_end(self, program: Program) -> None:
        clients = [program.connect() for _ in range(20)]
        for client in clients[:10]:
            client.sendall(b"GET /services/app/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        for client in clients:
            client.close()

    def test_it_ends_at_once_when_there_is_nothing_to_finish(self, program: Program) -> None:
        begun = time.monotonic()
        program.signal(signal.SIGTERM)
        assert program.wait(5) == 0
        assert time.monotonic() - begun < 2
        no_traceback(program.stderr)

    def test_a_hangup_does_not_end_it(self, program: Program) -> None:
        program.signal(signal.SIGHUP)
        for _ in range(20):
            assert program.get("/services/app/")[2] == b"fine"
        assert program.healthy()


class TestEnvironment:
    def test_a_proxy_in_the_environment_is_ignored(self, start: Start, behind: Upstream) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        program = start(CONFIG.format(base_url=behind.url), **dict.fromkeys(names, nowhere))
        status, _, body = program.get("/v1/services/app/status")
        assert status == 200
        assert json.loads(body)["state"] == "hot"
        assert program.get("/services/app/")[2] == b"fine"

    def test_without_a_config_file_two_services_exist(self, tmp_path: Path, start: Start) -> None:
        argv = command("serve", "--listen", "127.0.0.1:{port}")
        program = start("", argv=argv)
        _, _, body = program.get("/v1/services")
        assert sorted(one["id"] for one in json.loads(body)["services"]) == ["demo", "ollama"]
        assert program.get("/services/demo/")[0] == 200
        program.signal(signal.SIGTERM)  # in order: a gateway that is killed leaves the demo to the next one
        assert program.wait(20) == 0

    def test_flags_beat_the_environment_and_the_environment_the_file(self, start: Start, behind: Upstream) -> None:
        other = free_port()
        text = CONFIG.format(base_url=behind.url).replace("@PORT@", str(other))
        argv = [*command("serve", "--config"), "{file}", "--listen", "127.0.0.1:{port}"]
        program = start(
            text,
            argv=argv,
            HESTIA__LISTEN=f'["127.0.0.1:{free_port()}"]',
            HESTIA__SERVICES__OTHER__BASE_URL="http://127.0.0.1:9",
        )
        assert {one["id"] for one in json.loads(program.get("/v1/services")[2])["services"]} == {"app", "other"}
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", other), timeout=2)
