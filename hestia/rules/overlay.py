"""The environment and the flags, laid over the file's tree before anything is decoded.

What they say gets their name as its mark, so a mistake in it names the variable. The tree is never changed in
place: its nodes may be shared by aliases.
"""

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Table
from typing import NamedTuple, get_args, get_origin

from msgspec import Struct

from hestia.rules.addresses import TcpAddress, UnixAddress, is_own, parse_listen
from hestia.rules.marks import Entry, Mapping, Mark, Mistake, Node, Scalar, Sequence, compose_variable
from hestia.rules.paths import Path, shown_path
from hestia.rules.scalars import SWITCHES
from hestia.rules.shape import hint_at, unwrap, wants_text
from hestia.words.spec import DEFAULT_LISTEN, Document, Machine, Service

PREFIX = "HESTIA__"
_KEYED: dict[str, type[Struct]] = {"services": Service, "machines": Machine}
_SHORT = {
    "BASE_URL": "base_url",
    "HEALTH_URL": "health_url",
    "WARMUP_MS": "warmup_ms",
    "IDLE_TIMEOUT_MS": "idle_timeout_ms",
}
_GLOBAL = {
    "SEMAPHORE_BASE_URL": ("semaphore", "base_url"),
    "SEMAPHORE_API_TOKEN": ("semaphore", "token"),
    "HESTIA_DASHBOARD_USERNAME": ("auth", "dashboard", "username"),
    "HESTIA_DASHBOARD_PASSWORD": ("auth", "dashboard", "password"),
}
_ENABLED = re.compile(r"([A-Z0-9_]+)_SEMAPHORE_ENABLED(?:_FILE)?")


def short_name(service_id: str) -> str:
    """A service's id as it stands in the names of variables."""
    return re.sub(r"[^A-Z0-9]", "_", service_id.upper())


class Said(NamedTuple):
    """A variable's text, by the name it was set under; `secret`: it came out of a file of its own."""

    name: str
    text: str
    secret: bool


