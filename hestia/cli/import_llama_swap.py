"""`hestia import llama-swap FILE`: our configuration on standard output, what is not carried over on the other."""

import sys
from collections.abc import Mapping
from pathlib import Path

from hestia.roof.config import load_text
from hestia.rules.llama_swap import imported
from hestia.rules.llama_swap_file import as_file, as_mistakes
from hestia.rules.marks import MAX_BYTES, ConfigError, compose
from hestia.rules.plain import plain_value
from hestia.wire import DONE, FAILED, USAGE


def run_import(file: str, environ: Mapping[str, str]) -> int:
    """Print the configuration. Exits 1 when `hestia check` would not take it as it is, 2 when the file is none."""
    try:
        text = _read(file)
        composed = compose(text, file)
        if composed.mistakes or composed.node is None:
            raise ConfigError(composed.mistakes)
        made = imported(plain_value(composed.node))
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        words = problem.strerror if isinstance(problem, OSError) else str(problem)
        print(f"{file}: {words}" if isinstance(problem, OSError) else f"{file} {words}", file=sys.stderr)
        return USAGE
    except ConfigError as error:
        print("\n".join(map(str, error.mistakes)) or f"{file} is empty", file=sys.stderr)
        return USAGE
    result = as_file(made, file)
    print(result, end="")
    for mistake in as_mistakes(made, composed.node, file):
        print(mistake, file=sys.stderr)
    return _checked(result, environ)


def _read(file: str) -> str:
    data = sys.stdin.buffer.read(MAX_BYTES + 1) if file == "-" else _bytes(Path(file))
    if len(data) > MAX_BYTES:
        raise ValueError(f"is too large: more than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _checked(result: str, environ: Mapping[str, str]) -> int:
    """What `hestia check` says of it: mostly a variable that is not set here."""
    try:
        load_text(result, name="hestia_config.yml", environ=environ)
    except ConfigError as error:
        print("\nIn the result, `hestia check` finds:", file=sys.stderr)
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)
        return FAILED
    return DONE
