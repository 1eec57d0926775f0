"""Requests that name no service, over real sockets: routes, models, and bodies that are read before they go on."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.gateway import running
from tests.support.wire import Message, Upstream, in_pieces, reply, saying, turns

CHAT = "/v1/chat/completions"


def post(body: bytes, *lines: str, target: str = CHAT, method: str = "POST", chunked: bool = False) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    rows = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines, framing, "", ""]
    if chunked:
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return "\r\n".join(rows).encode() + body


def get(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def chat(model: Any = "llama3", *, first: bool = True, content: str = "hi", **more: Any) -> bytes:
    before = {"model": model} if first else {}
    after = {} if first else {"model": model}
    return json.dumps({**before, "messages": [{"role": "user", "content": content}], **more, **after}).encode()


def problem(answer: Message) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


def detail(answer: Message) -> str:
    return json.loads(answer.body)["detail"]


def named(*ups: Upstream, **more: Any) -> dict[str, Any]:
    """Services a, b, ... with a model each: model-a, model-b, ..."""
    ids = "abc"
    return {ids[at]: {"base_url": up.base_url, "models": [f"model-{ids[at]}"], **more} for at, up in enumerate(ups)}


# --- models


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("first", [True, False])
async def test_the_model_of_the_body_chooses_the_service_and_the_body_arrives_whole(first, chunked):
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        body = chat("model-b", first=first, content='"model": "model-a", {[' * 20)
        answer = await gateway.ask(post(body, chunked=chunked))
        assert answer.body == b"|".join((b"POST", CHAT.encode(), b"", body))
        assert (len(a.requests()), [request.body for request in b.requests()]) == (0, [body])
        assert b.requests()[0].framing == ("chunked" if chunked else "length")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_comes_in_pieces_is_delivered_whole(chunked):
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        body = chat("model-b", first=False, content="x" * 2000)
        client = await gateway.dial()
        raw = post(body, chunked=chunked)
        await client.send_pieces(in_pieces(raw, alone=400))
        assert (await client.answer(b"POST")).body.endswith(body)
        await client.send(get("/services/a/next"))
        assert (await client.answer()).body == b"GET|/next||"


async def test_requests_behind_each_other_on_one_connection_go_where_each_belongs():
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        client = await gateway.dial()
        await client.send(post(chat("model-b")) + post(chat("model-a", first=False)) + post(chat("model-x"), "X-Last: 1"))
        assert [(await client.answer(b"POST")).status for _ in range(3)] == [200, 200, 404]
        assert (len(a.requests()), len(b.requests())) == (1, 1)


async def test_the_body_goes_on_as_soon_as_the_model_is_known():
    async with Upstream(saying(reply())) as a, running(named(a)) as gateway:
        client = await gateway.dial()
        raw = post(chat("model-a", content="x" * 1000))
        await client.send(raw[:200])
        wire = await a.wire()
        await wire.until(lambda: b'"model-a"' in wire.received)
        await client.send(raw[200:])
        assert (await client.answer(b"POST")).status == 200
        assert a.requests()[0].body == raw.partition(b"\r\n\r\n")[2]


async def test_a_body_of_a_photograph_arrives_whole_wherever_the_model_stands():
    async with Upstream() as a, running(named(a)) as gateway:
        for first in (True, False):
            body = chat("model-a", first=first, content="A" * 8_000_000)
            answer = await gateway.ask(post(body), within=20)
            assert answer.body[-len(body) :] == body
        assert gateway.gateway.shared.room.used == 0


async def test_a_form_is_searched_for_its_model():
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + b"\x00\r\n--" * 30_000 + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nmodel-b\r\n--x--\r\n'
    )
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        answer = await gateway.ask(post(form, "Content-Type: multipart/form-data; boundary=x", target="/v1/audio/transcriptions"))
        assert answer.status == 200
        assert b.requests()[0].body == form


@pytest.mark.parametrize("raw", [get("/v1/realtime?x=1&model=model-b"), post(b"RIFF", "Content-Type: audio/wav", target="/v1/raw?model=model%2Db")])
async def test_the_query_names_the_model_where_no_body_does(raw):
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        assert (await gateway.ask(raw)).status == 200
        assert len(b.requests()) == 1


async def test_an_unknown_model_is_told_with_the_known_ones():
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        answer = await gateway.ask(post(chat("gpt-9")))
        assert problem(answer) == (404, "unknown_model")
        assert "'gpt-9'" in detail(answer)
        assert "model-a, model-b" in detail(answer)
        assert json.loads(answer.body)["error"]["code"] == "unknown_model"


@pytest.mark.parametrize("body", [b'{"messages": []}', b'{"model": 7, "x": [}', b"no json", b'{"model": null}', b'{"model": {"a": 1}}'])
async def test_a_body_without_a_known_model_is_404(body):
    async with Upstream() as a, running(named(a)) as gateway:
        answer = await gateway.ask(post(body))
        assert problem(answer) == (404, "unknown_model")
    assert not a.wires


async def test_a_path_of_models_without_any_model_is_404():
    async with Upstream() as a, running(named(a)) as gateway:
        answer = await gateway.ask(get("/v1/files"))
        assert problem(answer) == (404, "unknown_model")
        assert "names no model" in detail(answer)
        assert problem(await gateway.ask(get("/v2/files"))) == (404, "not_found")


async def test_the_list_of_models_is_answered_by_hestia_and_wakes_nothing():
    async with Upstream() as a, Upstream() as b:
        services = named(a, b)
        services["b"]["models"] = ["model-b", "llama*"]
        async with running(services, hot=False) as gateway:
            gateway.gateway.choices.lists.known["b"] = ("qwen:7b", "model-a")
            answer = await gateway.ask(get("/v1/models"))
            assert json.loads(answer.body) == {
                "object": "list",
                "data": [
                    {"id": "model-a", "object": "model", "service": "a", "status": "cold"},
                    {"id": "model-b", "object": "model", "service": "b", "status": "cold"},
                    {"id": "qwen:7b", "object": "model", "service": "b", "status": "cold"},
                ],
            }
            assert answer.get(b"content-type") == b"application/json"
            head = await gateway.ask(get("/v1/models", method="HEAD"))
            assert (head.status, head.get(b"content-length"), head.body) == (200, b"%d" % len(answer.body), b"")
            one = await gateway.ask(get("/v1/models/qwen:7b"))
            assert json.loads(one.body)["service"] == "b"
            assert problem(await gateway.ask(get("/v1/models/none"))) == (404, "unknown_model")
            assert not a.wires + b.wires


async def test_the_list_keeps_its_connection():
    async with running({}) as gateway:
        client = await gateway.dial()
        for _ in range(2):
            await client.send(get("/v1/models"))
            assert json.loads((await client.answer()).body)["data"] == []


async def test_a_body_beyond_what_is_searched_is_413_and_names_the_prefix():
    async with Upstream() as a, running(named(a), limits={"body_peek": 10_000}) as gateway:
        answer = await gateway.ask(post(chat("model-a", first=False, content="x" * 20_000)))
        assert problem(answer) == (413, "payload_too_large")
        assert "/services/<id>/" in detail(answer)
        early = await gateway.ask(post(chat("model-a", content="x" * 200_000)))
        assert early.status == 200


async def test_a_body_of_just_the_length_that_is_searched_passes():
    body = chat("model-a", first=False, content="x" * 900)
    async with Upstream() as a, running(named(a), limits={"body_peek": len(body)}) as gateway:
        assert (await gateway.ask(post(body))).status == 200
        longer = chat("model-a", first=False, content="x" * 940)
        assert problem(await gateway.ask(post(longer))) == (413, "payload_too_large")


async def test_a_client_that_waits_for_our_word_is_told_at_once_to_send_its_body():
    async with Upstream() as a, running(named(a)) as gateway:
        client = await gateway.dial()
        body = chat("model-a")
        raw = post(body, "Expect: 100-continue")
        await client.send(raw[: -len(body)])
        assert (await client.message(b"POST")).status == 100
        await client.send(body)
        assert (await client.message(b"POST")).status == 200
        assert a.requests()[0].get(b"expect") is None
        await client.send(raw)  # the same block once more, in one piece: nobody waits for a word
        assert (await client.message(b"POST")).status == 200


async def test_a_malformed_body_is_400():
    async with Upstream() as a, running(named(a)) as gateway:
        raw = get(CHAT, "Transfer-Encoding: chunked", method="POST") + b"zz\r\n"
        assert problem(await gateway.ask(raw)) == (400, "bad_request")


# --- routes


ROUTES = [
    {"match": {"host": "chat.*", "path": "/v1/*"}, "service": "a"},
    {"match": {"path": "/x/*", "method": ["GET"], "header": {"X-Team": "red*"}}, "service": "b"},
    {"match": {"path": "/j", "json": {"model": "big*", "options.size": "7"}}, "service": "c"},
    {"match": {"path": "/j", "json": {"stream": "true"}}, "service": "b"},
    {"match": {"path": "/j"}, "service": "a"},
]


@pytest.mark.parametrize(
    ("raw", "goes_to"),
    [
        (get("/v1/x").replace(b"localhost", b"chat.localhost"), "a"),
        (get("/v1/x").replace(b"localhost", b"chat.x.localhost"), None),
        (get("/x/y?z", "x-team: reddish"), "b"),
        (get("/x/y", "x-team: reddish", method="HEAD"), "b"),
        (get("/x/y", "x-team: blue"), None),
        (get("/x/y"), None),
        (post(b"", "X-Team: red", target="/x/y"), None),
        (post(b'{"model": "bigger", "options": {"size": 7}}', target="/j"), "c"),
        (post(b'{"options": {"size": 8}, "model": "bigger"}', target="/j"), "a"),
        (post(b'{"stream": true}', target="/j"), "b"),
        (post(b'{"model": "bigger", "stream": true}', target="/j"), "b"),
        (post(b"text", target="/j"), "a"),
        (get("/j"), "a"),
        (get("/"), None),
    ],
)
async def test_the_first_route_that_fits_chooses(raw, goes_to):
    async with Upstream() as a, Upstream() as b, Upstream() as c, running(named(a, b, c), routes=ROUTES) as gateway:
        answer = await gateway.ask(raw)
        reached = [id_ for id_, up in zip("abc", (a, b, c), strict=True) if up.requests()]
        assert reached == ([goes_to] if goes_to else [])
        assert (answer.status == 404) == (goes_to is None and b"GET / " not in raw)


async def test_the_whole_target_reaches_the_service_without_a_prefix():
    async with Upstream() as a, running(named(a), routes=[{"service": "a"}]) as gateway:
        assert (await gateway.ask(get("/p%2fq?r=%20"))).body == b"GET|/p%2fq?r=%20||"
        assert a.requests()[0].get(b"x-forwarded-prefix") is None


async def test_a_json_rule_whose_field_is_too_far_does_not_match():
    routes = [{"match": {"json": {"model": "*"}}, "service": "b"}, {"service": "a"}]
    async with Upstream() as a, Upstream() as b, running(named(a, b), routes=routes, limits={"body_peek": 5000}) as gateway:
        answer = await gateway.ask(post(chat(first=False, content="x" * 9000)))
        assert answer.status == 200
        assert (len(a.requests()), len(b.requests())) == (1, 0)


async def test_without_routes_nothing_answers_there():
    async with Upstream() as a, running(named(a), routes=[]) as gateway:
        assert problem(await gateway.ask(post(chat("model-a")))) == (404, "not_found")


async def test_hestias_own_paths_and_prefixes_go_before_routes():
    async with Upstream() as a, running(named(a), routes=[{"service": "a"}]) as gateway:
        assert b'"ok"' in (await gateway.ask(get("/__health"))).body
        assert problem(await gateway.ask(get("/services/none/"))) == (404, "unknown_service")


async def test_the_log_tells_why_a_request_went_where_it_went():
    async with Upstream() as a, Upstream() as b, running(named(a, b)) as gateway:
        answer = await gateway.ask(post(chat("model-b"), "X-Request-ID: r-1"))
        assert answer.status == 200
        (line,) = [event for event in gateway.events if event["event"] == "route.chosen"]
        said = {key: line[key] for key in ("level", "service", "request_id", "route", "match", "by", "model")}
        assert said == {
            "level": "info",
            "service": "b",
            "request_id": "r-1",
            "route": 0,
            "match": "path /v1/*",
            "by": "strategy by_model",
            "model": "model-b",
        }


# --- who may


AUTH = {"api_keys": [{"name": "all", "key": "k" * 20}, {"name": "some", "key": "s" * 20, "services": ["a"]}]}
SOME, ALL = "Authorization: Bearer " + "s" * 20, "X-API-Key: " + "k" * 20


async def test_a_key_that_opens_some_services_sees_and_uses_those_alone():
    async with Upstream() as a, Upstream() as b, running(named(a, b), auth=AUTH) as gateway:
        assert [each["id"] for each in json.loads((await gateway.ask(get("/v1/models", SOME))).body)["data"]] == ["model-a"]
        assert "model-b" not in detail(await gateway.ask(post(chat("none"), SOME)))
        assert problem(await gateway.ask(post(chat("model-b"), SOME))) == (403, "forbidden")
        assert (await gateway.ask(post(chat("model-a"), SOME))).status == 200
        assert (await gateway.ask(post(chat("model-b"), ALL))).status == 200
        for up in (a, b):
            (request,) = up.requests()
            assert request.get(b"authorization") is None
            assert request.get(b"x-api-key") is None


async def test_without_a_key_no_body_is_read():
    async with Upstream() as a, running(named(a), auth=AUTH) as gateway:
        client = await gateway.dial()
        await client.send(post(chat("model-a"))[:-10])
        assert problem(await client.answer(b"POST")) == (401, "unauthorized")
        assert problem(await gateway.ask(get("/v1/models"))) == (401, "unauthorized")


async def test_a_preflight_of_an_allowed_origin_is_answered_where_the_body_would_choose():
    lines = ("Origin: http://ui.lan", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-api-key")
    async with Upstream() as a, running(named(a), auth={"cors_origins": ["http://ui.lan"]}) as gateway:
        answer = await gateway.ask(get(CHAT, *lines, method="OPTIONS"))
        assert (answer.status, answer.get(b"access-control-allow-origin")) == (204, b"http://ui.lan")


async def test_a_page_from_elsewhere_cannot_post_to_a_route():
    async with Upstream() as a, running(named(a)) as gateway:
        assert problem(await gateway.ask(post(chat("model-a"), "Origin: http://evil.example"))) == (403, "forbidden")


# --- bounds, and clients that leave


async def test_bodies_are_not_read_once_all_together_take_too_much():
    limits = {"body_peek": 30_000, "body_peek_total": 20_000}
    async with Upstream() as a, running(named(a), limits=limits) as gateway:
        room = gateway.gateway.shared.room
        body = chat("model-a", first=False, content="x" * 25_000)
        first, second = await gateway.dial(), await gateway.dial()
        await first.send(post(body)[:22_000])
        await gateway_reads(room, 20_000)
        await second.send(post(chat("model-a")))
        await until(lambda: len(room.line) == 1)
        await first.send(post(body)[22_000:])  # the one that began first is read on
        assert (await first.answer(b"POST")).status == 200
        assert (await second.answer(b"POST")).status == 200
        await until(lambda: room.used == 0)


async def test_a_body_that_finds_no_room_is_refused(monkeypatch):
    monkeypatch.setattr("hestia.doors.choosing.LONGEST_WAIT", 0.2)
    limits = {"body_peek": 30_000, "body_peek_total": 10_000}
    async with Upstream() as a, running(named(a), limits=limits) as gateway:
        first, second = await gateway.dial(), await gateway.dial()
        await first.send(post(chat("model-a", first=False, content="x" * 25_000))[:15_000])
        await gateway_reads(gateway.gateway.shared.room, 10_000)
        await second.send(post(chat("model-a")))
        answer = await second.answer(b"POST")
        assert problem(answer) == (503, "queue_full")
        assert "body_peek_total" in detail(answer)
        first.close()


@pytest.mark.parametrize("how", ["close", "rst"])
async def test_a_client_that_leaves_frees_everything(how):
    limits = {"body_peek": 30_000, "body_peek_total": 10_000}
    async with Upstream() as a, running(named(a), limits=limits) as gateway:
        room, fronts = gateway.gateway.shared.room, gateway.gateway.shared.fronts
        first, second = await gateway.dial(), await gateway.dial()
        await first.send(post(chat("model-a", first=False, content="x" * 25_000))[:15_000])
        await gateway_reads(room, 10_000)
        await second.send(post(chat("model-a")))  # its reading is paused
        await until(lambda: len(room.line) == 1)
        getattr(second, how)()
        await until(lambda: len(fronts) == 1)
        getattr(first, how)()
        await until(lambda: not fronts)
        assert (room.used, len(room.line), len(room.reading)) == (0, 0, 0)
        assert (await gateway.ask(post(chat("model-a")))).status == 200


async def test_a_body_counts_until_its_cold_service_has_it():
    async with Upstream() as a:
        services = {"a": {**named(a)["a"], "start_timeout": "5s"}}
        port, a.port = a.port, 0
        services["a"]["base_url"] = f"http://127.0.0.1:{port}"
        await a.__aexit__()
        async with running(services, hot=False) as gateway:
            room = gateway.gateway.shared.room
            body = chat("model-a", content="x" * 500_000)
            client = await gateway.dial()
            await client.send(post(body))
            await until(lambda: gateway.gateway.commands.status("a").waiters == 1)
            assert 0 < room.used <= len(body)
            async with Upstream(port=port):
                assert (await client.answer(b"POST")).body.endswith(body)
            await until(lambda: room.used == 0)


async def test_a_body_that_stands_still_ends_its_connection():
    async with Upstream() as a, running(named(a), limits={"stall_timeout": 0.3}) as gateway:
        client = await gateway.dial()
        await client.send(post(chat("model-a", first=False))[:-20])
        await client.until(lambda: client.ended, 3)


# --- strategies


def write(folder: Any, text: str, name: str = "mine.py") -> None:
    (folder / name).write_text(text)


SYNC = """
def route(request):
    assert request.host == "localhost" and request.client == "127.0.0.1" and request.method == "POST"
    assert request.query == "q=1" and request.path == "/r", request.path
    assert "authorization" not in request.headers and request.headers["x-to"]
    to = request.headers["x-to"]
    return None if to == "next" else [s.id for s in request.services if s.id == to and s.state == "hot"][0]

