"""How a connection answers: what an exchange ended with, what Hestia says itself, and the next message after it."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from hestia.doors.cold_door import Arrival, Given
from hestia.doors.connection import IDLE, Connection
from hestia.doors.reception import answer_preflight, redirect, refuse, turned_away

if TYPE_CHECKING:
    from hestia.h1.request import RequestHead
    from hestia.relay.exchange import Exchange
    from hestia.relay.place import Relayed
    from hestia.rules.admission import Standing, Verdict
    from hestia.words.refusal import Refusal


class Answering(Connection):
    """`Front` adds the reading of messages."""

    __slots__ = ("standing",)

    standing: Standing  # of the head at hand: who sends it

    def _request(self, data: bytes) -> None:
        raise NotImplementedError

    @property
    def who(self) -> str:
        """Whose request is at hand: the name of a key, or an address."""
        return self.standing.who

    def exchange_done(self, exchange: Exchange, *, reusable: bool) -> None:
        """The answer went out whole (or the tunnel ended)."""
        self.exchange = None
        self._count(exchange, "ok")
        if not reusable:
            if exchange.request_done:
                self.close()
            else:
                self.linger()
            return
        self._next()

    def exchange_broken(self, exchange: Exchange) -> None:
        """The answer broke off and must not look whole: HTTP/1.0 shows that by a reset alone."""
        self.exchange = None
        self._count(exchange, "broken")
        if exchange.head.minor == b"0":
            self.reset()
        else:
            self.close()

    def exchange_refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """There will be no answer of the upstream's."""
        self.exchange = None
        exchange.status = refusal.status
        keep = exchange.keep and exchange.request_done
        self.transport.write(
            refuse(
                refusal,
                exchange.head,
                exchange.method,
                exchange.request_id,
                self.shared.cors_origins,
                service=exchange.relayed.id,
                keep=keep,
            )
        )
        self._count(exchange, refusal.code)
        if keep:
            self._next()
        else:
            self.linger()

    def resumed(self) -> None:
        self._next()

    def _next(self) -> None:
        """Between messages again; what came meanwhile is looked at from the loop, not by recursion."""
        self.state = IDLE
        self.since = monotonic()
        self.stopped = False
        if self.shared.closing:
            self.close()
            return
        if self.overflow and not self.full:
            self.overflow = False
        self.read_or_not()
        if self.held and not self.full:
            asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        if self.state == IDLE and self.held and not self.full:
            data, self.held = self.held, b""
            self._request(data)

    def _turn_away(
        self, verdict: Verdict, head: RequestHead, method: bytes, target: bytes, rest: bytes, relayed: Relayed | None
    ) -> None:
        """Answers what is not let in, or not to a service that is not hot. A 401 does not tell what exists."""
        refusal = verdict.refusal or verdict.cold
        if refusal is None:
            keep = head.keep and head.length == 0 and not self.shared.closing
            request_id = head.request_id or next(self.shared.request_ids)
            given = Given(204, answer_preflight(head, request_id, keep=keep), "ok")
            self._give(given, Arrival("", head, method, target, b"", request_id, keep), rest)
            return
        service = relayed.id if relayed is not None and refusal.code != "unauthorized" else None
        self._refuse(refusal, head, method=method, target=target, service=service, rest=rest, rule=verdict.rule)

    def _give(self, given: Given, arrival: Arrival, rest: bytes) -> None:
        """A whole answer of ours in place of the service's."""
        self.transport.write(given.data)
        client = arrival.head.client
        self._tell(
            arrival.service, given.status, arrival.method, arrival.target, client, arrival.request_id, given.outcome
        )
        if arrival.keep:
            self.held = rest
            self._next()
        else:
            self.linger()

    def _redirect(self, location: bytes, method: bytes, target: bytes, head: RequestHead) -> None:
        keep = head.keep and head.length == 0 and not self.shared.closing
        request_id = head.request_id or next(self.shared.request_ids)
        self.transport.write(redirect(location, head, request_id, keep=keep))
        self._tell("", 308, method, target, head.client, request_id, "ok")
        if keep:
            self._next()
        else:
            self.linger()

    def _refuse(
        self,
        refusal: Refusal,
        head: RequestHead | None = None,
        *,
        method: bytes = b"",
        target: bytes = b"",
        service: str | None = None,
        rest: bytes | None = None,
        rule: str = "",
    ) -> None:
        """Answers without an exchange. The connection stays only where the next message begins with `rest`."""
        request_id = (head.request_id if head is not None else None) or next(self.shared.request_ids)
        keep = rest is not None and head is not None and head.keep and head.length == 0 and not self.shared.closing
        cors = self.shared.cors_origins
        login = self.shared.login if rule else None
        self.transport.write(
            refuse(refusal, head, method, request_id, cors, service=service, keep=keep, target=target, login=login)
        )
        if rule and head is not None:
            turned_away(self, head, self.standing, rule, refusal, request_id, service or "")
        client = head.client if head is not None else self.peer
        self._tell(service or "", refusal.status, method, target, client, request_id, refusal.code)
        if keep:
            self.held = rest or b""
            self._next()
        else:
            self.linger()

    def _tell(
        self, service: str, status: int, method: bytes, target: bytes, client: str, request_id: bytes, outcome: str
    ) -> None:
        path = target.partition(b"?")[0]
        self.shared.tally.ended(service, status, method, path, client, request_id, 0.0, 0.0, 0, 0, outcome)

    def _count(self, exchange: Exchange, outcome: str) -> None:
        if self.pledge is not None:
            self.pledge.over()
            self.pledge = None
        seconds = monotonic() - exchange.began
        self.shared.users.used(exchange.relayed.id, self.standing.who, seconds)
        self.shared.tally.ended(
            exchange.relayed.id,
            exchange.status,
            exchange.method,
            exchange.path,
            exchange.head.client,
            exchange.request_id,
            seconds,
            exchange.own_time,
            exchange.bytes_in,
            exchange.bytes_out,
            outcome,
            exchange.lease.number if exchange.lease is not None else 0,
            exchange.head.trace,
        )
