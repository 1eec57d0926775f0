"""The light upstream: what nginx cannot do (events, an echo, a sink) or does where nginx is missing.

One thread round epoll, no framework. Bulk bytes are sent from memory without a copy (sendfile) and thrown away in the
kernel (MSG_TRUNC), so that a proxy is measured and not this program.

    python -m bench.upstream PORT [DELAY]

`GET /small` 200 bytes; `GET /down?N` N bytes; `POST` reads its body, then answers; `GET /events?S` an event each S
seconds, each with the nanosecond at which it was sent; an upgrade becomes an echo; `GET /since` the time at which it
began to listen. DELAY: seconds before it listens.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import select
import socket
import sys
import time
from typing import Final

SMALL: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n" + b"x" * 200
DONE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
EVENTS: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
)
SWITCH: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
PLAIN_501: Final = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE).search
UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE).search
CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE).search
BLOCK: Final = 1 << 24  # the memory that bulk answers are sent from, again and again
READ: Final = 1 << 20
HEAD, SINK, DOWN, ECHO, STREAM = range(5)


class Peer:
    """One connection."""

    __slots__ = ("every", "held", "left", "sock", "state")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.state = HEAD
        self.held = b""
        self.left = 0
        self.every = 0.0


class Upstream:
    """Its listener, its connections, and the events that are due."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.since = time.monotonic()
        self.poll = select.epoll()
        self.poll.register(listener, select.EPOLLIN)
        self.peers: dict[int, Peer] = {}
        self.due: list[tuple[float, int]] = []
        self.scratch = bytearray(READ)
        self.bulk = os.memfd_create("bulk")
        os.truncate(self.bulk, BLOCK)

    def run(self) -> None:
        """Until its parent is gone, or it is told to end."""
        parent = os.getppid()
        while os.getppid() == parent:
            wait = 1.0 if not self.due else max(0.0, min(1.0, self.due[0][0] - time.monotonic()))
            for fd, _ in self.poll.poll(wait):
                if fd == self.listener.fileno():
                    self._accept()
                elif fd in self.peers:
                    self._serve(fd, self.peers[fd])
            if self.due:
                self._send_events()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.peers[sock.fileno()] = Peer(sock)
                self.poll.register(sock.fileno(), select.EPOLLIN)

    def _serve(self, fd: int, peer: Peer) -> None:
        try:
            if peer.state == ECHO:
                data = peer.sock.recv(65536)
                if data:
                    peer.sock.send(data)
                else:
                    self._close(fd, peer)
            elif peer.state == SINK:
                self._sink(fd, peer)
            elif peer.state == DOWN:
                self._down(fd, peer)
            else:
                self._head(fd, peer)
        except BlockingIOError:
            pass
        except OSError:
            self._close(fd, peer)

    def _head(self, fd: int, peer: Peer) -> None:
        data = peer.sock.recv(READ)
        if not data:
            self._close(fd, peer)
            return
        if peer.held:
            data = peer.held + data
            peer.held = b""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            peer.held = data
            return
        head, rest = data[: end + 2], data[end + 4 :]
        path = head.split(b" ", 2)[1]
        name, _, value = path.partition(b"?")
        length = LENGTH(head)
        if CHUNKED(head):
            peer.sock.send(PLAIN_501)
            self._close(fd, peer)
        elif length is not None and int(length[1]) > 0:
            peer.left = int(length[1]) - len(rest)
            peer.state = SINK
            if peer.left <= 0:
                self._took(peer)
        elif UPGRADE(head):
            peer.state = ECHO
            peer.sock.send(SWITCH)
        elif name.endswith(b"/down"):
            self._begin_down(fd, peer, int(value))
        elif name.endswith(b"/events"):
            peer.state = STREAM
            peer.every = float(value)
            peer.sock.send(EVENTS)
            heapq.heappush(self.due, (time.monotonic() + peer.every, fd))
        elif name.endswith(b"/since"):
            text = b"%.6f" % self.since
            peer.sock.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        else:
            peer.sock.send(SMALL)

    def _sink(self, fd: int, peer: Peer) -> None:
        took = peer.sock.recv_into(self.scratch, min(peer.left, READ), socket.MSG_TRUNC)
        if not took:
            self._close(fd, peer)
            return
        peer.left -= took
        if peer.left <= 0:
            self._took(peer)

    @staticmethod
    def _took(peer: Peer) -> None:
        peer.state = HEAD
        peer.sock.send(DONE)

    def _begin_down(self, fd: int, peer: Peer, size: int) -> None:
        peer.sock.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size
        )
        peer.state = DOWN
        peer.left = size
        self.poll.modify(fd, select.EPOLLOUT)

    def _down(self, fd: int, peer: Peer) -> None:
        offset = -peer.left % BLOCK
        peer.left -= os.sendfile(fd, self.bulk, offset, min(peer.left, BLOCK - offset, READ))
        if peer.left == 0:
            peer.state = HEAD
            self.poll.modify(fd, select.EPOLLIN)

    def _send_events(self) -> None:
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            when, fd = heapq.heappop(self.due)
            peer = self.peers.get(fd)
            if peer is None or peer.state != STREAM:
                continue
            event = b"data: %d\n\n" % time.monotonic_ns()
            try:
                peer.sock.send(b"%x\r\n%b\r\n" % (len(event), event))
            except OSError:
                self._close(fd, peer)
                continue
            heapq.heappush(self.due, (max(when + peer.every, now - 1), fd))

    def _close(self, fd: int, peer: Peer) -> None:
        self.peers.pop(fd, None)
        with contextlib.suppress(OSError):
            self.poll.unregister(fd)
        peer.sock.close()


def main(port: int, delay: float = 0.0) -> None:
    time.sleep(delay)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(4096)
        listener.setblocking(False)
        Upstream(listener).run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)  # noqa: PLR2004
