"""The door of a service that has no place now: the line, the page, or an answer in its stead; and what a page may do."""

import json

import httptools
import pytest

from hestia.doors.cold_door import Arrival, ColdDoor
from hestia.h1.request import read_request_head
from hestia.ports import Seen
from hestia.rules.no_wake import Asleep
from hestia.words.refusal import Refusal
from hestia.words.spec import Answer
from tests.keeper.stage import staged

NAVIGATION = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document", b"Accept: text/html")


class Read:
    """An answer, by other eyes than ours."""

    def __init__(self, given):
        self.fields, self.body = {}, b""
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(given.data)
        self.status = parser.get_status_code()
        assert self.status == given.status

    def on_header(self, name, value):
        self.fields[name.decode().lower()] = value.decode()

    def on_body(self, body):
        self.body += body

    @property
    def json(self):
        return json.loads(self.body)


def arriving(*lines, method=b"GET", target=b"/x?q=1", service="a"):
    head = read_request_head(b"".join(line + b"\r\n" for line in (b"Host: box", *lines)) + b"\r\n", b"1")
    head.client = "10.0.0.1"
    return Arrival(service, head, method, target, b"/services/a", b"r-1", keep=True)


def door_of(stage, before=None):
    return ColdDoor(stage.keeper.config, stage.keeper, frozenset(), before=before)


async def never_ready(stage):
    """A start that goes on for as long as the test likes."""
    stage.answers["http://a.test"] = Seen("not yet")


# --- what arrives


async def test_a_request_is_held_and_a_navigation_starts_it_and_gets_the_page():
    async with staged() as stage:
        await never_ready(stage)
        door = door_of(stage)
        assert door.arrive(arriving(), None) is None
        assert stage.state() == "cold"
        page = Read(door.arrive(arriving(*NAVIGATION), None))
        assert (page.status, page.fields["cache-control"], stage.state()) == (503, "no-store", "starting")
        (note,) = [note for note in stage.notes if note.kind == "service.starting"]
        assert (note.cause, note.request_id) == ("page", "r-1")
        assert stage.service().waiters == 1


async def test_a_navigation_to_what_is_hot_waits_its_turn():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        assert door_of(stage).arrive(arriving(*NAVIGATION), None) is None


async def test_a_frame_gets_plain_words():
    async with staged({"a": {"waiting": "page"}}) as stage:
        await never_ready(stage)
        frame = Read(door_of(stage).arrive(arriving(b"Sec-Fetch-Dest: iframe"), None))
        assert (frame.status, frame.fields["content-type"]) == (503, "text/plain; charset=utf-8")


async def test_a_navigation_to_what_is_held_starts_nothing_and_shows_the_hold():
    async with staged() as stage:
        await stage.commands.stop("a", hold=3600)
        page = Read(door_of(stage).arrive(arriving(*NAVIGATION), None))
        assert (page.status, stage.state(), stage.service().waiters) == (503, "cold", 0)
        assert 3500 < int(page.fields["retry-after"]) <= 3600


async def test_the_operators_own_page_is_shown_and_ours_where_it_cannot_be_read(tmp_path):
    own = tmp_path / "own.html"
    own.write_text("<p>{{name}} is on its way</p>")
    async with staged({"a": {"waiting_page": str(own)}}) as stage:
        await never_ready(stage)
        door = door_of(stage)
        own.unlink()
        assert b"<p>a is on its way</p>" in Read(door.arrive(arriving(*NAVIGATION), None)).body
        assert b"progressbar" in Read(door_of(stage).arrive(arriving(*NAVIGATION), None)).body


# --- what wakes nothing


async def test_what_wakes_nothing_is_refused_or_gets_what_its_rule_says():
    async with staged() as stage:
        door = door_of(stage)
        with pytest.raises(Refusal) as refused:
            door.arrive(arriving(), Asleep())
        assert refused.value.code == "cold"
        said = Read(door.arrive(arriving(), Asleep(answer=Answer(json={"up": False}))))
        assert (said.status, said.json, stage.state()) == (200, {"up": False}, "cold")


async def test_the_last_good_answer_goes_on_to_the_next_door():
    async with staged() as stage:
        door = door_of(stage)
        arrival = arriving()
        door.answers["a"].keep(door.key(arrival), [], 200, [b"Content-Type: text/plain"], b"kept", stage.keeper.outside.clock())
        stage.ahead = 7
        given = Read(door_of(stage, before=door).arrive(arrival, Asleep("last")))
        assert (given.status, given.body, given.fields["age"]) == (200, b"kept", "7")
        with pytest.raises(Refusal):
            door.arrive(arriving(target=b"/other"), Asleep("last"))


# --- what a page asks


