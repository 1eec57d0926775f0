from hestia.roof.config import load_text
from hestia.roof.in_force import guard_of, put_in_force, relayed_of
from hestia.words.spec import ApiKey, Auth, Config
from tests.support.gateway import config_text, running

GET = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n"
ALIVE = {"base_url": "http://127.0.0.1:1"}


def config(services=None, **top):
    return load_text(config_text("/nowhere", services or {}, top)).config


def in_force(run, whole):
    """All of it, as a reload does it."""
    gateway = run.gateway
    gateway.keeper.adopt(whole)
    gateway.relayed = relayed_of(whole, gateway.keeper, gateway.relayed)
    put_in_force(whole, gateway.keeper, gateway.shared, gateway.relayed, 1 << 20)


async def test_a_service_that_is_known_stays_the_object_that_connections_remember():
    async with running({"a": ALIVE, "b": ALIVE}) as run:
        before = run.gateway.relayed
        quiet = {**ALIVE, "no_wake": [{"path": "/quiet"}], "tunnel_idle": "7s"}
        whole = config({"a": quiet, "c": ALIVE})
        run.gateway.keeper.adopt(whole)
        after = relayed_of(whole, run.gateway.keeper, before)
        assert list(after) == ["a", "c"]
        assert after["a"] is before["a"]
        assert (after["a"].tunnel_idle, bool(after["a"].no_wake)) == (7.0, True)


async def test_a_service_whose_life_was_made_anew_is_reached_all_the_same():
    async with running({"a": ALIVE}) as run:
        in_force(run, config())
        in_force(run, config({"a": ALIVE}))
        assert (await run.ask(GET % (b"/services/a/", b"localhost"))).status in {502, 503}


async def test_the_next_request_goes_by_the_new_routes_and_names():
    async with running({"a": ALIVE}) as run:
        assert (await run.ask(GET % (b"/__health", b"nas.example"))).status == 421
        in_force(run, config(allowed_hosts=["nas.example"]))
        assert (await run.ask(GET % (b"/__health", b"nas.example"))).status == 200
        assert (await run.ask(GET % (b"/services/a/", b"localhost"))).status == 404


async def test_the_next_connection_goes_by_the_new_limits():
    async with running() as run:
        in_force(run, config(limits={"header_bytes": "1KiB"}))
        assert (await run.ask(GET % (b"/__health?" + b"x" * 2000, b"localhost"))).status == 431
        assert run.gateway.shared.server.limits is run.gateway.shared.limits


async def test_counts_go_on_where_they_stood():
    async with running({"a": ALIVE, "b": ALIVE}, strict=False) as run:
        await run.ask(GET % (b"/services/a/", b"localhost"))
        before = run.gateway.shared.tally.rows["a"]
        in_force(run, config({"a": ALIVE, "c": ALIVE}))
        assert run.gateway.shared.tally.rows["a"] is before
        assert "c" in run.gateway.shared.tally.rows


async def test_what_was_answered_for_a_sleeping_service_is_still_known():
    last = {"a": {**ALIVE, "no_wake": [{"path": "/api/*", "answer": "last"}]}}
    async with running(last) as run:
        answers = run.gateway.shared.cold.answers["a"]
        answers.keep((b"http", b"localhost", b"", b"/api/x"), (), 200, (), b"kept", 0.0)
        in_force(run, config({**last, "b": ALIVE}))
        assert run.gateway.shared.cold.answers["a"] is answers


def test_keys_switch_auth_on_and_admin_listen_keeps_the_api_apart():
    guard = guard_of(Config(auth=Auth(api_keys=(ApiKey(name="me", key="k" * 20),)), admin_listen=("127.0.0.1:1",)))
    assert guard.on
    assert guard.admin_apart
    assert not guard_of(Config()).on
