"""What exists without being said: `ollama`, and without any configuration `demo` too."""

from hestia.rules.decode import BUILT_IN
from hestia.rules.marks import Entry, Mapping, Mark, Node, Scalar, Sequence

OLLAMA_URL = "http://127.0.0.1:11434"
_MARK = Mark(BUILT_IN)


def _tree(value: object) -> Node:
    if isinstance(value, dict):
        return Mapping(_MARK, {key: Entry(_MARK, _tree(one)) for key, one in value.items()})
    if isinstance(value, list):
        return Sequence(_MARK, [_tree(one) for one in value])
    return Scalar(_MARK, str(value), plain=False)


def without_config() -> Mapping:
    """The tree that stands for no configuration file."""
    return Mapping(_MARK, {"services": Entry(_MARK, _services({"ollama": _ollama(), "demo": _demo()}))})


def _ollama() -> Node:
    return _tree({"base_url": OLLAMA_URL})


def _demo() -> Node:
    return _tree(
        {"launch": {"kind": "process", "command": ["hestia", "demo", "--port", "{port}"]}, "idle_timeout": "1m"}
    )


def _services(services: dict[str, Node]) -> Mapping:
    return Mapping(_MARK, {service_id: Entry(_MARK, node) for service_id, node in services.items()})


def with_ollama(root: Node) -> Node:
    """A file's tree, with `ollama` in it unless it says `ollama: null`, and with its address unless it has one."""
    if not isinstance(root, Mapping):
        return root
    services = root.entries.get("services", Entry(_MARK, _services({})))
    node = services.node
    if isinstance(node, Scalar) and node.null:
        node = _services({})
    if not isinstance(node, Mapping):
        return root
    entries = {**node.entries, "ollama": _filled(node.entries.get("ollama"))}
    filled = Entry(services.mark, Mapping(node.mark, entries, node.weight))
    return Mapping(root.mark, {**root.entries, "services": filled}, root.weight)


def _filled(ollama: Entry | None) -> Entry:
    if ollama is None:
        return Entry(_MARK, _ollama())
    node = ollama.node
    if not isinstance(node, Mapping) or {"base_url", "places"} & node.entries.keys() or _has_own_port(node):
        return ollama
    address = Entry(_MARK, Scalar(_MARK, OLLAMA_URL, plain=False))
    return Entry(ollama.mark, Mapping(node.mark, {**node.entries, "base_url": address}, node.weight))


def _has_own_port(node: Node) -> bool:
    """Whether its launcher chooses the address: `{port}` or `{socket}` stands in it."""
    if isinstance(node, Scalar):
        return "{port}" in node.text or "{socket}" in node.text
    if isinstance(node, Sequence):
        return any(map(_has_own_port, node.items))
    return any(_has_own_port(entry.node) for entry in node.entries.values())