async def test_a_look_is_answered_in_every_state_and_keeps_its_page_counted():
    async with staged() as stage:
        await never_ready(stage)
        door = door_of(stage)
        look = arriving()
        assert Read(door.wished(look, b"1")).json["state"] == "cold"
        assert stage.service().waiters == 0
        door.arrive(arriving(*NAVIGATION), None)
        stage.ahead = 6
        assert Read(door.wished(look, b"1")).json["waiters"] == 1
        stage.ahead = 12
        stage.keeper.fleet.look()
        assert stage.service().waiters == 1
        stage.ahead = 17
        stage.keeper.fleet.look()
        assert stage.service().waiters == 0


async def test_two_pages_of_two_addresses_are_two_who_wait():
    async with staged() as stage:
        await never_ready(stage)
        door = door_of(stage)
        for target in (b"/x", b"/x", b"/y"):
            door.arrive(arriving(*NAVIGATION, target=target), None)
        assert stage.service().waiters == 2


@pytest.mark.parametrize("value", (b"2", b"", b"look"))
async def test_another_wish_is_a_bad_request(value):
    async with staged() as stage:
        with pytest.raises(Refusal) as refused:
            door_of(stage).wished(arriving(), value)
        assert refused.value.code == "bad_request"


async def test_a_retry_ends_the_cool_down():
    async with staged() as stage:
        stage.launcher.fails["a"] = "no"
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        stage.launcher.fails.clear()
        assert Read(door_of(stage).wished(arriving(method=b"POST"), b"retry")).json["state"] == "starting"
        await stage.reaches("hot")


async def test_the_form_leads_back_to_its_page_with_its_query():
    async with staged() as stage:
        await never_ready(stage)
        back = Read(door_of(stage).form(arriving(method=b"POST")))
        assert (back.status, back.fields["location"], stage.state()) == (303, "/services/a/x?q=1", "starting")


@pytest.mark.parametrize("keys", ({"waiting": "refuse"}, {}))
async def test_a_retry_starts_nothing_that_no_request_may_start(keys):
    async with staged({"a": keys}) as stage:
        stage.keeper.fleet.closing = not keys
        with pytest.raises(Refusal) as refused:
            door_of(stage).wished(arriving(method=b"POST"), b"retry")
        assert refused.value.code == ("cold" if keys else "stopped")
        assert stage.state() == "cold"


async def test_a_retry_of_what_is_held_changes_nothing():
    async with staged() as stage:
        await stage.commands.stop("a", hold=60)
        assert Read(door_of(stage).wished(arriving(method=b"POST"), b"retry")).json["held_until"]
        assert stage.state() == "cold"


async def test_a_cancel_stops_a_start_that_is_for_its_page_alone():
    async with staged() as stage:
        await never_ready(stage)
        door = door_of(stage)
        door.arrive(arriving(*NAVIGATION), None)
        door.wished(arriving(method=b"POST"), b"cancel")
        await stage.reaches("cold")
        assert stage.service().waiters == 0


async def other_page(stage, door):
    door.arrive(arriving(*NAVIGATION, target=b"/other"), None)


async def other_request(stage, _door):
    stage.ask()


async def other_command(stage, _door):
    await stage.commands.start("a")


@pytest.mark.parametrize("other", (other_page, other_request, other_command))
@pytest.mark.parametrize("counted", (True, False))
async def test_a_cancel_stops_nothing_that_somebody_else_wants(other, counted):
    """Also when the page that cancels was forgotten meanwhile."""
    async with staged() as stage:
        await never_ready(stage)
        door = door_of(stage)
        await other(stage, door)
        if counted:
            door.arrive(arriving(*NAVIGATION), None)
        door.wished(arriving(method=b"POST"), b"cancel")
        assert stage.state() == "starting"


# --- what a page shows


async def test_a_view_tells_why_it_waits_for_room_and_how_long_a_start_takes():
    big = {"needs": {"vram": 8}, "min_hot": "1h"}
    async with staged({"a": big, "b": big}, machines={"local": {"capacity": {"vram": 10}}}) as stage:
        await stage.commands.start("b", wait=2)
        stage.service().expected_start_s = 4.5
        await stage.commands.start("a")
        await stage.until(lambda: stage.commands.status("a").phase == "making_room")
        view = door_of(stage).view(stage.service())
        assert (view.state, view.phase, view.expected_s) == ("starting", "making_room", 4.5)
        assert "b" in view.in_the_way


async def test_the_last_lines_are_read_once_a_second_and_only_where_they_are_wanted():
    async with staged({"a": {"waiting_logs": True}, "b": {}}) as stage:
        stage.launcher.world.printed |= {"a": ["loading"], "b": ["secret"]}
        door = door_of(stage)
        assert door.view(stage.service()).logs == ()
        await stage.until(lambda: door.view(stage.service()).logs)
        assert door.view(stage.service()).logs == ("loading",)
        assert door.view(stage.service("b")).logs == ()
        stage.launcher.world.printed["a"].append("loaded")
        assert door.view(stage.service()).logs == ("loading",)
        stage.ahead = 2
        await stage.until(lambda: door.view(stage.service()).logs == ("loading", "loaded"))
