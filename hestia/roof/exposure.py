"""Who could use the services: what the log says, at the start and after a reload, while auth is off."""

import contextlib
import ipaddress

from hestia.rules.addresses import TcpAddress, parse_listen
from hestia.rules.gate import auth_is_on
from hestia.telemetry.log import Log
from hestia.words.spec import Config


def warn_of_no_auth(config: Config, log: Log) -> None:
    """Louder where other machines can reach it. Nothing while auth is on."""
    if auth_is_on(config.auth):
        return
    if beyond_loopback(config):
        detail = "auth is off and an address beyond loopback is listened on: whoever can reach it may use every service"
        log.event("gateway.warning", "error", detail=detail)
    else:
        detail = "auth is off: every program on this machine may use every service"
        log.event("gateway.warning", "warning", detail=detail)


def beyond_loopback(config: Config) -> bool:
    """Does any address take connections from other machines?"""
    texts = [*config.listen, *config.admin_listen]
    texts += [text for service in config.services.values() for text in service.listen]
    addresses = [parse_listen(text) for text in texts]
    return any(isinstance(each, TcpAddress) and not _is_loopback(each.host) for each in addresses)


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False
