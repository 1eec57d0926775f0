"""What a browser gets while its service is cold: the page, what the page asks, and that it counts as one who waits."""

import json
import time

import pytest

from tests.life.serving import (
    QUICK,
    alive,
    ask,
    launched,
    navigation,
    problem,
    program,
    reaches,
    running,
    state,
    told,
    until,
    waiting,
)

LOOK, RETRY, CANCEL = "Hestia-Wait: 1", "Hestia-Wait: retry", "Hestia-Wait: cancel"
FORM = ("Content-Type: application/x-www-form-urlencoded",)


def look(answer):
    assert (answer.status, answer.get(b"content-type")) == (200, b"application/json")
    return json.loads(answer.body)


def waiters(run):
    return run.gateway.commands.status("a").waiters


async def test_a_navigation_to_a_cold_service_starts_it_and_gets_the_page_at_once(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        began = time.monotonic()
        page = await run.ask(navigation("/x?q=1"))
        assert time.monotonic() - began < 1
        assert (page.status, page.get(b"cache-control")) == (503, b"no-store")
        assert page.get(b"content-type").startswith(b"text/html")
        assert int(page.get(b"retry-after")) >= 1
        assert b"frame-ancestors 'none'" in page.get(b"content-security-policy")
        assert [event["cause"] for event in told(run, "service.starting")] == ["page"]
        gate.touch()
        await reaches(run, "hot")
        assert (await run.ask(navigation("/x?q=1"))).status == 200
        assert diary.requests == ["GET /x?q=1"]


async def test_a_page_counts_as_one_who_waits_and_its_looks_keep_it_so(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, queue_size=1)}) as run:
        await run.ask(navigation())
        for _ in range(3):
            assert look(await run.ask(ask("/x", LOOK)))["waiters"] == 1
        await waiting(run, ask(), 2)  # a page takes no place of `queue_size`
        assert problem(await run.ask(ask())) == (503, "queue_full")
        assert look(await run.ask(ask("/x", LOOK)))["waiters"] == 2
        await run.ask(navigation("/other"))
        assert waiters(run) == 3


