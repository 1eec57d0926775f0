"""A service to be launched: a small HTTP server that starts in milliseconds and misbehaves as its flags say.

It runs as a program, without site-packages: `python -S -E served.py --port 1234 --delay 0.2`. Every flag has a value;
one that only switches something takes 1. Everything that it does stands in the file of `--log`, a line each:
`start PID`, `listen TIME`, `request TIME METHOD TARGET LENGTH CRC`, `term TIME`; the time is the monotonic clock, which
all processes of a machine share.

Where it listens:
  --port N | --unix PATH | --tell S (a port of the system's choice, told in its output after S seconds)
How it starts: --delay S before it listens, --gate FILE (not before that is there), --never, --crash CODE (after --delay), --needs FILE (exit code 3 without it), --flood MB of output, --print WORDS
How it is: --health STATUS of /health, --ready-after S (503 until then), --flap N (every Nth answer of /health is 503),
  --health-body endless | huge | hangs, --redirect URL, --busy-while FILE (what /busy says while the file exists)
How it ends: --ignore-term, --slow-term S, --die-after S (exit code 7), --leave N children, --fork (its parent exits)
"""

import os
import socket
import sys
import threading
import time
import zlib
from _signal import SIG_IGN, SIGTERM, signal  # `signal` itself loads enum

FLAGS = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True)) if __name__ == "__main__" else {}
PIECE = 65536


def flag(name: str, kind=float, otherwise=None):
    return kind(FLAGS[f"--{name}"]) if f"--{name}" in FLAGS else otherwise


class Served:
    """One life of the service."""

    def __init__(self):
        self.log = os.open(FLAGS["--log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if "--log" in FLAGS else None
        self.began = 0.0
        self.checks = 0

    def note(self, *words):
        if self.log is not None:
            os.write(self.log, (" ".join(map(str, words)) + "\n").encode())

    # --- its start and its end

    def run(self):
        self.note("start", os.getpid(), *sys.argv[1:])
        self.set_signals()
        if "--print" in FLAGS:
            print(FLAGS["--print"], flush=True)
        for _ in range(flag("flood", int, 0)):
            print("x" * 1023, *["y" * 1023] * 1023, sep="\n", flush=True)
        self.have_children()
        time.sleep(flag("delay", float, 0.0))
        while "--gate" in FLAGS and not os.path.exists(FLAGS["--gate"]):
            time.sleep(0.002)
        if not os.path.exists(FLAGS.get("--needs", "/")):
            os._exit(3)
        if "--crash" in FLAGS:
            print("it cannot go on", flush=True)
            os._exit(int(FLAGS["--crash"]))
        if "--never" in FLAGS:
            time.sleep(3600)
        self.serve(self.listen())

    def set_signals(self):
        if "--ignore-term" in FLAGS:
            signal(SIGTERM, SIG_IGN)
        elif "--slow-term" in FLAGS:
            signal(SIGTERM, self.end_slowly)

    def end_slowly(self, *_):
        self.note("term", time.monotonic())
        threading.Timer(flag("slow-term"), os._exit, (0,)).start()

    def have_children(self):
        for _ in range(flag("leave", int, 0)):
            if not os.fork():
                self.note("child", os.getpid())
                time.sleep(3600)
        if "--fork" in FLAGS and os.fork():
            os._exit(0)

    def listen(self):
        if "--unix" in FLAGS:
            server = socket.socket(socket.AF_UNIX)
            server.bind(FLAGS["--unix"])
        else:
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", flag("port", int, 0)))
        server.listen(1024)
        self.began = time.monotonic()
        self.note("listen", self.began)
        if "--tell" in FLAGS:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            threading.Timer(flag("tell"), print, (f"HESTIA_BASE_URL={url}",), {"flush": True}).start()
        if "--die-after" in FLAGS:
            threading.Timer(flag("die-after"), os._exit, (7,)).start()
        return server

    def serve(self, server):
        while True:
            client, _ = server.accept()
            threading.Thread(target=self.connection, args=(client,), daemon=True).start()

    # --- its answers

    def connection(self, client):
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = client.makefile("rb")
        try:
            while self.exchange(client, reader):
                pass
        except (OSError, ValueError):
            pass
        finally:
            reader.close()
            client.close()

    def exchange(self, client, reader):
        line = reader.readline(PIECE)
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split()
        came = time.monotonic()
        fields = {}
        while (field := reader.readline(PIECE)) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        if "expect" in fields:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length, check = self.body(reader, fields)
        if not target.startswith(("/health", "/busy")) and fields.get("user-agent") != "hestia-probe":
            self.note("request", came, method, target, length, check)
        return self.answer(client, reader, method, target, f"{length} {check}")

    def body(self, reader, fields):
        length = check = 0
        for piece in self.pieces(reader, fields):
            length += len(piece)
            check = zlib.crc32(piece, check)
        return length, check

    @staticmethod
    def pieces(reader, fields):
        if fields.get("transfer-encoding") == "chunked":
            while size := int(reader.readline(PIECE), 16):
                yield reader.read(size)
                reader.readline()
            reader.readline()
        left = int(fields.get("content-length", 0))
        while left:
            piece = reader.read(min(left, PIECE))
            if not piece:
                raise ValueError
            left -= len(piece)
            yield piece

    def answer(self, client, reader, method, target, body):
        path, _, query = target.partition("?")
        seconds = float(query) if path in {"/slow", "/stream"} else 0.0
        if path == "/health":
            self.health(client)
        elif path == "/busy":
            busy = os.path.exists(FLAGS.get("--busy-while", ""))
            self.say(client, b'{"queue": %d}' % busy)
        elif path == "/slow":
            time.sleep(seconds)
            self.say(client, str(os.getpid()).encode())
        elif path == "/stream":
            self.stream(client, seconds)
        elif path == "/switch":
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := reader.read1(PIECE):
                client.sendall(data)
            return False
        elif path == "/die":
            os.kill(os.getpid(), 9)
        elif path == "/sum":
            self.say(client, body.encode())
        else:
            self.say(client, str(os.getpid()).encode())
        return True

    @staticmethod
    def say(client, body, status="200 OK", *more):
        lines = "".join(f"{line}\r\n" for line in more)
        client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)

    def stream(self, client, seconds):
        """An event ten times a second, for so long."""
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            client.sendall(b"9\r\ndata: x\n\n\r\n")
            time.sleep(0.1)
        client.sendall(b"0\r\n\r\n")

    def health(self, client):
        self.checks += 1
        young = time.monotonic() < self.began + flag("ready-after", float, 0.0)
        flaps = "--flap" in FLAGS and self.checks % flag("flap", int) == 0
        body = FLAGS.get("--health-body")
        if body == "hangs":
            time.sleep(3600)
        elif body is not None:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while body in {"endless", "huge"}:
                client.sendall(b"x" * PIECE)
                time.sleep(0.1 if body == "endless" else 0)
        elif "--redirect" in FLAGS:
            self.say(client, b"", "302 Found", f"Location: {FLAGS['--redirect']}")
        else:
            self.say(client, b"", "503 Not Yet" if young or flaps else FLAGS.get("--health", "200 OK"))


if __name__ == "__main__":
    Served().run()