class Overlay:
    """One pass of the environment and the flags over a tree."""

    def __init__(
        self, root: Node, environ: Table[str, str], read: Callable[[str], str], machine_names: frozenset[str]
    ) -> None:
        self.root = root
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self._environ = environ
        self._read = read
        self._machine_names = machine_names

    def apply(self, flags: Table[str, object]) -> None:
        for name in sorted({self._plain(name) for name in self._environ if name.startswith(PREFIX)}):
            self._long(name)
        for name, value in flags.items():
            if value is not None:
                self._flag(name, value)
        self._short_names()

    def _plain(self, name: str) -> str:
        return name.removesuffix("_FILE")

    def _get(self, name: str) -> Said | None:
        """A variable, or the file that `<name>_FILE` names; an empty one counts as not set."""
        text, file = self._environ.get(name), self._environ.get(f"{name}_FILE")
        if not file:
            return Said(name, text, secret=False) if text is not None else None
        if text:
            self._mistake(f"{name}_FILE", (), f"is set beside {name}: set one of them")
            return None
        try:
            content = self._read(file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            self._mistake(f"{name}_FILE", (), f"its file cannot be read: {reason}")
            return None
        return Said(f"{name}_FILE", content.removesuffix("\n").removesuffix("\r"), secret=True)

    def _mistake(self, name: str, path: Path, words: str) -> None:
        self.mistakes.append(Mistake(Mark(name), shown_path(path), words))

    def _long(self, name: str) -> None:
        said = self._get(name)
        if said is None:
            return
        path = self._path(name.removeprefix(PREFIX))
        if path is None:
            self._mistake(said.name, (), "is no key: words are joined by two underscores, as in HESTIA__LOG__LEVEL")
            return
        node = self._node(said, path)
        if node is not None:
            self._put(path, node)

    def _path(self, rest: str) -> tuple[str, ...] | None:
        words = rest.split("__")
        first = words[0].lower()
        if first in _KEYED and len(words) > 1:
            service_id, words = self._id(first, rest.partition("__")[2])
            inner = self._cased(_KEYED[first], words)
            return (first, service_id, *inner) if service_id and all(words) else None
        return tuple(self._cased(Document, words)) if all(words) else None

    def _id(self, keyed: str, rest: str) -> tuple[str, list[str]]:
        """The existing id that this names (the longest, for one may hold two underscores), else a new one."""
        known = {short_name(service_id): service_id for service_id in self._ids(keyed)}
        fitting = [name for name in known if rest == name or rest.startswith(f"{name}__")]
        if fitting:
            name = max(fitting, key=len)
            return known[name], [
                word for word in [rest[len(name) + 2 :]] for word in word.split("__")
            ] if rest != name else []
        first, *words = rest.split("__")
        return first.lower().replace("_", "-"), words

    def _cased(self, struct: type[Struct], words: list[str]) -> list[str]:
        """Keys in lower case; of a program's environment as written; of headers with `-` for `_`."""
        path: list[str] = []
        for word in words:
            hint = hint_at(struct, tuple(path))
            tables = [get_args(member) for member in hint.members if get_origin(member) is dict] if hint else []
            if tables and path[-1] == "env":
                path.append(word)
            elif tables and unwrap(tables[0][0]).reads:
                path.append(word.lower().replace("_", "-"))
            else:
                path.append(word.lower())
        return path

    def _node(self, said: Said, path: tuple[str, ...]) -> Node | None:
        """YAML, but where a text is wanted one that is no single YAML value is that text."""
        if path[0] in _KEYED:
            hint = hint_at(_KEYED[path[0]], path[2:])
        else:
            hint = hint_at(Service if path[0] == "defaults" else Document, path[path[0] == "defaults" :])
        texty = wants_text(hint)
        if said.secret and texty:
            return Scalar(Mark(said.name), said.text, plain=False, tainted=True)
        composed = compose_variable(said.text, said.name)
        if texty and (composed.mistakes or not isinstance(composed.node, Scalar)):
            return Scalar(Mark(said.name), said.text, plain=False)
        for mistake in composed.mistakes:
            self._mistake(said.name, path, mistake.words)
        if isinstance(composed.node, Scalar) and said.secret:
            composed.node.tainted = True
        return None if composed.mistakes else composed.node

    def _flag(self, name: str, value: object) -> None:
        path = tuple(name.replace("log_level", "log.level").split("."))
        mark = Mark("--" + name.replace("_", "-").replace(".", "-"))
        if isinstance(value, list | tuple):
            items: list[Node] = [Scalar(mark, str(item), plain=False) for item in value]
            self._put(path, Sequence(mark, items) if items else None)
        else:
            self._put(path, Scalar(mark, str(value), plain=False))

    def _put(self, path: tuple[str, ...], node: Node | None) -> None:
        if node is not None:
            self.root = _placed(self.root, path, node)

    def _ids(self, keyed: str) -> list[str]:
        entry = self.root.entries.get(keyed) if isinstance(self.root, Mapping) else None
        return list(entry.node.entries) if entry and isinstance(entry.node, Mapping) else []

    def _at(self, *path: str) -> Node | None:
        node: Node | None = self.root
        for word in path:
            entry = node.entries.get(word) if isinstance(node, Mapping) else None
            node = entry.node if entry else None
        return node

    def _short_names(self) -> None:
        self._made_by_semaphore()
        for name, path in _GLOBAL.items():
            said = self._get(name)
            if said is not None and said.text:
                self._put(path, Scalar(Mark(said.name), said.text, plain=False, tainted=True))
        self._api_keys()
        listening = self._listening()
        for service_id in self._ids("services"):
            node = self._at("services", service_id)
            if not (isinstance(node, Scalar) and node.null):
                self._service(service_id, listening)

    def _made_by_semaphore(self) -> None:
        """`<SERVICE>_SEMAPHORE_ENABLED=true` also makes a service that is not there."""
        known = {short_name(service_id) for service_id in self._ids("services")}
        for found in filter(None, map(_ENABLED.fullmatch, sorted(self._environ))):
            said = self._get(f"{found[1]}_SEMAPHORE_ENABLED") if found[1] not in known else None
            if said is not None and self._switch(said):
                known.add(found[1])
                service_id = found[1].lower().replace("_", "-")
                self._put(("services", service_id), Mapping(Mark(said.name), {}))

    def _switch(self, said: Said) -> bool:
        if said.text and said.text.lower() not in SWITCHES:
            self._mistake(said.name, (), "is not true or false")
        return SWITCHES.get(said.text.lower(), False)

    def _api_keys(self) -> None:
        said = self._get("HESTIA_API_KEYS")
        if said is None or not said.text.strip():
            return
        mark = Mark(said.name)
        items: list[Node] = []
        for part in filter(None, map(str.strip, said.text.split(","))):
            name, equals, key = part.partition("=")
            if not (name and equals and key):
                self._mistake(said.name, ("auth", "api_keys"), "must be name=key,name=key")
                return
            texts = {"name": Scalar(mark, name, plain=False), "key": Scalar(mark, key, plain=False, tainted=True)}
            items.append(Mapping(mark, {word: Entry(mark, node) for word, node in texts.items()}))
        self._put(("auth", "api_keys"), Sequence(mark, items))

    def _service(self, service_id: str, listening: tuple[TcpAddress | UnixAddress, ...]) -> None:
        prefix = short_name(service_id)
        for suffix, key in _SHORT.items():
            name = f"{prefix}_{suffix}"
            said = self._get(name) if name not in _GLOBAL else None
            if said is None or not said.text:
                continue
            if key.endswith("_url") and self._own(said.text, listening):
                words = "is one of Hestia's own addresses, so it is meant for a client: ignored"
                self.warnings.append(Mistake(Mark(said.name), shown_path(("services", service_id, key)), words))
                continue
            self._put(
                ("services", service_id, key), Scalar(Mark(said.name), said.text, plain=False, tainted=said.secret)
            )
        self._semaphore(service_id, prefix)

    def _own(self, url: str, listening: tuple[TcpAddress | UnixAddress, ...]) -> bool:
        try:
            return is_own(url, listening, self._machine_names)
        except ValueError:
            return False

    def _semaphore(self, service_id: str, prefix: str) -> None:
        launch = ("services", service_id, "launch")
        kind = self._at(*launch, "kind")
        by_semaphore = isinstance(kind, Scalar) and kind.text == "semaphore"
        enabled = self._get(f"{prefix}_SEMAPHORE_ENABLED")
        if enabled is not None and enabled.text and self._switch(enabled) != by_semaphore:
            by_semaphore = not by_semaphore
            mark = Mark(enabled.name)
            made = Mapping(mark, {"kind": Entry(mark, Scalar(mark, "semaphore"))})
            self._put(launch, made if by_semaphore else Scalar(mark, "null"))
        machine = self._get(f"{prefix}_SEMAPHORE_MACHINE_ID")
        if machine is None or not machine.text:
            return
        if by_semaphore:
            self._put((*launch, "machine_id"), Scalar(Mark(machine.name), machine.text, plain=False))
        else:
            words = "does nothing: the service is not started by Semaphore"
            self.warnings.append(Mistake(Mark(machine.name), shown_path(("services", service_id)), words))

    def _listening(self) -> tuple[TcpAddress | UnixAddress, ...]:
        nodes = [self._at("listen"), self._at("admin_listen")]
        nodes += [self._at("services", service_id, "listen") for service_id in self._ids("services")]
        texts = [*_texts(nodes), *(() if nodes[0] else DEFAULT_LISTEN)]
        return tuple(address for text in texts for address in _addresses(text))


def _texts(nodes: Iterable[Node | None]) -> list[str]:
    lists = [node for node in nodes if isinstance(node, Sequence)]
    return [item.text for node in lists for item in node.items if isinstance(item, Scalar)]


def _addresses(text: str) -> list[TcpAddress | UnixAddress]:
    try:
        return [parse_listen(text)]
    except ValueError:
        return []


def _placed(node: Node, path: tuple[str, ...], value: Node) -> Node:
    """A copy of the tree with this value at that path; what stood in the way is replaced."""
    if not path:
        return value
    entries = dict(node.entries) if isinstance(node, Mapping) else {}
    inner = entries[path[0]].node if path[0] in entries else Mapping(value.mark, {})
    entries[path[0]] = Entry(value.mark, _placed(inner, path[1:], value))
    return Mapping(node.mark if isinstance(node, Mapping) else value.mark, entries)
