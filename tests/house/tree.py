"""The files of the repository, as the tests of the house see them."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHES = {".git", ".make", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"}


def every_file() -> list[Path]:
    """What git knows or would add; in a tree without git, all but caches."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
        return [path for path in paths if path.is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not cached(path)]


def cached(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return bool(CACHES & set(parts)) or parts[0].startswith(".venv") or ".egg-info" in str(path)


def sources() -> list[Path]:
    return sorted((ROOT / "hestia").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions; relative imports are not allowed."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            found.add(node.module or "")
            if node.module == "hestia" or (node.module or "").startswith("hestia."):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
