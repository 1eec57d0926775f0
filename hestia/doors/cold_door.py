"""What a request gets that cannot go on at once: a place in the line, the waiting page, or an answer in its stead."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hestia.core.status import service_status
from hestia.doors.cold import Recording, kept_answer, request_lines, said_answer, same_get, see_other
from hestia.doors.pages import Page, frame_answer, look_answer, our_page, own_page, page_answer
from hestia.rules.hours import time_zone
from hestia.rules.last_answers import LastAnswers
from hestia.rules.no_wake import Asleep
from hestia.rules.waiting import course, deed, wish
from hestia.rules.waiting_words import WaitingView
from hestia.words.refusal import Refusal
from hestia.words.spec import Answer
from hestia.words.states import Phase

if TYPE_CHECKING:
    from hestia.core.service import Service
    from hestia.h1.request import RequestHead
    from hestia.keeper.keeper import Keeper
    from hestia.relay.exchange import Exchange
    from hestia.rules.last_answers import Key
    from hestia.words.spec import Config

LOG_LINES_SHOWN = 20
LOGS_FRESH_FOR = 1.0


class Given(NamedTuple):
    """A whole answer of ours."""

    status: int
    data: bytes
    outcome: str


class Arrival(NamedTuple):
    """A request at the door of its service."""

    service: str
    head: RequestHead
    method: bytes
    target: bytes
    prefix: bytes
    request_id: bytes
    keep: bool

    @property
    def page_key(self) -> str:
        """One page: who asks, and for what. Not the address itself: thousands of long ones are remembered for 10 s."""
        shown = self.head.own_host + self.prefix + self.target
        return f"{self.head.client} {sha256(shown).hexdigest()}"


class ColdDoor:
    """Replaced whole on reload; `answers` goes on to the next."""

    def __init__(
        self, config: Config, keeper: Keeper, cors_origins: frozenset[str], *, before: ColdDoor | None = None
    ) -> None:
        self._keeper = keeper
        self._cors_origins = cors_origins
        self._zone = time_zone(config.timezone)
        self._page = our_page()
        self._own_pages = {id_: _read(spec.waiting_page) for id_, spec in config.services.items() if spec.waiting_page}
        kept: dict[str, LastAnswers] = before.answers if before is not None else {}
        self.answers: dict[str, LastAnswers] = {id_: kept.get(id_) or LastAnswers() for id_ in config.services}
        self._logs: dict[str, tuple[float, tuple[str, ...]]] = {}

    # --- a request for a service that has no place for it now

    def arrive(self, arrival: Arrival, asleep: Asleep | None) -> Given | None:
        """None: it is held. Raises Refusal."""
        service = self._keeper.service(arrival.service)
        if asleep is not None:
            return self._asleep(arrival, asleep, service)
        if service.state == "hot":
            return None
        head = arrival.head
        way = course(
            service.spec.waiting,
            arrival.method,
            navigation=head.navigation,
            upgrade=head.upgrade is not None,
            dest=head.header(b"sec-fetch-dest"),
        )
        if way in {"hold", "refuse"}:
            return None
        self._begin_for_page(service, arrival)
        return self._show(service, arrival, framed=way == "frame")

    def _asleep(self, arrival: Arrival, asleep: Asleep, service: Service) -> Given:
        """It wakes nothing."""
        if isinstance(asleep.answer, Answer):
            data = said_answer(
                asleep.answer, arrival.head, arrival.method, arrival.request_id, self._cors_origins, keep=arrival.keep
            )
            return Given(asleep.answer.status, data, "cold")
        if asleep.last:
            kept = self.answers[service.id].find(self.key(arrival), request_lines(arrival.head))
            if kept is not None and arrival.method in {b"GET", b"HEAD"}:
                now = self._keeper.outside.clock()
                data = kept_answer(kept, arrival.head, arrival.method, arrival.request_id, now, keep=arrival.keep)
                return Given(200, data, "cold")
        raise Refusal(
            "cold", f"{service.id} is {service.state}, and this request wakes nothing (`no_wake`, or a prefetch)"
        )

    @staticmethod
    def key(arrival: Arrival) -> Key:
        return same_get(arrival.head, arrival.prefix, arrival.target)

    def recording(self, exchange: Exchange) -> Recording | None:
        """Keeps what a request gets that a rule answers with `last` while the service sleeps."""
        if exchange.method != b"GET":
            return None
        key = same_get(exchange.head, exchange.prefix, exchange.target)
        return Recording(self.answers[exchange.relayed.id], key, request_lines(exchange.head))

    def _begin_for_page(self, service: Service, arrival: Arrival) -> None:
        """A navigation starts it; during a hold or a cool-down it only shows that."""
        if service.refusal() is not None:
            return
        service.page(arrival.page_key)
        service.kept_cold = False
        service.begin("page", arrival.request_id.decode("ascii"))
        self._keeper.fleet.settle()

    def _show(self, service: Service, arrival: Arrival, *, framed: bool) -> Given:
        view = self.view(service)
        head, method, request_id, keep = arrival.head, arrival.method, arrival.request_id, arrival.keep
        wall = self._keeper.outside.wall()
        if framed:
            data = frame_answer(view, head, method, request_id, keep=keep, wall=wall, zone=self._zone)
        else:
            page = self._own_pages.get(service.id, self._page)
            data = page_answer(page, view, head, method, request_id, keep=keep, wall=wall, zone=self._zone)
        return Given(503, data, "waiting_page")

    # --- what a waiting page asks

    def wished(self, arrival: Arrival, said: bytes) -> Given:
        """`Hestia-Wait`: answered in every state, never relayed. Raises Refusal."""
        service = self._keeper.service(arrival.service)
        wanted = wish(said, arrival.method)
        if wanted == "look" and arrival.page_key in service.pages and service.state != "hot":
            service.page(arrival.page_key)
        elif wanted != "look":
            others = self._others(service, arrival)
            self._do(service, arrival, deed(wanted, service.state, held=self._held(service), waiters=others + 1))
            if wanted == "cancel":
                service.page_left(arrival.page_key)
        data = look_answer(
            self.view(service),
            arrival.head,
            arrival.method,
            arrival.request_id,
            self._cors_origins,
            keep=arrival.keep,
            zone=self._zone,
        )
        return Given(200, data, "ok")

    def form(self, arrival: Arrival) -> Given:
        """Retry without scripts."""
        service = self._keeper.service(arrival.service)
        self._do(service, arrival, deed("retry", service.state, held=self._held(service)))
        back = arrival.prefix + arrival.target
        data = see_other(back, arrival.head, arrival.method, arrival.request_id, keep=arrival.keep)
        return Given(303, data, "ok")

    def _held(self, service: Service) -> bool:
        return self._keeper.fleet.held(service) is not None

    @staticmethod
    def _others(service: Service, arrival: Arrival) -> int:
        """How many others the start is for: who waits, other pages, a command, what depends on it."""
        others = service.waiters - (arrival.page_key in service.pages)
        return others + bool(service.wanted or service.needing or service.dependents)

    def _do(self, service: Service, arrival: Arrival, what: str) -> None:
        if what == "start":
            service.cool_down_over()
            refusal = service.refusal()
            if refusal is not None:
                raise refusal
            service.page(arrival.page_key)
            service.begin("page", arrival.request_id.decode("ascii"))
        elif what == "stop":
            service.stop("command")
        self._keeper.fleet.settle()

    # --- what a page shows

    def view(self, service: Service) -> WaitingView:
        outside = self._keeper.outside
        now = outside.clock()
        status = service_status(service, now, outside.wall())
        room = next((life for life in service.lives if life.phase is Phase.ROOM), None)
        return WaitingView(
            name=service.id,
            state=status.state,
            phase=status.phase,
            waiters=status.waiters,
            started_s=now - service.began if status.state == "starting" else None,
            expected_s=status.expected_start_s,
            error=status.last_error,
            held_until=status.held_until,
            cooldown_s=status.cooldown_s,
            in_the_way=self._keeper.fleet.what_is_in_the_way(room) if room is not None else None,
            logs=self._last_lines(service) if service.spec.waiting_logs else (),
        )

    def _last_lines(self, service: Service) -> tuple[str, ...]:
        """What was read last; a page that comes again sees what was written since."""
        now = self._keeper.outside.clock()
        read_at, lines = self._logs.get(service.id, (-LOGS_FRESH_FOR, ()))
        if now - read_at >= LOGS_FRESH_FOR:
            self._logs[service.id] = (now, lines)
            self._keeper.fence.spawn(self._read_logs(service))
        return lines

    async def _read_logs(self, service: Service) -> None:
        found = self._keeper.logs(service)
        if found is not None:
            launcher, run = found
            lines = tuple(await launcher.lines(run, LOG_LINES_SHOWN))
            self._logs[service.id] = (self._keeper.outside.clock(), lines)


def _read(file: str | None) -> Page:
    """The operator's own page; one that cannot be read now is replaced by ours."""
    with contextlib.suppress(OSError):
        return own_page(Path(file or "").read_text(encoding="utf-8", errors="replace"))
    return our_page()
