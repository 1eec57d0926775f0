"""A service of the gauntlet: a process that writes down each request it gets, and answers what it is told to.

`python -S -E faults_upstream.py NAME PORT FOLDER [VERSION]`. Standard library alone, and little of it: it is started
every second. In `FOLDER/NAME.diary` stand `start PID`, `got ID METHOD PID`, `broke PID WHY` for a
connection that broke off, and `twice PID` when another life of it is not over yet. Answers are made of the request's
id, so that the client knows every byte of them.
"""

import fcntl
import os
import resource
import socket
import struct
import sys
import threading
import time
import zlib

PIECE = 16384


def pattern(id_: str, size: int) -> bytes:
    """The bytes that an answer to this request consists of."""
    word = f"<{id_}>".encode()
    return (word * (size // len(word) + 1))[:size]


class Gone(Exception):
    """The client has closed in the middle of a body."""


class Life:
    """One process of the service."""

    def __init__(self, name: str, port: int, folder: str) -> None:
        # A launched program has the limits of its gateway, whose disk may be full just now; ours is not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.diary = os.open(f"{folder}/{name}.diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.lock = os.open(f"{folder}/{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.port = port

    def note(self, *words: object) -> None:
        os.write(self.diary, (" ".join(map(str, words)) + "\n").encode())

    def serve(self) -> None:
        self.note("start", os.getpid())
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.note("twice", os.getpid())
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", self.port))
        server.listen(512)
        while True:
            client, _ = server.accept()
            threading.Thread(target=self.connection, args=(client,), daemon=True).start()

    def connection(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with client, client.makefile("rb") as reader:
                while Exchange(self, client, reader).run():
                    pass
        except (OSError, ValueError, Gone) as problem:
            self.note("broke", os.getpid(), repr(problem))


class Exchange:
    """One request and its answer."""

    def __init__(self, life: Life, client: socket.socket, reader) -> None:
        self.life, self.client, self.reader = life, client, reader

    def run(self) -> bool:
        """Whether the connection goes on."""
        line = self.reader.readline(PIECE)
        if not line:
            return False
        self.method, target, _ = line.decode("latin-1").split()
        self.fields = {}
        while (field := self.reader.readline(PIECE)) not in {b"\r\n", b""}:
            name, _, value = field.decode("latin-1").partition(":")
            self.fields[name.lower()] = value.strip()
        path, _, query = target.partition("?")
        if path == "/health":
            return self.say(b"well")
        self.id = self.fields.get("x-request-id", "?")
        self.life.note("got", self.id, self.method, os.getpid())
        answer = getattr(self, "on_" + path.rpartition("/")[2], None)
        return self.say(b"", "404 Not Found") if answer is None else answer(int(query or 0)) is not False

    def say(self, body: bytes, status: str = "200 OK", said: int | None = None) -> bool:
        size = len(body) if said is None else said
        head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nX-Pid: {os.getpid()}\r\n\r\n".encode()
        self.client.sendall(head if self.method == "HEAD" else head + body)
        return True

    def on_bytes(self, size: int) -> None:
        self.say(pattern(self.id, size))

    def on_slow(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)
        self.say(pattern(self.id, 100))

    def on_sum(self, _: int) -> None:
        length = check = 0
        for piece in self.pieces():
            length += len(piece)
            check = zlib.crc32(piece, check)
        self.say(f"{length} {check}".encode())

    def pieces(self):
        if self.fields.get("transfer-encoding") == "chunked":
            while size := int(self.reader.readline(PIECE), 16):
                yield self.exactly(size)
                self.reader.readline()
            self.reader.readline()
        left = int(self.fields.get("content-length", 0))
        while left:
            piece = self.exactly(min(left, PIECE))
            left -= len(piece)
            yield piece

    def exactly(self, size: int) -> bytes:
        piece = self.reader.read(size)
        if len(piece) < size:
            raise Gone
        return piece

    def on_chunks(self, size: int) -> None:
        self.begin_chunks("application/octet-stream")
        body = pattern(self.id, size)
        for at in range(0, size, PIECE):
            self.chunk(body[at : at + PIECE])
        self.chunk(b"")

    def on_events(self, count: int) -> None:
        self.begin_chunks("text/event-stream")
        for number in range(count):
            self.chunk(f"data: {self.id} {number}\n\n".encode())
            time.sleep(0.03)
        self.chunk(b"")

    def begin_chunks(self, kind: str) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.client.sendall(head.encode())

    def chunk(self, piece: bytes) -> None:
        self.client.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def on_echo(self, _: int) -> bool:
        """An upgraded connection: everything comes back, until the end."""
        self.client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := self.reader.read1(PIECE):
            self.client.sendall(data)
        return False

    # -- answers that break off: the client is to see that they did

    def on_cut(self, size: int) -> bool:
        self.say(pattern(self.id, size), said=2 * size)
        return False

    def on_cutchunks(self, size: int) -> bool:
        self.begin_chunks("text/plain")
        self.chunk(pattern(self.id, size))
        return False

    def on_reset(self, size: int) -> bool:
        self.say(pattern(self.id, size), said=2 * size)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def on_nothing(self, _: int) -> bool:
        for _piece in self.pieces():
            pass
        return False


if __name__ == "__main__":
    Life(sys.argv[1], int(sys.argv[2]), sys.argv[3]).serve()
