"""The routes of the configuration, compiled: which of them a request's head fits, and what they ask of its body.

A route fits when all that it names fits. What only the body can tell (`json`, and the model that a strategy goes by) is
asked for in the order of the routes: a body is read no further than the first route that fits needs it.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl

from hestia.rules.json_search import JsonSearch
from hestia.rules.multipart_search import MultipartSearch, boundary_of
from hestia.rules.no_wake import glob
from hestia.rules.routing import host_fits, host_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hestia.words.spec import Route

MODEL: Final = "model"
BY_MODEL: Final = "by_model"
LONGEST_MODEL: Final = 512


class Head(Protocol):
    """What is asked of a request's head (h1/request.py)."""

    @property
    def name(self) -> bytes: ...
    @property
    def length(self) -> int: ...
    def header(self, name: bytes, /) -> bytes | None: ...


class Rule:
    """One route."""

    __slots__ = ("by_model", "fields", "number", "service", "spec", "_headers", "_host", "_methods", "_path")  # noqa: RUF023

    def __init__(self, number: int, spec: Route) -> None:
        match = spec.match
        self.number = number
        self.spec = spec
        self.service = spec.service
        self.by_model = spec.strategy is not None and spec.strategy.name == BY_MODEL
        self.fields = {name: re.compile(translate(value)) for name, value in match.json.items()}
        self._host = host_key(match.host).split(b".") if match.host is not None else None
        self._path = glob(match.path) if match.path is not None else None
        # HEAD is answered wherever GET is.
        self._methods = {each.encode() for each in match.method} | ({b"HEAD"} if "GET" in match.method else set())
        self._headers = [(name.lower().encode(), glob(value)) for name, value in match.header.items()]

    def fits(self, method: bytes, path: bytes, head: Head) -> bool:
        """As far as the head says. `path` is without the query."""
        if self._path is not None and self._path.fullmatch(path) is None:
            return False
        if self._methods and method not in self._methods:
            return False
        if self._host is not None and not host_fits(self._host, head.name.split(b".")):
            return False
        for name, pattern in self._headers:
            value = head.header(name)
            if value is None or pattern.fullmatch(value) is None:
                return False
        return True

    @property
    def why(self) -> str:
        """What it asks for, for the log."""
        match = self.spec.match
        words = [f"host {match.host}"] if match.host else []
        words += [f"path {match.path}"] if match.path else []
        words += [f"method {', '.join(match.method)}"] if match.method else []
        words += [f"header {name}: {value}" for name, value in match.header.items()]
        words += [f"json {name}: {value}" for name, value in match.json.items()]
        return "; ".join(words) or "everything"


class Rules:
    """All routes, in their order. Replaced whole on reload."""

    __slots__ = ("all",)

    def __init__(self, routes: Sequence[Route]) -> None:
        self.all = [Rule(number, route) for number, route in enumerate(routes)]

    def fitting(self, method: bytes, path: bytes, head: Head) -> list[Rule]:
        """Those that the head fits. What stands behind one that fits without a further question is left out."""
        found = []
        for rule in self.all:
            if rule.fits(method, path, head):
                found.append(rule)
                if rule.service is not None and not rule.fields:
                    break
        return found


class Reading:
    """What is known of a request's content so far, as far as these routes ask for it."""

    __slots__ = ("_form", "_json", "_query", "broken_off", "over", "wanted")

    def __init__(self, rules: Sequence[Rule], head: Head, target: bytes) -> None:
        names = {name for rule in rules for name in rule.fields}
        models = any(rule.service is None for rule in rules)
        boundary = boundary_of(head.header(b"content-type") or b"") if head.length else None
        self._form = MultipartSearch(boundary, MODEL) if boundary is not None and models else None
        self._json = JsonSearch(names | ({MODEL} if models else set())) if boundary is None else None
        self._query = model_of_query(target) if models else None
        self.over = not head.length
        self.broken_off = False
        """More of the body would have had to be read than is allowed."""

    def feed(self, content: bytes) -> None:
        """More of the body, without its framing."""
        for search in (self._form, self._json):
            if search is not None and not search.done:
                search.feed(content)

    def end(self) -> None:
        """The body is over."""
        self.over = True

    def break_off(self) -> None:
        """No more of it may be read."""
        if not self.over:
            self.over = self.broken_off = True

    def known(self, rule: Rule) -> bool:
        """Whether it can be told now if this route fits, and by which model."""
        if self.over or (not rule.fields and rule.service is not None):
            return True
        if self._form is not None:
            return bool(rule.fields) or self._form.done
        search = self._json
        if search is None or search.done or self._misses(rule, search):
            return True
        wanted = set(rule.fields) | ({MODEL} if rule.service is None else set())
        return wanted <= search.found.keys()

    @staticmethod
    def _misses(rule: Rule, search: JsonSearch) -> bool:
        found = search.found
        return any(name in found and not _fits(pattern, found[name]) for name, pattern in rule.fields.items())

    def fits(self, rule: Rule) -> bool:
        """Whether the body has what the route asks for."""
        if not rule.fields:
            return True
        if self._json is None:
            return False
        found = self._json.found
        return all(_fits(pattern, found.get(name)) for name, pattern in rule.fields.items())

    @property
    def model(self) -> str | None:
        """The body's; where that names none the query's."""
        named = self._form.value if self._form is not None else None
        if self._json is not None:
            named = self._json.found.get(MODEL)
        return named or self._query


def _fits(pattern: re.Pattern[str], value: str | None) -> bool:
    return value is not None and pattern.fullmatch(value) is not None


def model_of_query(target: bytes) -> str | None:
    """The query parameter `model`."""
    _, mark, query = target.partition(b"?")
    if not mark or MODEL.encode() not in query:
        return None
    pairs = parse_qsl(query.decode("latin-1"), max_num_fields=None)
    return next((value for name, value in pairs if name == MODEL), None)
