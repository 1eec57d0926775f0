"""Where an upstream listens, read from a `base_url`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """`authority` is what the upstream is called in `Host`; `path` is a unix socket, else `host` and `port` count."""

    scheme: bytes
    authority: bytes
    base_path: bytes
    host: str
    port: int
    path: str | None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path is not None else self.authority.decode("latin-1")


def read_address(base_url: str) -> Address:
    """The address in a `base_url` that the configuration has checked."""
    if base_url.startswith("http+unix://"):
        path = unquote(base_url.removeprefix("http+unix://"))
        return Address(b"http", b"localhost", b"", "", 0, path)
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    return Address(
        parts.scheme.encode(),
        parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii"),
        parts.path.rstrip("/").encode(),
        host,
        port,
        None,
    )