def register_strategy(registry):
    registry.add("mine", route, kind="route")
"""
ASYNC = SYNC.replace("def route", "import asyncio\n\nasync def route").replace("    to =", "    await asyncio.sleep(0.01)\n    to =")
MINE = [{"match": {"path": "/r"}, "strategy": "mine"}, {"match": {"path": "/r"}, "service": "c"}]


@pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])
async def test_a_strategy_of_the_operator_chooses_the_service(tmp_path, source):
    write(tmp_path, source)
    async with Upstream() as a, Upstream() as b, Upstream() as c, running(named(a, b, c), routes=MINE, strategies_dir=str(tmp_path)) as gateway:
        client = await gateway.dial()
        for to in ("b", "next", "a", "fail"):  # one that fails: the built-in choice, which here knows no model
            raw = post(b"body of " + to.encode(), f"X-To: {to}", "Authorization: Bearer secret", target="/r?q=1")
            await client.send_pieces([raw[:-4], raw[-4:]])
            assert (await client.answer(b"POST")).body.endswith(b"body of " + to.encode())
        assert [len(up.requests()) for up in (a, b, c)] == [1, 1, 2]
        assert [event["strategy"] for event in gateway.events if event["event"] == "strategy.failed"] == ["mine"]


async def test_a_strategy_that_chooses_what_a_key_may_not_use_is_no_failure(tmp_path):
    write(tmp_path, "def f(request):\n    return 'b'\n\ndef register_strategy(r):\n    r.add('mine', f, kind='route')\n")
    async with Upstream() as a, Upstream() as b, running(named(a, b), routes=MINE[:1], strategies_dir=str(tmp_path), auth=AUTH) as gateway:
        assert problem(await gateway.ask(get("/r", SOME))) == (403, "forbidden")
        assert (await gateway.ask(get("/r", ALL))).status == 200
        assert not [event for event in gateway.events if event["event"] == "strategy.failed"]


async def test_of_two_services_with_one_model_a_key_gets_the_one_that_it_opens():
    async with Upstream() as a, Upstream() as b:
        services = {"b": {"base_url": b.base_url}, "a": {"base_url": a.base_url}}
        async with running(services, auth=AUTH) as gateway:
            gateway.gateway.choices.lists.known.update(a=("m",), b=("m",))
            assert (await gateway.ask(post(chat("m"), SOME))).status == 200
            assert (await gateway.ask(post(chat("m"), ALL))).status == 200
            assert (len(a.requests()), len(b.requests())) == (1, 1)


async def test_a_client_that_leaves_while_a_strategy_thinks_leaves_nothing_behind(tmp_path):
    write(tmp_path, ASYNC.replace("0.01", "60"))
    async with Upstream() as a, running(named(a), routes=MINE[:1], strategies_dir=str(tmp_path)) as gateway:
        client = await gateway.dial()
        before = len(gateway.gateway.shared.fence.tasks)
        await client.send(post(b"x", "X-To: a", target="/r?q=1"))
        await until(lambda: len(gateway.gateway.shared.fence.tasks) == before + 1)
        client.close()
        await until(lambda: not gateway.gateway.shared.fronts)
        await until(lambda: len(gateway.gateway.shared.fence.tasks) == before)


async def test_a_strategy_file_comes_breaks_is_repaired_and_goes_while_requests_flow(tmp_path):
    good = SYNC.partition("    assert")[0] + "    return {id!r}\n\ndef register_strategy(registry):\n    registry.add('by_model', route, kind='route')\n"
    async with Upstream() as a, Upstream() as b, running(named(a, b), strategies_dir=str(tmp_path)) as gateway:
        strategies = gateway.gateway.choices.strategies
        answers: list[int] = []
        stop = asyncio.Event()

        async def flow() -> None:
            client = await gateway.dial()
            while not stop.is_set():
                await client.send(post(chat("model-a")))
                answers.append((await client.answer(b"POST")).status)

        flowing = [asyncio.create_task(flow()) for _ in range(3)]
        for source in (None, good.format(id="b"), "def broken(:", good.format(id="a"), "raise SystemExit(1)", None):
            if source is not None:
                write(tmp_path, source)
            else:
                (tmp_path / "mine.py").unlink(missing_ok=True)
            await strategies.reload()
            before = len(answers)
            await until(lambda before=before: len(answers) > before + 20)
        stop.set()
        await asyncio.gather(*flowing)
        assert set(answers) == {200}
        assert len(b.requests()) > 10
        assert {event["event"] for event in gateway.events} >= {"strategy.replaced", "strategy.broken", "strategies.reloaded"}


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def gateway_reads(room: Any, size: int) -> None:
    await until(lambda: room.used >= size)
    await turns(3)
