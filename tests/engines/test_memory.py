"""What the gateway's memory costs, read from the kernel: it stays flat whatever goes through."""

import importlib.util
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.engines import bulk
from tests.engines.bulk import GIB, MIB
from tests.engines.nginx import Nginx, nginx
from tests.whole.program import Program

pytestmark = pytest.mark.engines

LOOPS = ("asyncio", "uvloop") if importlib.util.find_spec("uvloop") else ("asyncio",)
IDLE = 1_000
STALLED = 100
CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
services:
  ollama: null
  files: {{base_url: "{files}"}}
  sink: {{base_url: "{sink}"}}
  chunks: {{base_url: "{chunks}"}}
  slow: {{base_url: "{slow}"}}
  endless: {{base_url: "{endless}"}}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx") / "home") as running:
        for name, size in (("big.bin", GIB), ("warm.bin", 64 * MIB)):
            with (running.www / name).open("wb") as sparse:
                sparse.truncate(size)
        yield running


@pytest.fixture(scope="module", params=LOOPS)
def gateway(request, tmp_path_factory: pytest.TempPathFactory, engine: Nginx) -> Iterator[Program]:
    """One process a loop, warm: each kind of exchange went through it before anything is measured."""
    with ExitStack() as stack:
        urls = {
            "files": engine.url,
            "sink": stack.enter_context(bulk.raw_upstream(bulk.sink)),
            "chunks": stack.enter_context(bulk.raw_upstream(bulk.chunk_sink)),
            "slow": stack.enter_context(bulk.raw_upstream(bulk.slow_sink)),
            "endless": stack.enter_context(bulk.raw_upstream(bulk.endless)),
        }
        program = Program(tmp_path_factory.mktemp("memory"), CONFIG.format(**urls))
        stack.enter_context(program)
        program.start(HESTIA_LOOP=request.param)
        bulk.download(program.port, "/services/files/warm.bin")
        bulk.upload(program.port, "/services/sink/", 64 * MIB)
        bulk.upload(program.port, "/services/chunks/", 16 * MIB, chunked=True)
        yield program
        program.log.unlink(missing_ok=True)


@contextmanager
def grows_less_than(program: Program, bound: int, what: str) -> Iterator[None]:
    """The highest the process stood meanwhile, over where it stood before."""
    with suppress(OSError):  # not allowed everywhere; then the mark is the highest since the start, and still tells
        Path(f"/proc/{program.pid}/clear_refs").write_text("5")
    before, mark, begun = program.memory("VmRSS"), program.memory("VmHWM"), time.monotonic()
    yield
    peak = program.memory("VmHWM")
    grown = (peak if peak > mark else program.memory("VmRSS")) - before
    took = time.monotonic() - begun
    print(f"{what}: +{grown / MIB:.1f} MiB over {before / MIB:.1f} MiB (bound {bound // MIB}), {took:.1f} s")
    assert grown < bound


def test_a_gibibyte_down(gateway: Program) -> None:
    with grows_less_than(gateway, 8 * MIB, "1 GiB down"):
        assert bulk.download(gateway.port, "/services/files/big.bin") == GIB


def test_a_gibibyte_up(gateway: Program) -> None:
    with grows_less_than(gateway, 8 * MIB, "1 GiB up"):
        assert bulk.upload(gateway.port, "/services/sink/", GIB) == b"%d" % GIB


def test_a_gibibyte_up_in_chunks(gateway: Program) -> None:
    with grows_less_than(gateway, 8 * MIB, "1 GiB up in chunks"):
        assert int(bulk.upload(gateway.port, "/services/chunks/", GIB, chunked=True)) >= GIB


@pytest.mark.parametrize("framing", ("sized", "chunked"))
def test_a_reader_of_a_mebibyte_a_second(gateway: Program, framing: str) -> None:
    with grows_less_than(gateway, 16 * MIB, f"reader at 1 MiB/s, endless answer, {framing}"):
        seen = bulk.download(gateway.port, f"/services/endless/{framing}", rate=MIB, seconds=4)
    assert 2 * MIB < seen < 12 * MIB


@pytest.mark.parametrize("chunked", (False, True), ids=("sized", "chunked"))
def test_an_upstream_that_takes_a_mebibyte_a_second(gateway: Program, chunked: bool) -> None:
    with grows_less_than(gateway, 16 * MIB, f"upstream taking 1 MiB/s of an endless body, chunked={chunked}"):
        sent = bulk.offer(gateway.port, "/services/slow/", chunked=chunked)
    assert 2 * MIB < sent < 24 * MIB


def test_a_thousand_idle_connections(gateway: Program) -> None:
    """Each has had an exchange, so that it holds whatever a kept connection holds."""
    with ExitStack() as stack, grows_less_than(gateway, 8 * MIB, f"{IDLE} idle connections"):
        for _ in range(IDLE):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=10))
            client.sendall(b"GET /services/files/small HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_three_hundred_thousand_requests(gateway: Program) -> None:
    """The first 60,000 fill what may be filled; after that it is flat."""
    done = bulk.load(gateway.port, "/services/files/small", 60_000)
    with grows_less_than(gateway, 2 * MIB, f"from {done} to 300000 requests"):
        bulk.load(gateway.port, "/services/files/small", 300_000 - done)


def test_readers_that_never_read(gateway: Program) -> None:
    """An endless answer each: what is not taken stays in the kernel, half a mebibyte of each at most is here."""
    with ExitStack() as stack, grows_less_than(gateway, STALLED * MIB // 2, f"{STALLED} stalled readers"):
        for _ in range(STALLED):
            client = stack.enter_context(bulk.exchange(gateway.port, b"GET /services/endless/sized HTTP/1.1"))
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
