"""Credentials for a cluster: its TLS context and the headers of each request; a plugin is run as `kubectl` does."""

from __future__ import annotations

import base64
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from hestia.launchers.environment import scrubbed
from hestia.launchers.json_api import Tls
from hestia.launchers.kubeconfig import Cluster, Exec, Target, User, pem
from hestia.launchers.last_words import harmless, why_not
from hestia.launchers.program import call
from hestia.ports import LaunchFailed

PLUGIN_S: Final = 30.0
GROUP: Final = "client.authentication.k8s.io/"
VERSIONS: Final = (f"{GROUP}v1", f"{GROUP}v1beta1")
EARLY_S: Final = 30.0  # a credential that ends so soon is asked for anew


class Access(NamedTuple):
    """How a cluster is asked. Nothing of it stands in any text."""

    server: str
    headers: Mapping[str, str] = {}
    tls: Tls | None = None

    @property
    def secrets(self) -> list[str]:
        return [word for value in self.headers.values() for word in value.split()]


class Credential(Struct, frozen=True, rename="camel"):
    """What a plugin gave."""

    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Given(Struct, frozen=True):
    status: Credential


def access(target: Target, given: Credential | None = None) -> Access:
    """Reads files: not for the loop. Raises LaunchFailed."""
    server = target.cluster.server.rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise LaunchFailed(f"the server of the context `{target.name}` is no URL")
    if not server.startswith("https://"):
        return Access(server)  # neither token nor certificate goes over an open line
    context = _tls(target.cluster, *_certificate(target.user, given))
    return Access(server, _headers(target.user, given), Tls(context, target.cluster.tls_server_name))


def _headers(user: User, given: Credential | None) -> dict[str, str]:
    token = given.token if given is not None else _token(user)
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user.username:
        pair = base64.b64encode(f"{user.username}:{user.password or ''}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _token(user: User) -> str | None:
    """A pod's file is read each time: its token is renewed there."""
    if user.token_file is None:
        return user.token
    try:
        return Path(user.token_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = why_not(error) if isinstance(error, OSError) else "it is no text"
        raise LaunchFailed(f"the token file {user.token_file} cannot be read: {reason}") from error


def _certificate(user: User, given: Credential | None) -> tuple[bytes | None, bytes | None]:
    if given is not None and given.client_certificate_data:
        return given.client_certificate_data.encode(), (given.client_key_data or "").encode()
    return (
        pem(user.client_certificate_data, user.client_certificate, "client certificate"),
        pem(user.client_key_data, user.client_key, "client key"),
    )


def _tls(cluster: Cluster, certificate: bytes | None, key: bytes | None) -> ssl.SSLContext:
    ca = pem(cluster.certificate_authority_data, cluster.certificate_authority, "certificate authority")
    try:
        context = ssl.create_default_context(cadata=ca.decode() if ca is not None else None)
        # The default from Python 3.13 on; authorities of clusters often lack what it asks for, and kubectl takes them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cluster.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            _load(context, certificate + b"\n" + (key or b""))
    except (ssl.SSLError, ValueError) as error:
        raise LaunchFailed("a certificate or key of the kubeconfig is no PEM text") from error
    return context


def _load(context: ssl.SSLContext, both: bytes) -> None:
    """Python loads a certificate from a file only: one that nobody else may read, and only for this moment."""
    with tempfile.NamedTemporaryFile(prefix="hestia-") as file:
        file.write(both)
        file.flush()
        context.load_cert_chain(file.name, password=_no_password)


def _no_password() -> str:
    """OpenSSL would ask the terminal, and the gateway would wait."""
    raise LaunchFailed("the client key of the kubeconfig is encrypted, and nobody can be asked for its password")


class Plugins:
    """What each context's plugin gave, for as long as it holds."""

    def __init__(self, environ: Mapping[str, str], wall: Callable[[], float] = time.time) -> None:
        self._environ = environ
        self._wall = wall
        self._given: dict[Target, Credential] = {}

    async def credential(self, target: Target) -> Credential | None:
        """Raises LaunchFailed with the plugin's own last words."""
        plugin = target.user.exec
        if plugin is None:
            return None
        given = self._given.get(target)
        if given is None or self._is_over(given):
            given = self._given[target] = await self._run(target, plugin)
        return given

    def forget(self, target: Target) -> bool:
        """It is not accepted any more. Whether asking again may give another one."""
        return self._given.pop(target, None) is not None

    def _is_over(self, given: Credential) -> bool:
        end = given.expiration_timestamp
        return end is not None and end.timestamp() - EARLY_S < self._wall()

    async def _run(self, target: Target, plugin: Exec) -> Credential:
        if plugin.api_version not in VERSIONS:
            raise LaunchFailed(f"the plugin {plugin.command} speaks `{plugin.api_version}`, not one of {VERSIONS}")
        if plugin.interactive_mode == "Always":
            raise LaunchFailed(f"the plugin {plugin.command} wants a terminal (interactiveMode), and there is none")
        argv = (plugin.command, *(plugin.args or ()))
        said = await _called(argv, self._environment(target, plugin), plugin)
        if said.code != 0:
            words = harmless((said.err or said.out).splitlines(), {})
            raise LaunchFailed(f"the plugin {plugin.command} exited with code {said.code}: {words}")
        return _read(said.out, plugin)

    def _environment(self, target: Target, plugin: Exec) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": False}
        if plugin.provide_cluster_info:
            spec["cluster"] = _info(target.cluster)
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        own = {each.name: each.value for each in plugin.env or ()}
        return scrubbed(self._environ, (), own | {"KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()})


async def _called(argv: tuple[str, ...], env: Mapping[str, str], plugin: Exec) -> Any:
    try:
        return await call(argv, env, PLUGIN_S)
    except LaunchFailed as failed:
        hint = f". {' '.join(plugin.install_hint.split())}" if plugin.install_hint else ""
        raise LaunchFailed(f"the plugin {failed}{hint}") from failed


def _read(out: str, plugin: Exec) -> Credential:
    try:
        given = msgspec.json.decode(out, type=_Given).status
    except (msgspec.DecodeError, RecursionError):
        raise LaunchFailed(f"the plugin {plugin.command} gave no credential") from None  # its words may hold one
    end = given.expiration_timestamp
    if end is not None and end.tzinfo is None:
        given = msgspec.structs.replace(given, expiration_timestamp=end.replace(tzinfo=UTC))
    if not given.token and not given.client_certificate_data:
        raise LaunchFailed(f"the plugin {plugin.command} gave neither a token nor a certificate")
    return given


def _info(cluster: Cluster) -> dict[str, Any]:
    ca = pem(cluster.certificate_authority_data, cluster.certificate_authority, "certificate authority")
    found = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify or None,
        "certificate-authority-data": base64.b64encode(ca).decode() if ca is not None else None,
    }
    return {key: value for key, value in found.items() if value is not None}
