"""The lists of models that services give of themselves, over real sockets."""

import json
from typing import Any

import pytest

from tests.doors.test_choosing import chat, get, post, problem, until
from tests.support.gateway import make_hot, running
from tests.support.wire import BrokenError, Upstream, reply

OPENAI = json.dumps({"object": "list", "data": [{"id": "m1"}, {"id": "org/m2"}]}).encode()
OLLAMA = json.dumps({"models": [{"name": "llama3:latest"}]}).encode()


class Service(Upstream):
    """It lists its models at some paths, and answers anything else by its target."""

    def __init__(self, **lists: bytes) -> None:
        super().__init__(self.serve)
        self.lists = {b"/v1/models": lists.get("openai"), b"/api/tags": lists.get("ollama")}

    async def serve(self, wire: Any) -> None:
        while True:
            try:
                request = await wire.message(within=600)
            except BrokenError:
                return
            listed = self.lists.get(request.target, request.target)
            await wire.send(reply(listed) if listed is not None else reply(status=b"404 Not Found"))

    @property
    def asked(self) -> list[bytes]:
        return [request.target for request in self.requests()]


def config(up: Upstream, **more: Any) -> dict[str, Any]:
    return {"a": {"base_url": up.base_url, **more}}


@pytest.mark.parametrize(("lists", "names"), [({"openai": OPENAI}, ("m1", "org/m2")), ({"ollama": OLLAMA}, ("llama3:latest",))])
async def test_a_service_that_becomes_hot_is_asked_once_for_its_models(lists, names):
    async with Service(**lists) as up, running(config(up), learns=True) as gateway:
        known = gateway.gateway.choices.lists.known
        await until(lambda: "a" in known)
        assert known["a"] == names
        assert (await gateway.ask(post(chat(names[0])))).status == 200
        assert up.asked.count(b"/v1/models") == 1
        told = json.loads((await gateway.ask(get("/v1/models"))).body)
        assert [each["id"] for each in told["data"]] == list(names)


async def test_a_service_with_headers_and_a_path_is_asked_with_both():
    async with Service(openai=OPENAI) as up:
        up.lists[b"/base/v1/models"] = OPENAI
        services = {"a": {"base_url": f"{up.base_url}/base", "headers": {"set": {"Authorization": "Bearer up"}}}}
        async with running(services, learns=True) as gateway:
            await until(lambda: "a" in gateway.gateway.choices.lists.known)
            assert up.requests()[0].get(b"authorization") == b"Bearer up"


async def test_what_is_no_list_leaves_what_was_known():
    async with Service(openai=b"<html>") as up, running(config(up), hot=False, learns=True) as gateway:
        known = gateway.gateway.choices.lists.known
        known["a"] = ("old",)
        make_hot(gateway.gateway)
        await until(lambda: b"/api/tags" in up.asked)
        await until(lambda: not gateway.gateway.choices.lists._asking)
        assert known["a"] == ("old",)


async def test_a_list_is_kept_for_the_next_gateway():
    async with Service(openai=OPENAI) as up, running(config(up), learns=True) as gateway:
        store = gateway.gateway._store
        await until(lambda: store.models() == {"a": ("m1", "org/m2")})


async def test_a_model_that_came_meanwhile_is_found_by_asking_anew(monkeypatch):
    monkeypatch.setattr("hestia.doors.lists.FRESH_FOR", 0.05)
    async with Service(openai=OPENAI) as up, running(config(up), learns=True) as gateway:
        await until(lambda: "a" in gateway.gateway.choices.lists.known)
        up.lists[b"/v1/models"] = b'{"data": [{"id": "pulled"}]}'
        await until(gateway.gateway.choices.lists.stale)
        assert (await gateway.ask(post(chat("pulled")))).status == 200
        await until(gateway.gateway.choices.lists.stale)
        assert problem(await gateway.ask(post(chat("never")))) == (404, "unknown_model")


async def test_lists_that_do_not_come_hold_nobody_for_long(monkeypatch):
    monkeypatch.setattr("hestia.doors.lists.LONGEST", 0.2)

    async def silent(wire: Any) -> None:
        await wire.until(lambda: wire.ended, 600)

    async with Upstream(silent) as up, running(config(up), learns=True) as gateway:
        gateway.gateway.choices.lists._asked.clear()
        assert problem(await gateway.ask(post(chat("m1")))) == (404, "unknown_model")


async def test_a_cold_service_is_not_asked():
    async with Service(openai=OPENAI) as up, running(config(up), hot=False, learns=True) as gateway:
        assert problem(await gateway.ask(post(chat("m1")))) == (404, "unknown_model")
        assert not up.wires
