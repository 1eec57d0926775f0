"""The path of a key, as people read it and as the table of `words.renamed` names it."""

Path = tuple[str | int, ...]
_LONGEST_PLAIN = 64
_LONGEST_SHOWN = 40


def short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def quoted(text: str) -> str:
    """A text of the user's for a message: short, on one line, harmless on a terminal."""
    shown = "".join(character if character.isprintable() else "�" for character in short(text))
    return f'"{shown}"'


def shown_path(path: Path) -> str:
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += ("." if words else "") + (part if _plain(part) else quoted(part))
    return words


def _plain(key: str) -> bool:
    return 0 < len(key) <= _LONGEST_PLAIN and key.isascii() and key.replace("_", "").replace("-", "").isalnum()


def pattern_of(path: Path) -> str:
    """`services.*.keep_warm` for the key of any service, in `defaults` too."""
    parts = [part for part in path if isinstance(part, str)]
    if parts and parts[0] == "defaults":
        parts[:1] = ["services", "*"]
    elif len(parts) > 1 and parts[0] in ("services", "machines"):
        parts[1] = "*"
    return ".".join(parts)
