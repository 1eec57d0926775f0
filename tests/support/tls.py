"""A key pair for tests, valid for a hundred years and for nobody but localhost (openssl req -x509 ... -days 36500)."""

from __future__ import annotations

import ssl
from pathlib import Path

CERTIFICATE = str(Path(__file__).with_name("localhost.crt"))
KEY = str(Path(__file__).with_name("localhost.key"))


def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def client_side() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)
