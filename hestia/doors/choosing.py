"""Requests that are not relayed as they come: whose body chooses their service, or who are another request's body.

Their bodies are read first (doors/intake.py), bounded, and then delivered whole by the ordinary exchange. While nobody
has to be awaited no Task is involved: each segment is looked at as it comes.
"""

from __future__ import annotations

import asyncio
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, Final

from hestia.doors.answering import Answering
from hestia.doors.chooser import Step
from hestia.doors.cold import JSON, NO_STORE, cors, whole
from hestia.doors.cold_door import Arrival, Given
from hestia.doors.connection import CHOOSING
from hestia.doors.intake import LONGEST_WAIT, Intake, Pledge, no_room
from hestia.doors.reception import judge
from hestia.h1.grammar import BadMessage
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.chooser import Question
    from hestia.doors.shared import Shared
    from hestia.h1.request import RequestHead
    from hestia.relay.exchange import Exchange
    from hestia.relay.place import Relayed
    from hestia.rules.admission import Verdict
    from hestia.rules.routing import Door

INVITATION: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Course:
    """A request whose service is not known yet, or whose body is its request. `most` bytes of the body are read."""

    __slots__ = (
        "blocked_since", "contents", "head", "intake", "method", "most", "question", "target", "task", "timeout",
        "verdict", "whole",
    )  # fmt: skip

    def __init__(
        self, method: bytes, target: bytes, head: RequestHead, verdict: Verdict, question: Question | None, most: int
    ) -> None:
        self.method = method
        self.target = target
        self.head = head
        self.verdict = verdict
        self.question = question
        self.most = most
        self.intake: Intake | None = None
        self.contents: list[bytes] = []  # of a dispatcher's body
        self.whole = not head.length
        self.task: asyncio.Task[None] | None = None
        self.blocked_since: float | None = None
        self.timeout: float | None = None


