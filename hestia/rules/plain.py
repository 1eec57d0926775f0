"""Values that no key describes (options, JSON bodies): what a plain scalar means by YAML 1.2's core schema."""

import re
from typing import Any

from hestia.rules.marks import Node, Scalar, Sequence

_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,300}|[0-9]{1,300}(?:\.[0-9]{0,300})?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def plain_value(node: Node) -> Any:
    if isinstance(node, Scalar):
        return _scalar(node)
    if isinstance(node, Sequence):
        return [plain_value(item) for item in node.items]
    return {key: plain_value(entry.node) for key, entry in node.entries.items()}


def _scalar(node: Scalar) -> Any:
    """What came from a variable within the file stays text: a value can never become YAML."""
    text = node.text
    if not node.plain or node.tainted:
        return text
    if node.null:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if re.fullmatch(r"0o[0-7]{1,100}", text):
        return int(text, 0)
    if re.fullmatch(r"0x[0-9a-fA-F]{1,100}", text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
