"""The known name nearest to a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64


def nearest(word: str, known: Iterable[str]) -> str | None:
    """None where nothing is near; a longer word than any id is near to nothing, and costs nothing."""
    if len(word) > _LONGEST:
        return None
    lowered = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