class Choosing(Answering):
    """`Front` adds the reading of heads, and relays."""

    __slots__ = ("course",)

    def __init__(self, shared: Shared, door: Door, *, secure: bool) -> None:
        super().__init__(shared, door, secure=secure)
        self.course: Course | None = None

    def _relay(
        self,
        data: bytes,
        end: int,
        method: bytes,
        target: bytes,
        prefix: bytes,
        head: RequestHead,
        relayed: Relayed,
        verdict: Verdict,
        request_id: bytes | None = None,
    ) -> None:
        raise NotImplementedError

    def _hold(self, data: bytes) -> None:
        raise NotImplementedError

    # --- by the routes

    def _choose(self, data: bytes, end: int, method: bytes, target: bytes, head: RequestHead, verdict: Verdict) -> None:
        """No service is named. Most routes look at the head alone: then this is all."""
        standing = self.standing
        opens = None if standing.key is None or standing.key.everything else standing.opens
        question = self.shared.chooser.ask(method, target, head, opens)
        try:
            step = question.go_on()
        except Refusal as refusal:
            self._refuse(refusal, head, method=method, target=target, rest=data[end:])
            return
        if step is Step.CHOSEN and question.relayed is not None:
            self._relay_chosen(data, end, question, head, verdict)
        elif step is Step.LISTING:
            self._tell_models(question, verdict, data[end:])
        elif step is Step.NOWHERE:
            self._nowhere(question, verdict, data[end:])
        else:
            course = Course(method, target, head, verdict, question, self.shared.limits.body_peek)
            self._begin(course, data[end:])
            if step is Step.WAIT and self.course is course and course.task is None:
                self._wait_for(course)

    def _relay_chosen(self, data: bytes, end: int, question: Question, head: RequestHead, verdict: Verdict) -> None:
        relayed = question.relayed
        assert relayed is not None  # noqa: S101 - that is what was chosen
        refusal = self.shared.guard.chosen(self.standing, relayed.id)
        if refusal is not None:
            self._refuse(
                refusal, head, method=question.method, target=question.target, rest=data[end:], rule="scope"
            )
            return
        request_id = head.request_id or next(self.shared.request_ids)
        self._tell_choice(question, relayed, request_id)
        self._relay(data, end, question.method, question.target, b"", head, relayed, verdict, request_id)

    def _tell_choice(self, question: Question, relayed: Relayed, request_id: bytes) -> None:
        log, rule = self.shared.server.log, question.rule
        if log.access_wanted and rule is not None:
            model = question.model
            log.event(
                "route.chosen",
                service=relayed.id,
                request_id=request_id.decode("ascii"),
                route=rule.number,
                match=rule.why,
                by=question.by,
                model=model[:128] if model else None,
            )

    def _nowhere(self, question: Question, verdict: Verdict, rest: bytes) -> None:
        """No route fits: the words of a model that is not known, else 404 by the rules for what is not there."""
        head, method, target = question.head, question.method, question.target
        if not verdict.wakes:
            self._turn_away(verdict, head, method, target, rest, None)
            return
        if question.refusal is not None:
            self._refuse(question.refusal, head, method=method, target=target, rest=rest)
            return
        choice = self.shared.router.nowhere(target)
        verdict = judge(self, head, self.standing, method, target, choice)
        if verdict.refusal is not None or verdict.answers_preflight:
            self._turn_away(verdict, head, method, target, rest, None)
        else:
            self._refuse(Refusal("not_found", choice.detail), head, method=method, target=target, rest=rest)

    def _tell_models(self, question: Question, verdict: Verdict, rest: bytes) -> None:
        """The list of models. What a page elsewhere may not wake it may not list either."""
        head, method, target = question.head, question.method, question.target
        if not verdict.wakes:
            self._turn_away(verdict, head, method, target, rest, None)
            return
        request_id = head.request_id or next(self.shared.request_ids)
        keep = head.keep and head.length == 0 and not self.shared.closing
        fields = [JSON, NO_STORE, *cors(head, self.shared.cors_origins)]
        data = whole(200, fields, question.answer, head, method, request_id, keep=keep)
        self._give(Given(200, data, "ok"), Arrival("", head, method, target, b"", request_id, keep), rest)

    # --- a body that is read first

    def _begin(self, course: Course, data: bytes) -> None:
        """The body is wanted now: a client that waits for our word gets it at once."""
        self.course = course
        self.state = CHOOSING
        self.since = monotonic()
        head = course.head
        if course.whole:
            if data:
                self._hold(data)
            return
        course.intake = Intake(head.length, self.shared.room, self._let_in)
        if head.expect:
            course.head = head = copy(head)
            head.expect, head.cross_for = False, None
            if not data:
                self.transport.write(INVITATION)
        if data:
            self._intake(data)

    def _intake(self, data: bytes) -> None:
        """More of a body that is read first; what comes while nobody wants it is kept for later."""
        course = self.course
        intake = course.intake if course is not None else None
        if course is None or intake is None or course.whole or course.task is not None:
            self._hold(data)
            return
        if not intake.may_go_on():
            self._block(course, data)
            return
        room = course.most - intake.content
        try:
            content, rest = intake.feed(data)
        except BadMessage as mistake:
            self._uncourse(Refusal("bad_request", f"the request's body: {mistake}"))
            return
        course.whole = rest is not None
        if course.question is not None:
            reading = course.question.reading
            reading.feed(content[:room] if len(content) > room else content)
            if course.whole and intake.content <= course.most:
                reading.end()
            elif intake.content >= course.most:
                reading.break_off()
        elif intake.content > course.most:
            words = f"the body is longer than `limits.api_body` allows ({course.most} bytes)"
            self._uncourse(Refusal("payload_too_large", words))
            return
        else:
            course.contents.append(content)
        if rest:
            self._hold(rest)
        self._go_on(course)

    def _block(self, course: Course, data: bytes) -> None:
        """All bodies together take as much as they may: this one is not read until there is room."""
        self.held = self.held + data if self.held else data
        if course.blocked_since is None:
            course.blocked_since = monotonic()
        self.stopped = True
        self.read_or_not()

    def _let_in(self) -> None:
        """There is room again."""
        course = self.course
        if course is None:
            return
        course.blocked_since = None
        self.stopped = False
        self.read_or_not()
        data, self.held = self.held, b""
        if data:
            self._intake(data)

    def _go_on(self, course: Course) -> None:
        if course.question is None:
            if course.whole:
                self._dispatch(course)
            return
        try:
            step = course.question.go_on()
        except Refusal as refusal:
            self._uncourse(refusal)
            return
        if step is Step.WAIT:
            self._wait_for(course)
        elif step is not Step.BODY:
            self._end_course(course, step)

    def _wait_for(self, course: Course) -> None:
        self.stopped = True
        self.read_or_not()
        course.task = self.shared.fence.spawn(self._waited(course))

    async def _waited(self, course: Course) -> None:
        """The one Task there is: an `async` strategy, or lists that are asked for anew."""
        question = course.question
        if question is None:
            return
        try:
            await question.wait()
        except Exception:  # a bug of ours must not leave the client waiting: the fence logs it
            course.task = None
            if self.course is course:
                self._uncourse(Refusal("internal", "Hestia made a mistake; its log has the trace"))
            raise
        course.task = None
        if self.course is not course:
            return
        self.stopped = False
        self.read_or_not()
        self._go_on(course)
        if self.course is course and course.blocked_since is None:
            self._read_on(course)

    def _read_on(self, course: Course) -> None:
        """What came of the body while somebody was awaited."""
        if self.held and not course.whole and course.task is None:
            data, self.held = self.held, b""
            self.overflow = False
            self.read_or_not()
            self._intake(data)

    def _end_course(self, course: Course, step: Step) -> None:
        """It is known whom the request is for, or that it is for nobody."""
        question = course.question
        assert question is not None  # noqa: S101 - only a question has steps
        if step is Step.CHOSEN and question.relayed is not None:
            data, pledge = self._finish(course)
            self._relay_chosen(data, 0, question, course.head, course.verdict)
            self._keep_pledge(pledge, course.timeout)
            return
        self._drop_course()
        rest, self.held = self.held, b""
        if step is Step.LISTING:
            self._tell_models(question, course.verdict, rest)
        else:
            self._nowhere(question, course.verdict, rest)

    def _finish(self, course: Course) -> tuple[bytes, Pledge]:
        """The body so far, to be relayed."""
        self.course = None
        self.stopped = False
        self.read_or_not()
        intake = course.intake
        if intake is None:
            return b"", Pledge(self.shared.room)
        if not course.whole and self.held:  # behind what was looked at, while somebody was awaited
            intake.kept.append(self.held)
            self.held = b""
            self.overflow = False
        return intake.hand_over()

    def _keep_pledge(self, pledge: Pledge, timeout: float | None) -> None:
        """What was read counts until the service has it."""
        if self.exchange is None:
            pledge.over()
            return
        self.pledge = pledge
        if timeout is not None:
            pledge.timer = asyncio.get_running_loop().call_later(timeout, self._too_late, self.exchange, timeout)
        self._settle()

    def _too_late(self, exchange: Exchange, timeout: float) -> None:
        if self.exchange is exchange and not exchange.answering:
            words = f"{exchange.relayed.id} did not begin its answer within the `timeout` of {timeout:g} s"
            exchange.refuse(Refusal("upstream_timeout", words))

    def _settle(self) -> None:
        if self.pledge is not None and (self.exchange is None or self.exchange.delivered):
            self.pledge.delivered()

    def _uncourse(self, refusal: Refusal) -> None:
        """It comes to nothing."""
        course = self.course
        if course is None:
            return
        self._drop_course()
        self.held = b""
        self._refuse(refusal, course.head, method=course.method, target=course.target)

    def _drop_course(self) -> None:
        course, self.course = self.course, None
        if course is not None:
            if course.task is not None:
                course.task.cancel()
            if course.intake is not None:
                course.intake.drop()

    def _dispatch(self, course: Course) -> None:
        raise NotImplementedError

    # --- what else happens to the connection meanwhile

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._drop_course()
        if self.pledge is not None:
            self.pledge.over()

    def resume(self) -> None:
        super().resume()
        if self.pledge is not None:
            self._settle()

    def _stands_still(self, now: float) -> float:
        intake = self.course.intake if self.course is not None else None
        if intake is None or not self.reading:
            return super()._stands_still(now)
        if (0, intake.size) != self.moved[:2]:
            self.moved = (0, intake.size, now)
        return now - self.moved[2]

    def look(self, now: float) -> None:
        super().look(now)
        course = self.course
        if self.pledge is not None:
            self._settle()
        if course is not None and course.blocked_since is not None and now - course.blocked_since > LONGEST_WAIT:
            self._uncourse(no_room())
