"""Which cluster, and who we are there: the kubeconfig as `kubectl` reads it, or what every pod finds beside itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml
from msgspec import Struct, field

from hestia.launchers.last_words import why_not
from hestia.ports import LaunchFailed

IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LONGEST: Final = 4 * 1024 * 1024
NOTHING: Final = ("", "null", "~")
# Every scalar stays the text that stands there: a token of digits is no number.
LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Cluster(Struct, frozen=True, kw_only=True, rename="kebab"):
    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None


class Variable(Struct, frozen=True):
    name: str
    value: str = ""


class Exec(Struct, frozen=True, kw_only=True, rename="camel"):
    """A program that gives the credentials."""

    command: str
    args: tuple[str, ...] | None = None
    env: tuple[Variable, ...] | None = None
    api_version: str = ""
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str | None = None


class User(Struct, frozen=True, kw_only=True, rename="kebab"):
    token: str | None = None
    token_file: str | None = field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: Exec | None = None
    auth_provider: Any = None
    as_: str | None = field(default=None, name="as")


class Context(Struct, frozen=True, kw_only=True):
    cluster: str = ""
    user: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """One context, put together. Paths in it are absolute."""

    name: str
    cluster: Cluster
    user: User = User()


class _Files(Struct, frozen=True):
    """All files as one: of two things with one name the first counts."""

    clusters: dict[str, Cluster]
    users: dict[str, User]
    contexts: dict[str, Context]
    current: str


T = TypeVar("T")


def find(environ: Mapping[str, str], context: str | None, pod: Path = IN_CLUSTER) -> Target:
    """The context that is named, else the current one, else the cluster that we run in. Raises LaunchFailed."""
    paths = _paths(environ)
    there = [path for path in paths if path.is_file()]
    if there:
        return _target(_read_all(there), context, there)
    if context is None and environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG"):
        return in_cluster(environ, pod)
    looked = ", ".join(map(str, paths))
    raise LaunchFailed(f"no kubeconfig: there is no {looked} (KUBECONFIG names another), and this is no pod")


def in_cluster(environ: Mapping[str, str], pod: Path) -> Target:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not (pod / "token").is_file():
        raise LaunchFailed(f"this pod has no service account: there is no {pod}/token (automountServiceAccountToken)")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = Cluster(server=server, certificate_authority=str(pod / "ca.crt"))
    return Target(name="the cluster it runs in", cluster=cluster, user=User(token_file=str(pod / "token")))


def _paths(environ: Mapping[str, str]) -> list[Path]:
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(":") if part]
    return named or [Path(environ.get("HOME") or "~").expanduser() / ".kube" / "config"]


def _read_all(paths: Sequence[Path]) -> _Files:
    files = [_read(path) for path in paths]
    merged = _Files({}, {}, {}, next((each.current for each in files if each.current), ""))
    for each in reversed(files):
        merged.clusters.update(each.clusters)
        merged.users.update(each.users)
        merged.contexts.update(each.contexts)
    return merged


def _read(path: Path) -> _Files:
    try:
        with path.open("rb") as file:
            said = yaml.load(file.read(LONGEST), Loader=LOADER) or {}  # noqa: S506 -- makes texts, lists and maps only
        folder = path.absolute().parent
        return _Files(
            {name: _with_folder(each, folder) for name, each in _named(said, "clusters", "cluster", Cluster)},
            {name: _with_folder(each, folder) for name, each in _named(said, "users", "user", User)},
            dict(_named(said, "contexts", "context", Context)),
            str(said.get("current-context") or ""),
        )
    except OSError as error:
        raise LaunchFailed(f"{path} cannot be read: {why_not(error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
        # `from None`: the words of these errors hold a part of the file.
        raise LaunchFailed(f"{path} is no kubeconfig: `kubectl config view` says what is wrong with it") from None


def _named(said: dict[str, Any], key: str, one: str, kind: type[T]) -> list[tuple[str, T]]:
    entries = _said(said).get(key, [])
    return [(each["name"], msgspec.convert(_said(each).get(one, {}), kind, strict=False)) for each in entries]


def _said(found: Any) -> Any:
    """`null` is text as everything here, and an empty value means what a missing one does."""
    if isinstance(found, dict):
        return {key: _said(value) for key, value in found.items() if value not in NOTHING}
    return [_said(each) for each in found] if isinstance(found, list) else found


PATHS: Final = ("certificate_authority", "client_certificate", "client_key", "token_file")


def _with_folder(thing: T, folder: Path) -> T:
    """Relative paths are relative to the file that says them."""
    said: Any = thing
    paths = {name: str(folder / path) for name in PATHS if (path := getattr(said, name, None))}
    run = getattr(said, "exec", None)
    if run is not None and "/" in run.command:
        paths["exec"] = msgspec.structs.replace(run, command=str(folder / run.command))
    return msgspec.structs.replace(said, **paths) if paths else thing


def _target(files: _Files, named: str | None, paths: Sequence[Path]) -> Target:
    name, where = named or files.current, ", ".join(map(str, paths))
    if not name:
        raise LaunchFailed(f"{where} has no current context: name one as `launch.context`")
    context = files.contexts.get(name)
    if context is None:
        known = f"; there are: {', '.join(sorted(files.contexts))}" if files.contexts else ""
        raise LaunchFailed(f"{where} has no context `{name}`{known}")
    cluster = files.clusters.get(context.cluster)
    if cluster is None or not cluster.server:
        raise LaunchFailed(f"{where}: the cluster `{context.cluster}` of the context `{name}` has no server")
    if context.user and context.user not in files.users:
        raise LaunchFailed(f"{where}: the user `{context.user}` of the context `{name}` is not there")
    return _usable(Target(name=name, cluster=cluster, user=files.users.get(context.user, User())))


def _usable(target: Target) -> Target:
    """What would be ignored is said instead."""
    unknown = {
        "proxy-url": target.cluster.proxy_url,
        "auth-provider": target.user.auth_provider,
        "as": target.user.as_,
    }
    for key, value in unknown.items():
        if value:
            raise LaunchFailed(f"the context `{target.name}` says `{key}`, which Hestia does not understand")
    return target


def pem(data: str | None, path: str | None, what: str) -> bytes | None:
    """What stands in the file itself goes before the file that it names."""
    if data:
        try:
            return base64.b64decode(data)
        except binascii.Error:
            raise LaunchFailed(f"the {what} in the kubeconfig is no base64") from None
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LaunchFailed(f"the {what} {path} cannot be read: {why_not(error)}") from error
