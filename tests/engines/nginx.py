"""A real nginx on a free loopback port, as the upstream of a test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.whole.program import free_port

# One process without a master: run as root it then stays root and can read the test's private folder.
CONF = """\
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    types {{ text/html html; text/css css; text/plain txt; image/png png; }}
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    sendfile on;
    keepalive_requests 1000000;
    gzip on;
    gzip_min_length 0;
    gzip_types text/css text/plain;
    gzip_vary on;
    server {{
        listen 127.0.0.1:{port};
        root {home}/www;
        location = /headers {{ return 200 "$host|$http_origin|$http_accept_encoding|$request_uri"; }}
        location = /small {{ return 200 "{small}"; }}
        location = /moved {{ return 302 http://elsewhere.example/there; }}
        location = /relative {{ absolute_redirect off; return 301 /dir/; }}
        location = /post {{ return 303 /dir/; }}
        location = /expires {{ add_header Set-Cookie "a=1; Path=/dir; Domain=127.0.0.1"; return 204; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def www(self) -> Path:
        return self.home / "www"


def program() -> str:
    """Its path; an engines test fails where it is missing, it never skips."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    assert found, "nginx is not installed: apt-get install nginx-light"
    return found


@contextmanager
def nginx(home: Path) -> Iterator[Nginx]:
    (home / "www").mkdir(parents=True)
    engine = Nginx(home, free_port())
    (home / "nginx.conf").write_text(CONF.format(home=home, port=engine.port, small="x" * 200))
    argv = [program(), "-p", str(home), "-e", "stderr", "-c", str(home / "nginx.conf")]
    with (home / "nginx.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            _await(engine, process)
            yield engine
        finally:
            process.terminate()


def _await(engine: Nginx, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", engine.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nginx did not start:\n{(engine.home / 'nginx.log').read_text()}")
