"""What one hot request costs, without a clock: how many Python functions it calls between its two transports."""

import asyncio
import os
import socket
import sys
from collections import Counter

import pytest

from hestia.doors.front import Front
from hestia.relay.upstream import Upstream
from hestia.rules.routing import Door
from tests.support.gateway import running

MOST = {"varied": 44, "constant": 44}
"""Of Python's own functions. What raises it has to be worth it: 64 connections feel each call (bench/RESULTS.md)."""
ANSWER = b"HTTP/1.1 200 OK\r\nServer: up\r\nDate: Sat, 21 Nov 2026 17:12:%02d GMT\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
REQUEST = (
    b"GET /services/a/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: client/1\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip\r\nAuthorization: Bearer sk-1\r\ntraceparent: 00-%08x-01\r\nAccept-Language: en\r\n\r\n"
)


class Recorded(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self, sock):
        super().__init__({"peername": ("127.0.0.1", 5), "socket": sock})
        self.written = []

    def write(self, data):
        self.written.append(data)

    def is_closing(self):
        return False

    def abort(self):
        pass


@pytest.mark.parametrize("kind", MOST)
async def test_a_hot_request_calls_few_functions(kind):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with running({"a": {"base_url": "http://127.0.0.1:9"}}) as run:
            front, client = Front(run.gateway.shared, Door("here"), secure=False), Recorded(ours)
            front.connection_made(client)
            place = next(iter(run.gateway.fleet.places())).way
            upstream, server = Upstream(place, 65536), Recorded(ours)
            upstream.connection_made(server)
            place.pool.put(upstream)

            def one(number):
                front.data_received(REQUEST % (number if kind == "varied" else 0))
                upstream.data_received(ANSWER % (number, 5 + number, b"x" * (5 + number)))

            calls = Counter()

            def count(frame, event, _):
                if event == "call" and "hestia" in frame.f_code.co_filename.split(os.sep):
                    calls[frame.f_code.co_name] += 1

            for number in range(10):
                one(number)
            sys.setprofile(count)
            try:
                one(11)
            finally:
                sys.setprofile(None)
            front.connection_lost(None)
            place.pool.close()
            assert [len(client.written), len(server.written)] == [11, 11]
            assert client.written[-1].endswith(b"\r\n\r\n" + b"x" * 16)
            assert b"traceparent: 00-%08x-01" % (11 if kind == "varied" else 0) in server.written[-1]
            assert calls.total() <= MOST[kind], calls.most_common()