async def test_a_page_that_asks_no_more_is_forgotten(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        await run.ask(navigation())
        service = run.gateway.keeper.fleet.services["a"]
        service.pages = dict.fromkeys(service.pages, time.monotonic())
        service.fleet.look()
        assert waiters(run) == 0


@pytest.mark.parametrize("method", ("GET", "HEAD"))
async def test_a_look_wakes_nothing_and_is_answered_in_every_state(diary, gate, tmp_path, method):
    async with running({"a": launched(diary, "--gate", gate, "--needs", tmp_path / "model")}) as run:
        seen = []

        async def see():
            answer = await run.ask(ask("/x", LOOK, method=method))
            assert answer.status == 200
            seen.append(state(run))

        await see()
        assert diary.starts == []
        client = await waiting(run, ask())
        await see()
        gate.touch()
        assert problem(await client.answer()) == (503, "start_failed")
        await see()
        (tmp_path / "model").touch()
        await run.gateway.commands.start("a", wait=5)
        await see()
        assert seen == ["cold", "starting", "failed", "hot"]
        assert diary.requests == []


async def test_a_look_keeps_nothing_awake(diary):
    async with running({"a": launched(diary, idle_timeout="200ms")}) as run:
        await run.ask(ask())
        while state(run) != "cold":
            await run.ask(ask("/x", LOOK))
        assert len(diary.starts) == 1


async def test_a_failed_start_shows_its_reason_and_a_plain_refresh_starts_nothing(diary):
    async with running({"a": launched(diary, "--crash", 4)}) as run:
        await run.ask(navigation())
        await reaches(run, "failed")
        seen = look(await run.ask(ask("/x", LOOK)))
        assert seen["state"] == "failed"
        assert "code 4" in seen["last_error"]
        page = await run.ask(navigation())
        assert (page.status, b"Retry" in page.body, b"code 4" in page.body) == (503, True, True)
        assert len(diary.starts) == 1


async def test_retry_ends_the_cool_down_and_starts_it(diary, gate):
    async with running({"a": launched(diary, "--needs", gate)}) as run:
        await run.ask(navigation())
        await reaches(run, "failed")
        gate.touch()
        assert look(await run.ask(ask("/x", RETRY, method="POST")))["state"] == "starting"
        await reaches(run, "hot")
        assert diary.requests == []


async def test_the_retry_form_of_the_page_starts_it_and_leads_back_to_the_page(diary, gate):
    async with running({"a": launched(diary, "--needs", gate)}) as run:
        await run.ask(navigation("/x?q=1"))
        await reaches(run, "failed")
        gate.touch()
        answer = await run.ask(ask("/x?q=1", *FORM, method="POST", body=b"hestia_wait=retry"))
        assert (answer.status, answer.get(b"location")) == (303, b"/services/a/x?q=1")
        await reaches(run, "hot")
        assert diary.requests == []


async def test_another_form_of_the_same_length_is_the_services_own(diary):
    async with running({"a": launched(diary)}) as run:
        answer = await run.ask(ask("/sum", *FORM, method="POST", body=b"hestia_wait=other"))
        assert answer.body.startswith(b"17 ")
        assert diary.requests == ["POST /sum"]


async def test_cancel_stops_the_start_if_nobody_else_waits(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        await run.ask(navigation())
        other = await waiting(run, ask(), 2)
        assert look(await run.ask(ask("/x", CANCEL, method="POST")))["state"] == "starting"
        assert waiters(run) == 1
        await run.ask(navigation())
        other.rst()
        await until(lambda: waiters(run) == 1)
        assert look(await run.ask(ask("/x", CANCEL, method="POST")))["state"] in ("cold", "stopping")
        await reaches(run, "cold")
        await until(lambda: not any(map(alive, diary.starts)))


async def test_a_cancel_of_what_is_hot_stops_nothing(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        assert look(await run.ask(ask("/x", CANCEL, method="POST")))["state"] == "hot"
        assert state(run) == "hot"


@pytest.mark.parametrize("line", (RETRY, CANCEL))
async def test_a_page_from_elsewhere_may_neither_retry_nor_cancel(diary, gate, line):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        if line == CANCEL:
            await run.ask(navigation())
        answer = await run.ask(ask("/x", line, "Origin: https://elsewhere.example", method="POST"))
        assert problem(answer) == (403, "forbidden")
        assert state(run) == ("starting" if line == CANCEL else "cold")


async def test_a_form_from_elsewhere_starts_nothing(diary):
    async with running({"a": launched(diary)}) as run:
        answer = await run.ask(ask("/x", *FORM, "Origin: https://elsewhere.example", method="POST", body=b"hestia_wait=retry"))
        assert problem(answer) == (403, "forbidden")
        assert diary.starts == []


@pytest.mark.parametrize(("line", "method"), ((RETRY, "GET"), (CANCEL, "GET"), (LOOK, "POST")))
async def test_a_wish_with_another_method_is_refused(diary, line, method):
    async with running({"a": launched(diary)}) as run:
        answer = await run.ask(ask("/x", line, method=method))
        assert (problem(answer), answer.get(b"allow") is not None) == ((405, "method_not_allowed"), True)
        assert diary.starts == []


async def test_a_start_that_waits_for_room_goes_on_for_a_page_and_is_dropped_without_one(diaries):
    services = {
        "big": launched(diaries("big"), needs={"vram": 8}, min_hot="10s", idle_timeout=0),
        "a": launched(diaries("a"), needs={"vram": 8}),
    }
    async with running(services, machines={"local": {"capacity": {"vram": 10}}}) as run:
        await run.ask(ask(service="big"))
        await run.ask(navigation())
        assert look(await run.ask(ask("/x", LOOK)))["phase"] == "making_room"
        service = run.gateway.keeper.fleet.services["a"]
        service.pages = dict.fromkeys(service.pages, time.monotonic())
        service.fleet.look()
        assert state(run) == "cold"
        assert told(run, "service.dropped", "a")


# --- `waiting`


async def test_hold_holds_a_navigation_too(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, waiting="hold")}) as run:
        client = await waiting(run, navigation())
        gate.touch()
        assert (await client.answer()).status == 200


async def test_page_gives_the_page_to_every_get_and_holds_the_rest(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, waiting="page")}) as run:
        assert (await run.ask(ask())).get(b"content-type").startswith(b"text/html")
        client = await waiting(run, ask("/sum", method="POST", body=b"x"), 2)
        gate.touch()
        assert (await client.answer(b"POST")).status == 200


async def test_refuse_starts_nothing(diary):
    async with running({"a": launched(diary, waiting="refuse")}) as run:
        for raw in (ask(), navigation(), ask(method="POST", body=b"x")):
            assert (await run.ask(raw)).status == 503
        assert problem(await run.ask(ask())) == (503, "cold")
        assert (state(run), diary.starts) == ("cold", [])
        await run.gateway.commands.start("a", wait=5)
        assert (await run.ask(ask())).status == 200


@pytest.mark.parametrize("lines", (("Accept: */*",), ("Sec-Fetch-Mode: cors", "Accept: text/html"), ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty")))
async def test_what_is_no_navigation_is_held(diary, gate, lines):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask("/x", *lines))
        gate.touch()
        assert (await client.answer()).status == 200


async def test_the_last_lines_of_its_log_are_shown_only_when_asked_for(diary, gate):
    spec = {**QUICK, "launch": {"kind": "process", "command": program(diary, "--gate", gate, "--print", "loading model")}}
    for shown in (False, True):
        async with running({"a": {**spec, "waiting_logs": shown}}) as run:
            await run.ask(navigation())
            await until(lambda shown=shown: len(diary.starts) > shown)
            end = time.monotonic() + 3
            while b"loading model" not in (page := await run.ask(navigation())).body and shown:
                assert time.monotonic() < end
            assert (b"loading model" in page.body) == shown
