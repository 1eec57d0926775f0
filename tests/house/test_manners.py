"""Rules of the house that no linter knows."""

import ast

import pytest

from tests.house.tree import name_of, sources

# Tasks are born in TaskGroups. Each exception says who awaits or fences its task.
BIRTHS = {"create_task", "ensure_future", "gather"}
BORN_IN = {
    "hestia/launchers/engine_api.py": "a start that the engine carries on is awaited, bounded, by whoever is cancelled",
    "hestia/fence.py": "the fence itself: keeps, logs and cancels what a door began",
    "hestia/plugins/strategy.py": "an async strategy that ignores its cancellation must not hold the request that asked",
    "hestia/roof/run.py": "closing against a second signal; both are awaited on the spot, or the process ends",
}
DRAWERS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc", "tools"}
MUTABLE = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp


def births(tree: ast.AST) -> list[int]:
    """Lines that make a task outside a TaskGroup: one that is held by a name like `group` or `tasks` is a TaskGroup."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in BIRTHS
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in {"group", "tasks"})
    ]


def state(tree: ast.Module) -> list[str]:
    """Names on module level that hold something mutable and are not written as constants."""
    found = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if isinstance(getattr(node, "value", None), MUTABLE):
            found += [name for name in names if not name.strip("_").isupper() and name != "__all__"]
    return found


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_task_is_born_in_a_group_or_at_a_listed_place(path):
    assert name_of(path) in BORN_IN or births(ast.parse(path.read_text())) == []


def test_no_listed_place_outlives_its_reason():
    files = {name_of(path): path for path in sources()}
    assert [name for name in BORN_IN if name not in files or not births(ast.parse(files[name].read_text()))] == []


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_module_holds_no_state(path):
    tree = ast.parse(path.read_text())
    assert state(tree) == []
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)] == []


def test_no_file_is_a_drawer():
    assert [name_of(path) for path in sources() if path.stem in DRAWERS] == []
