"""Keys that had another name in an earlier version."""

from typing import Final

RENAMED: Final[dict[str, str]] = {}
"""An old key and its new name, for one minor version: {"services.*.old": "new"}."""
