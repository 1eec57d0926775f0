"""Which service a request is for that names none: what the routes say, in their order, and the strategies they name.

A `Question` is asked again and again while its request's body comes, until it knows; it reads no further than the
first route that fits needs. Where a strategy must be awaited or lists are asked for anew, the door does the waiting.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from hestia.doors.request_view import RequestView, ServedView
from hestia.plugins.strategy import BUILT_IN
from hestia.rules.content import Reading, Rules
from hestia.rules.models import MODELS_PATH, entry, listing, serving, unknown
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hestia.core.service import Service
    from hestia.doors.lists import Lists
    from hestia.h1.request import RequestHead
    from hestia.plugins.strategy import Strategy
    from hestia.relay.place import Relayed
    from hestia.rules.content import Rule
    from hestia.rules.strategies import Served
    from hestia.words.spec import Config

READS: Final = frozenset((b"GET", b"HEAD"))
MODEL_PATH: Final = MODELS_PATH + b"/"


class Step(Enum):
    """What a question needs, or what came of it."""

    CHOSEN = "chosen"  # `relayed` says whom
    BODY = "body"  # more of it
    WAIT = "wait"  # `await question.wait()`, and then go on
    LISTING = "listing"  # `answer` is the whole answer
    NOWHERE = "nowhere"  # no route fits; `refusal`, if any, says more


class Chooser:
    """The routes in force. Replaced whole on reload."""

    def __init__(
        self,
        config: Config,
        services: Mapping[str, Service],
        relayed: Mapping[str, Relayed],
        strategies: Mapping[int, Strategy],
        lists: Lists,
    ) -> None:
        self.rules = Rules(config.routes)
        self.relayed = relayed
        self.strategies = strategies
        self.lists = lists
        self.services: tuple[Served, ...] = tuple(
            ServedView(services[id_], lists.known) for id_ in config.services if id_ in services
        )

    def ask(self, method: bytes, target: bytes, head: RequestHead, opens: Callable[[str], bool] | None) -> Question:
        """`opens`: which services the caller may use; None: all of them."""
        path = target.partition(b"?")[0]
        return Question(self, method, target, path, head, self.rules.fitting(method, path, head), opens)


class Question:
    """One request on its way to a service."""

    __slots__ = (
        "_asks", "_at", "_opens", "_path", "_refreshed", "_rules", "_view", "answer", "by", "chooser", "head",
        "method", "reading", "refusal", "relayed", "rule", "target",
    )  # fmt: skip

    def __init__(
        self,
        chooser: Chooser,
        method: bytes,
        target: bytes,
        path: bytes,
        head: RequestHead,
        rules: Sequence[Rule],
        opens: Callable[[str], bool] | None,
    ) -> None:
        self.chooser = chooser
        self.method = method
        self.target = target
        self.head = head
        self.reading = Reading(rules, head, target)
        self.relayed: Relayed | None = None
        self.rule: Rule | None = None
        self.by = ""
        self.refusal: Refusal | None = None
        self.answer = b""
        self._path = path
        self._rules = rules
        self._opens = opens
        self._at = 0
        self._asks: Strategy | None = None
        self._refreshed = False
        self._view: RequestView | None = None

    @property
    def open_services(self) -> Sequence[Served]:
        """Those that the caller may use."""
        opens = self._opens
        if opens is None:
            return self.chooser.services
        return tuple(service for service in self.chooser.services if opens(service.id))

    @property
    def model(self) -> str | None:
        return self.reading.model

    @property
    def view(self) -> RequestView:
        if self._view is None:
            self._view = RequestView(
                self.method,
                self.target,
                self.head,
                lambda: self.model,
                lambda: self.open_services,
                self.chooser.relayed,
            )
        return self._view

    def go_on(self) -> Step:
        """As far as it can be told now."""
        while self._at < len(self._rules):
            rule = self._rules[self._at]
            if rule.by_model and self._lists():
                return Step.LISTING
            if not self.reading.known(rule):
                return Step.BODY
            step = self._try(rule) if self.reading.fits(rule) else None
            if step is not None:
                return step
            self._at += 1
        if self.refusal is not None and not self._refreshed and self.model and self.chooser.lists.stale():
            return Step.WAIT
        return Step.NOWHERE

    async def wait(self) -> None:
        """For an `async` strategy, or for what services list now. Cancelled, it is as before."""
        use = self._asks
        if use is None:
            await self.chooser.lists.refresh()
            self._refreshed = True
            self._at, self.refusal = 0, None
            return
        given = await use.ask(self.view)
        self._asks = None
        if self._take(self._rules[self._at], use, given) is None:
            self._at += 1

    def _try(self, rule: Rule) -> Step | None:
        """A route that fits."""
        if self.relayed is not None:  # a strategy that was awaited has said so
            return Step.CHOSEN
        if rule.service is not None:
            return self._choose(rule, rule.service, "route")
        use = self.chooser.strategies.get(rule.number)
        if use is None:
            return None
        if rule.by_model and self.model is None and self.reading.broken_off:
            raise Refusal("payload_too_large", _TOO_LATE)
        if use.waits:
            self._asks = use
            return Step.WAIT
        return self._take(rule, use, use.call(self.view))

    def _take(self, rule: Rule, use: Strategy, given: Any) -> Step | None:
        """What a strategy said. None: the next route is tried; by the model a refusal is kept for the end."""
        name = use.offer.name
        if given is BUILT_IN:
            given = serving(self.model, self.open_services)
        if given is None and rule.by_model:
            given = serving(self.model, self.chooser.services)  # then the caller may not use it, and is told so
        if given is not None:
            return self._choose(rule, given, f"strategy {name}")
        if rule.by_model and self.refusal is None:
            self.refusal = Refusal("unknown_model", unknown(self.model, self.open_services))
        return None

    def _choose(self, rule: Rule, id_: str, by: str) -> Step | None:
        self.rule = rule
        self.by = by
        self.relayed = self.chooser.relayed.get(id_)
        return Step.CHOSEN if self.relayed is not None else None

    def _lists(self) -> bool:
        """`GET /v1/models` where the model chooses is answered from what is known: it wakes nothing."""
        if self.method not in READS or not self._path.startswith(MODELS_PATH):
            return False
        if self._path == MODELS_PATH:
            self.answer = listing(self.open_services)
            return True
        if not self._path.startswith(MODEL_PATH):
            return False
        name = unquote_to_bytes(self._path[len(MODEL_PATH) :]).decode("utf-8", "replace")
        found = entry(name, self.open_services)
        if found is None:
            raise Refusal("unknown_model", unknown(name, self.open_services))
        self.answer = found
        return True


_TOO_LATE = (
    "no model was named within `limits.body_peek`: name it before the long part of the body, or ask the service itself "
    "at /services/<id>/"
)
