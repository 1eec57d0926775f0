"""Which models of llama-swap run together, as room on a machine: groups and sets become resources with a capacity.

Two models that never run together share a resource that only one of them fits into. Resources are found as cliques of
the models that are in each other's way, so that a group of ten that swap needs one resource and not forty-five.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Final, NamedTuple

MOST_COMBINATIONS: Final = 5000
DEEPEST: Final = 50
_TOKEN: Final = re.compile(r"\s*(?:([A-Za-z0-9_.-]+)|(\+[A-Za-z0-9_.-]+)|([&|()]))")


class Group(NamedTuple):
    """Models that llama-swap treats alike."""

    id: str
    members: tuple[str, ...]
    swap: bool = True  # one of them at a time
    exclusive: bool = True  # a start here ends what runs in other groups
    persistent: bool = False  # but for what runs here


Pairs = set[frozenset[str]]


def groups_of(said: Mapping[str, Any], models: Sequence[str]) -> list[Group]:
    """With llama-swap's own group for all that stand in none."""
    groups = [
        Group(
            id_,
            tuple(member for member in map(str, each.get("members") or ()) if member in models),
            swap=each.get("swap", True) is not False,
            exclusive=each.get("exclusive", True) is not False,
            persistent=each.get("persistent", False) is True,
        )
        for id_, each in said.items()
        if isinstance(each, dict)
    ]
    grouped = {member for group in groups for member in group.members}
    rest = tuple(model for model in models if model not in grouped)
    return [*groups, Group("(default)", rest)] if rest else groups


def apart_in_groups(groups: Sequence[Group]) -> Pairs:
    """Models that never run at a time. Groups where only one of two ends the other's do run at a time, in one order."""
    apart: Pairs = set()
    for group in groups:
        if group.swap:
            apart |= {frozenset(pair) for pair in combinations(group.members, 2)}
    for one, other in combinations(groups, 2):
        if _ends(one, other) and _ends(other, one):
            apart |= {frozenset(pair) for pair in product(one.members, other.members)}
    return apart


def one_sided(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Groups of which the first ends the second's models, and not the other way round."""
    both = [(one, other) for pair in combinations(groups, 2) for one, other in (pair, pair[::-1])]
    return [(one.id, other.id) for one, other in both if _ends(one, other) and not _ends(other, one)]


def _ends(one: Group, other: Group) -> bool:
    return one.exclusive and not other.persistent


def apart_in_sets(together: Iterable[frozenset[str]], models: Sequence[str]) -> Pairs:
    """Models that no set holds both of. One that stands in no set runs alone."""
    allowed = {frozenset(pair) for each in together for pair in combinations(sorted(each), 2)}
    return {frozenset(pair) for pair in combinations(models, 2)} - allowed


def too_many(together: Sequence[frozenset[str]], models: Sequence[str]) -> list[tuple[str, ...]]:
    """Three that may run two by two and not all at a time: pairs do not tell that."""
    pairs = {frozenset(pair) for each in together for pair in combinations(sorted(each), 2)}
    used = [model for model in models if any(model in each for each in together)]
    return [
        three
        for three in combinations(used, 3)
        if all(frozenset(pair) in pairs for pair in combinations(three, 2))
        and not any(set(three) <= each for each in together)
    ]


def sets_of(said: Mapping[str, str], names: Mapping[str, str]) -> list[frozenset[str]]:
    """All combinations that the sets name. Raises ValueError with words that follow the set's name."""
    found: dict[frozenset[str], None] = {}
    for name in said:
        for each in _Expression(said, names).set(name):
            found[frozenset(names[short] for short in each)] = None
    return list(found)


Sets = list[frozenset[str]]


class _Expression:
    """`(a | b) & c`, `+other & d`: what runs together, and the choices."""

    def __init__(self, said: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._said = said
        self._names = names
        self._tokens: list[str] = []

    def set(self, name: str, depth: int = 0) -> Sets:
        if name not in self._said:
            raise ValueError(f"there is no set {name}")
        if depth > DEEPEST:
            raise ValueError("goes in a circle")
        inner = _Expression(self._said, self._names)
        inner._tokens = _tokens(self._said[name])  # noqa: SLF001 -- another one of itself
        found = inner._choice(depth)  # noqa: SLF001 -- as above
        if inner._tokens:  # noqa: SLF001 -- as above
            raise ValueError(f"has a `{inner._tokens[0]}` where none belongs")  # noqa: SLF001 -- as above
        return found

    def _choice(self, depth: int) -> Sets:
        found = self._both(depth)
        while self._tokens[:1] == ["|"]:
            self._tokens.pop(0)
            found = found + self._both(depth)
        return found

    def _both(self, depth: int) -> Sets:
        found = self._one(depth)
        while self._tokens[:1] == ["&"]:
            self._tokens.pop(0)
            found = [one | other for one, other in product(found, self._one(depth))]
            if len(found) > MOST_COMBINATIONS:
                raise ValueError(f"is more than {MOST_COMBINATIONS} combinations")
        return found

    def _one(self, depth: int) -> Sets:
        token = self._tokens.pop(0) if self._tokens else "its end"
        if token == "(" and depth < DEEPEST:
            found = self._choice(depth + 1)
            if self._tokens[:1] != [")"]:
                raise ValueError("leaves a bracket open")
            self._tokens.pop(0)
            return found
        if token.startswith("+"):
            return self.set(token[1:], depth + 1)
        if token not in self._names:
            raise ValueError(f"has a `{token}` that `vars` does not name")
        return [frozenset({token})]


def _tokens(said: str) -> list[str]:
    tokens, at, said = [], 0, said.rstrip()
    while at < len(said):
        found = _TOKEN.match(said, at)
        if found is None:
            raise ValueError(f"has a `{said[at:].lstrip()[:1]}` where none belongs")
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


def resources(apart: Pairs, groups: Sequence[Group] = ()) -> dict[str, list[str]]:
    """A name for each clique, with its models. A clique that is one group's is called as that group."""
    found: dict[str, list[str]] = {}
    for clique in _cliques(apart):
        group = next((each.id for each in groups if set(each.members) == set(clique)), "")
        name = group if re.fullmatch(r"[A-Za-z0-9_-]+", group) and group not in found else "slots"
        number = 2
        while name in found:
            name, number = f"slots-{number}", number + 1
        found[name] = clique
    return found


def _cliques(apart: Pairs) -> list[list[str]]:
    """Cliques that cover every pair, large ones first where names allow; not always the fewest."""
    left = sorted(tuple(sorted(pair)) for pair in apart)
    models = sorted({model for pair in apart for model in pair})
    near = {model: {other for pair in apart if model in pair for other in pair} for model in models}
    covered: Pairs = set()
    cliques = []
    for pair in left:
        if frozenset(pair) in covered:
            continue
        clique = list(pair)
        for model in models:
            if model not in clique and all(other in near[model] for other in clique):
                clique.append(model)
        covered |= {frozenset(each) for each in combinations(clique, 2)}
        cliques.append(sorted(clique))
    return cliques
