"""The dispatcher, `POST /v1/requests`: a request whose body is another request, which is relayed as any other.

Nothing of the caller's own head goes on but his address, the request id and what loops are told by; the inner request's
headers are read by the grammar that reads every head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hestia.doors.chooser import Step
from hestia.doors.choosing import Choosing, Course
from hestia.doors.intake import Intake
from hestia.doors.reception import take_session
from hestia.h1.grammar import HOP_BY_HOP, BadMessage
from hestia.h1.request import FORWARDING, read_request_head
from hestia.h1.target import check_target
from hestia.rules.admission import FREE
from hestia.rules.dispatch import Dispatched, read_dispatch
from hestia.rules.gate import split_host
from hestia.rules.routing import ROUTE, SERVICE, UNKNOWN, Door
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.h1.request import RequestHead

REQUESTS: Final = b"/v1/requests"
ALLOW: Final = "POST, OPTIONS"
NEVER: Final = frozenset(
    name.decode() for name in HOP_BY_HOP | {b"content-length", b"expect", b"hestia-wait", b"trailer", b"x-request-id"}
)
"""Framing, what ends at each hop, and what is ours."""
INSIDE: Final = Door("dispatcher")


class Dispatching(Choosing):
    """`Front` adds the reading of heads, and relays."""

    __slots__ = ()

    def _accept(self, data: bytes, end: int, method: bytes, target: bytes, head: RequestHead) -> None:
        """The body is read, within `limits.api_body`."""
        if method != b"POST":
            words = "the dispatcher takes POST alone"
            self._refuse(
                Refusal("method_not_allowed", words, allow=ALLOW), head, method=method, target=target, rest=data[end:]
            )
            return
        most = self.shared.limits.api_body
        if head.length > most:
            words = f"the body is longer than `limits.api_body` allows ({most} bytes)"
            self._refuse(Refusal("payload_too_large", words), head, method=method, target=target)
            return
        course = Course(method, target, head, FREE, None, most)
        self._begin(course, data[end:])
        if course.whole and self.course is course:
            self._go_on(course)

    def _dispatch(self, course: Course) -> None:
        """The body is here: it becomes a request of its own."""
        data = b"".join(course.contents)
        self._drop_course()
        self.stopped = False
        self.read_or_not()
        try:
            asked = read_dispatch(data, NEVER)
            head = self._inner_head(asked, course.head)
            target, _ = check_target(asked.target, asked.method)
            self._send_on(asked, target, head)
        except BadMessage as mistake:
            refusal = Refusal("bad_request", f"the body of /v1/requests: {mistake}")
            self._refuse(refusal, course.head, method=course.method, target=course.target)
        except Refusal as refusal:
            self._refuse(refusal, course.head, method=course.method, target=course.target)

    def _inner_head(self, asked: Dispatched, outer: RequestHead) -> RequestHead:
        """Raises BadMessage."""
        head = read_request_head(asked.block, b"1")
        head.dispatched = True
        head.minor, head.keep = outer.minor, outer.keep
        head.client, head.request_id = outer.client, outer.request_id
        head.own_host, head.own_scheme = outer.own_host, outer.own_scheme
        goes_on = FORWARDING | {b"cdn-loop"}
        head.named = {name: value for name, value in head.named.items() if name not in goes_on}
        head.named |= {name: outer.named[name] for name in goes_on if name in outer.named}
        name = split_host(asked.host) if asked.host else outer.name
        if name is None:
            raise BadMessage("the header Host is malformed")
        head.name = name
        self._without_keys(head)
        return head

    def _without_keys(self, head: RequestHead) -> None:
        """A key of ours and a session are no service's business, however they came here."""
        take_session(head, self.shared.sessions)
        key, header = self.shared.guard.ring.identify(head.named)
        if key is not None:
            head.fields = [line for line in head.fields if line[: len(header) + 1].lower() != header + b":"]

    def _send_on(self, asked: Dispatched, target: bytes, head: RequestHead) -> None:
        """To the service that is named, or to the one that the routes choose. Raises Refusal."""
        router = self.shared.router
        named = asked.service is not None
        choice = router.named(asked.service or "", target) if named else router.choose(INSIDE, head.name, target)
        inner = Course(asked.method, choice.target, head, FREE, None, 0)
        inner.whole = True
        inner.timeout = asked.timeout
        inner.intake = intake = Intake(len(asked.body), self.shared.room, self._let_in)
        if choice.kind == SERVICE and choice.service is not None:
            if asked.body:
                intake.feed(asked.body)
            data, pledge = intake.hand_over()
            self._relay(data, 0, asked.method, choice.target, choice.prefix, head, choice.service, FREE)
            self._keep_pledge(pledge, asked.timeout)
        elif choice.kind == ROUTE:
            self._ask_routes(asked, inner)
        elif choice.kind == UNKNOWN:
            raise Refusal("unknown_service", choice.detail)
        else:
            raise Refusal("not_found", "the dispatcher reaches services, not Hestia's own pages")

    def _ask_routes(self, asked: Dispatched, inner: Course) -> None:
        """Raises Refusal."""
        question = self.shared.chooser.ask(asked.method, asked.target, inner.head, None)
        inner.question = question
        question.reading.feed(asked.body)
        question.reading.end()
        step = question.go_on()
        if inner.intake is not None and asked.body:
            inner.intake.feed(asked.body)
        self.course = inner
        if step is Step.WAIT:
            self._wait_for(inner)
        else:
            self._end_course(inner, step)
