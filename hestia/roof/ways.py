"""From a place and its address to what the relay needs of it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from hestia.h1.address import read_address
from hestia.h1.crossing import Crossing
from hestia.relay.place import Place
from hestia.relay.pool import Pool
from hestia.roof.listen import CannotStart

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.words.spec import Config


class Ways:
    """Makes the relay's places. CA files are read once, at the start: a bad one is told then."""

    def __init__(self, config: Config) -> None:
        """Raises CannotStart."""
        self.loop_tag = b""
        verifies = {service.id: service.tls_verify for service in config.services.values()}
        self._contexts = {id_: upstream_tls(id_, verify) for id_, verify in verifies.items() if verify is not True}

    def follow(self, after: Ways) -> None:
        """After a reload: what was read for it, CA files too."""
        self._contexts = after._contexts

    def to(self, life: Life, url: str) -> Place:
        """A place of its own for each address: connections to another one are of no use."""
        spec, place = life.owner.spec, life.spec
        address = read_address(url)
        crossing = Crossing(
            address,
            self.loop_tag,
            rewrite=spec.rewrite == "same_origin",
            preserve_host=spec.preserve_host,
            put=place.headers.set,
            remove=place.headers.remove,
        )
        return Place(
            address,
            crossing,
            Pool(),
            tls=self._tls(spec.id) if address.scheme == b"https" else None,
            connect_timeout=spec.connect_timeout,
            response_timeout=spec.response_timeout,
        )

    def _tls(self, service: str) -> ssl.SSLContext:
        context = self._contexts.get(service)
        if context is None:
            context = self._contexts[service] = upstream_tls(service, True)
        return context


def upstream_tls(id_: str, verify: bool | str) -> ssl.SSLContext:
    """TLS towards an https upstream. ALPN says what is spoken: some servers would choose HTTP/2 else."""
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotStart(f"services.{id_}.tls_verify {verify} cannot be read: {reason}") from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
