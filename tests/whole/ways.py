"""The three ways to one service: under a prefix, by a host name, on a port of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.whole.program import Program

WAYS = ("direct", "prefix", "host", "port")  # direct, without the gateway: it shows that the double and the test agree
NAME = "app"
CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
services:
  ollama: null
  app:
    base_url: {base_url}
    hosts: [app.localhost]
    listen: ["127.0.0.1:@OWN@"]
"""


@dataclass(frozen=True)
class Way:
    """How a client names the service: `origin` is what a browser would call the page's origin."""

    authority: str
    port: int
    prefix: str

    @property
    def origin(self) -> str:
        return f"http://{self.authority}"

    def url(self, path: str) -> str:
        return f"http://{self.authority}{self.prefix}{path}"

    def ws(self, path: str) -> str:
        return f"ws://{self.authority}{self.prefix}{path}"


def way(name: str, program: Program, base_url: str) -> Way:
    direct, own = urlsplit(base_url).port or 80, program.ports["OWN"]
    return {
        "direct": Way(f"localhost:{direct}", direct, ""),
        "prefix": Way(f"localhost:{program.port}", program.port, f"/services/{NAME}"),
        "host": Way(f"app.localhost:{program.port}", program.port, ""),
        "port": Way(f"localhost:{own}", own, ""),
    }[name]


@contextmanager
def shown(program: Program) -> Iterator[None]:
    """Print what the gateway writes meanwhile: pytest shows it beside a test that failed."""
    before = len(program.stderr)
    yield
    print(f"--- the gateway's log\n{program.stderr[before:]}")


class Loopback(AbstractResolver):
    """Every name is this machine: a resolver need not know `*.localhost`."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


def browser() -> aiohttp.ClientSession:
    """A client with a cookie jar that believes what it is told about paths, and decodes nothing."""
    connector = aiohttp.TCPConnector(resolver=Loopback(), use_dns_cache=False)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.CookieJar())
