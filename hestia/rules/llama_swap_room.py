"""Which models of llama-swap run together, as room on a machine: groups and sets become resources with a capacity.

Two models that never run together share a resource that only one of them fits into. Resources are found as cliques of
the models that are in each other's way, so that a group of ten that swap needs one resource and not forty-five.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Final, NamedTuple

MOST_COMBINATIONS: Final = 1000
MOST_LOOKED_AT: Final = 40
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
    used = [model for model in models if any(model in each for each in together)][:MOST_LOOKED_AT]
    return [
        three
        for three in combinations(used, 3)
        if all(frozenset(pair) in pairs for pair in combinations(three, 2))
        and not any(set(three) <= each for each in together)
    ]


Sets = list[frozenset[str]]


def sets_of(said: Mapping[str, str], names: Mapping[str, str]) -> Sets:
    """All combinations that the sets name. Raises ValueError with words that follow `sets`."""
    resolver = _Resolver(said, names)
    found = [each for name in said for each in resolver(name)]
    return list(dict.fromkeys(frozenset(names[short] for short in each) for each in found))


class _Resolver:
    """A set by its name, worked out once."""

    def __init__(self, said: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._said = said
        self._names = names
        self._known: dict[str, Sets] = {}
        self._under_way: list[str] = []

    def __call__(self, name: str) -> Sets:
        if name in self._known:
            return self._known[name]
        if name not in self._said:
            raise ValueError(f"there is no set {name!r}")
        if name in self._under_way or len(self._under_way) > DEEPEST:
            raise ValueError(f"{name!r} goes in a circle")
        self._under_way.append(name)
        try:
            self._known[name] = _Expression(_tokens(self._said[name]), self, self._names).whole()
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}") from None
        self._under_way.pop()
        return self._known[name]


class _Expression:
    """`(a | b) & c`, `+other & d`: what runs together, and the choices."""

    def __init__(self, tokens: list[str], resolver: _Resolver, names: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._resolver = resolver
        self._names = names

    def whole(self) -> Sets:
        found = self._choice(0)
        if self._tokens:
            raise ValueError(f"`{self._tokens[0]}` stands where nothing can")
        return found

    def _choice(self, depth: int) -> Sets:
        found = self._both(depth)
        while self._tokens[:1] == ["|"]:
            self._tokens.pop(0)
            found = _bounded([*found, *self._both(depth)])
        return found

    def _both(self, depth: int) -> Sets:
        found = self._one(depth)
        while self._tokens[:1] == ["&"]:
            self._tokens.pop(0)
            found = _bounded([one | other for one, other in product(found, self._one(depth))])
        return found

    def _one(self, depth: int) -> Sets:
        word = self._tokens.pop(0) if self._tokens else ""
        if word == "(" and depth < DEEPEST:
            found = self._choice(depth + 1)
            if self._tokens[:1] != [")"]:
                raise ValueError("a bracket is left open")
            self._tokens.pop(0)
            return found
        if word.startswith("+"):
            return self._resolver(word[1:])
        if word not in self._names:
            raise ValueError(f"`{word}` is none of `vars`" if word else "a model is missing")
        return [frozenset({word})]


def _bounded(found: Sets) -> Sets:
    found = list(dict.fromkeys(found))
    if len(found) > MOST_COMBINATIONS:
        raise ValueError(f"these are more than {MOST_COMBINATIONS} combinations")
    return found


def _tokens(said: str) -> list[str]:
    tokens, at, said = [], 0, said.rstrip()
    while at < len(said):
        found = _TOKEN.match(said, at)
        if found is None:
            raise ValueError(f"`{said[at:].lstrip()[:1]}` stands where nothing can")
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
    near: dict[str, set[str]] = {model: set() for pair in left for model in pair}
    for one, other in left:
        near[one].add(other)
        near[other].add(one)
    models = sorted(near)
    covered: Pairs = set()
    cliques = []
    for pair in left:
        if frozenset(pair) in covered:
            continue
        clique = list(pair)
        for model in models:
            if model not in pair and near[model].issuperset(clique):
                clique.append(model)
        covered |= {frozenset(each) for each in combinations(clique, 2)}
        cliques.append(sorted(clique))
    return cliques
