"""Opening a connection to a place. The system's errors end here, as words."""

import asyncio
import errno
import ssl

from hestia.relay.place import Place
from hestia.relay.upstream import Upstream

DESCRIPTORS_ARE_SHORT = (errno.EMFILE, errno.ENFILE)


class Unreachable(Exception):
    """No connection came about; the text says why, `code` which refusal that is. `refused`: nobody listens there."""

    def __init__(self, words: str, code: str = "upstream_unreachable", *, refused: bool = False) -> None:
        super().__init__(words)
        self.code = code
        self.refused = refused


async def dial(place: Place, longest_head: int) -> Upstream:
    """A new connection within the place's `connect_timeout`. Cancelled, it leaves nothing open. Raises Unreachable."""
    address = place.address
    upstream = Upstream(place, longest_head)
    loop = asyncio.get_running_loop()
    server_hostname = address.host if place.tls is not None else None
    try:
        async with asyncio.timeout(place.connect_timeout or None):
            if address.path is not None:
                await loop.create_unix_connection(lambda: upstream, address.path)
            else:
                await loop.create_connection(
                    lambda: upstream,
                    address.host,
                    address.port,
                    ssl=place.tls,
                    server_hostname=server_hostname,
                )
    except TimeoutError:
        raise Unreachable(f"no connection to {address} within {place.connect_timeout:g} s") from None
    except ssl.SSLCertVerificationError as problem:
        raise Unreachable(f"the certificate of {address} is not trusted: {problem.verify_message}") from problem
    except ssl.SSLError as problem:
        raise Unreachable(f"TLS with {address} failed: {problem.reason or problem}") from problem
    except OSError as problem:
        if problem.errno in DESCRIPTORS_ARE_SHORT:
            raise Unreachable("no file descriptors are left (`ulimit -n`)", "too_many_connections") from None
        raise Unreachable(f"{address}: {reason(problem)}", refused=nobody_listens(problem)) from problem
    return upstream


def nobody_listens(problem: OSError) -> bool:
    """Refused, or the socket file is gone; asyncio wraps several refusals into one text."""
    return isinstance(problem, ConnectionRefusedError | FileNotFoundError) or "111" in str(problem)


def reason(problem: OSError) -> str:
    """`connection refused`, without the numbers and repeated addresses that asyncio puts round it."""
    text = problem.strerror or str(problem)
    if "Connect call failed" in text or "Multiple exceptions" in text:
        text = "connection refused" if "111" in text or isinstance(problem, ConnectionRefusedError) else text
    return text[:1].lower() + text[1:]
