"""A small upstream with a thread for each connection, for tests without a loop of their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
services:
  ollama: null
  app:
    base_url: {base_url}
"""


class Upstream(ThreadingHTTPServer):
    """`/slow` sends `pieces` chunks with `pause` seconds between them; `/endless` never ends; all else is short."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pieces = 20
        self.pause = 0.1
        self.closing = threading.Event()
        self.served = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: else each answer waits 40 ms
    server: Upstream

    def do_GET(self) -> None:
        self.server.served += 1
        path = self.path.partition("?")[0]
        if path == "/slow":
            self._stream(self.server.pieces)
        elif path == "/endless":
            self._stream(1_000_000)
        else:
            self._short()

    def _short(self) -> None:
        body = self.headers.get("X-Say", "fine").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, pieces: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(pieces):
                self.wfile.write(b"8\r\n%07d\n\r\n" % number)
                if self.server.closing.wait(self.server.pause):
                    return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the gateway's log is what is looked at."""


@contextmanager
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join(5)
