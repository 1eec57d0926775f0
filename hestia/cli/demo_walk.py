"""The steps of `hestia demo`. Each shows one thing that a gateway does, and knows whether that is what happened."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from hestia.cli.demo_servers import MODEL
from hestia.cli.demo_visitor import Answer, Visitor, duration

PICTURES: Final = 4
LINE: Final = 2  # `queue_size` of `big`
SOON_S: Final = 15.0
LOOK_EVERY_S: Final = 0.1
FULL: Final = 503
OK: Final = 200


async def look_around(visitor: Visitor) -> bool:
    said = await visitor.hestiactl("status")
    return all(f"\n{name} " in said for name in ("slow", "chat", "flaky", "big"))


async def cold_then_hot(visitor: Visitor) -> bool:
    first = await visitor.curl("/services/slow/health")
    second = await visitor.curl("/services/slow/health")
    return first.status == second.status == OK and second.took < first.took


async def waiting_page(visitor: Visitor) -> bool:
    await visitor.hestiactl("stop", "slow", "--wait")
    page = await visitor.curl("/services/slow/", headers={"Accept": "text/html"})
    visitor.screen.words(f"Have a look with a browser: {visitor.home.url}/services/slow/")
    return page.status == FULL and "Retry-After" in page.headers and "<title>" in page.text


async def by_model(visitor: Visitor) -> bool:
    listed = await visitor.curl("/v1/models")
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Hello?"}]}
    status, events = await visitor.chat("/v1/chat/completions", body)
    return MODEL in listed.text and status == OK and events > 2  # noqa: PLR2004 -- the role, a word, the end


async def fall_back(visitor: Visitor) -> bool:
    answer = await visitor.curl("/services/flaky/health")
    said = await visitor.hestiactl("activity", "--service", "flaky", "--limit", "8")
    return answer.status == OK and "place.fallback" in said


async def full_line(visitor: Visitor) -> bool:
    path = "/services/big/paint?picture="
    url = visitor.home.url + path
    visitor.screen.command(f"for n in {' '.join(map(str, _numbers()))}; do curl -i '{url}'$n & sleep 0.1; done; wait")
    got: dict[int, Answer] = {}
    async with asyncio.TaskGroup() as group:
        for number in _numbers():
            group.create_task(_one(visitor, number, f"{path}{number}", got))
            await _in_line(visitor, min(number, LINE))
    refused = [each for each in got.values() if each.status == FULL]
    full = bool(refused) and all("queue_full" in each.text and "Retry-After" in each.headers for each in refused)
    return full and got[1].status == got[2].status == OK and got[1].took < got[2].took


def _numbers() -> range:
    return range(1, PICTURES + 1)


async def _one(visitor: Visitor, number: int, path: str, got: dict[int, Answer]) -> None:
    answer = got[number] = await visitor.ask(path)
    told = f"{number}: HTTP/1.1 {answer.status} {answer.reason}"
    if "Retry-After" in answer.headers:
        told += f", Retry-After: {answer.headers['Retry-After']}"
    visitor.screen.status(f"{told}  [{duration(answer.took)}]  {_said(answer)}", answer.status)


def _said(answer: Answer) -> str:
    """Of an error of the gateway's only its code and its words."""
    if "application/problem+json" not in answer.headers.get("Content-Type", ""):
        return answer.text.strip()
    problem = json.loads(answer.text)
    return f"{problem['code']}: {problem['detail']}"


async def _in_line(visitor: Visitor, wanted: int) -> None:
    """The next comes when so many are in, so that who is refused is no matter of luck."""
    await _until(visitor, "big", lambda status: status["leases"] + status["waiters"] >= wanted)


async def _until(visitor: Visitor, service: str, is_so: Callable[[dict[str, Any]], bool]) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while True:
                answer = await visitor.ask(f"/v1/services/{service}/status")
                if answer.status == OK and is_so(json.loads(answer.text)):
                    return True
                await asyncio.sleep(LOOK_EVERY_S)
    return False


async def shared_room(visitor: Visitor) -> bool:
    before = await visitor.hestiactl("machines")
    body = {"model": MODEL, "messages": [{"role": "user", "content": "And now?"}]}
    answer = await visitor.curl("/v1/chat/completions", body=body)
    await visitor.hestiactl("status")
    gave_way = await _until(visitor, "big", lambda status: status["state"] == "cold")
    return "big" in before and answer.status == OK and gave_way


async def asleep_again(visitor: Visitor) -> bool:
    asleep = await _until(visitor, "slow", lambda status: status["state"] == "cold")
    said = await visitor.hestiactl("activity", "--service", "slow", "--limit", "4")
    return asleep and "idle" in said


class Step(NamedTuple):
    title: str
    words: str
    show: Callable[[Visitor], Awaitable[bool]]


STEPS: Final = (
    Step(
        "Four services, and none of them runs",
        "They are reached through one address, and cost nothing until somebody wants them.",
        look_around,
    ),
    Step(
        "The first request starts the service, and waits for it",
        "`slow` takes two seconds to start. The request is held meanwhile and then answered; the next one is fast.",
        cold_then_hot,
    ),
    Step(
        "A browser does not wait in silence",
        "Stopped by hand, `slow` is cold again. A browser gets a page at once: it shows how far the start is, and turns"
        " into the service.",
        waiting_page,
    ),
    Step(
        "A model finds its service",
        "Clients of OpenAI's API need only the gateway's address: the `model` in the request says which service is"
        " meant. To list the models wakes nothing; the answer is streamed as it comes.",
        by_model,
    ),
    Step(
        "What fails on one machine runs on the next",
        "`flaky` breaks down on the machine `desk`, always. The request does not see it: it waits until the second"
        " place is ready.",
        fall_back,
    ),
    Step(
        "A line that is full says so",
        "`big` does one thing at a time, and two requests may wait for it. Four come at once: two are answered in"
        " their turn, the others are told at once to come back later.",
        full_line,
    ),
    Step(
        "Who is idle gives way",
        "`chat` needs 8 of 24 and `big` needs 20: the chat was stopped for it before, as nobody was using it. Now the"
        " chat is asked again, and `big` gives way.",
        shared_room,
    ),
    Step(
        "Asleep when nobody uses it",
        "`slow` may be idle for four seconds. Then it is stopped, and the log of what happened says why.",
        asleep_again,
    ),
)


async def walk(visitor: Visitor) -> bool:
    """All steps. Whether each showed what it says."""
    well = True
    for number, step in enumerate(STEPS, 1):
        visitor.screen.title(f"{number}/{len(STEPS)}  {step.title}")
        visitor.screen.words(step.words)
        if not await step.show(visitor):
            well = False
            visitor.screen.lines(["", "This is not what was meant to be shown.", *last_words(visitor)], "bad")
        if number < len(STEPS):
            await visitor.screen.pause()
    return well


def last_words(visitor: Visitor) -> list[str]:
    """The end of the gateway's log: why it went wrong, most likely."""
    return ["The gateway's log ends:", *visitor.home.log.read_text(errors="replace").splitlines()[-5:]]
