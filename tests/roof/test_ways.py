import pytest

from hestia.roof.listen import CannotStart
from hestia.roof.ways import Ways, upstream_tls
from hestia.words.spec import Config, Service
from tests.support.gateway import running
from tests.support.tls import CERTIFICATE, server_side
from tests.support.wire import Upstream

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def life_of(run, service="a"):
    return next(life for life in run.gateway.fleet.places() if life.owner.id == service)


async def test_each_address_has_a_place_and_a_pool_of_its_own():
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        life = await life_of(run)
        one, two = run.gateway.ways.to(life, "http://127.0.0.1:1"), run.gateway.ways.to(life, "http://127.0.0.1:2")
        assert (one.address.port, two.address.port) == (1, 2)
        assert one.pool is not two.pool


async def test_the_place_has_what_the_configuration_says_of_it():
    service = {"base_url": "http://127.0.0.1:1", "connect_timeout": "1s", "response_timeout": "2s"}
    async with running({"a": service}) as run:
        way = (await life_of(run)).way
    assert (way.connect_timeout, way.response_timeout, way.tls) == (1.0, 2.0, None)


async def test_a_request_says_which_gateway_it_came_through():
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as run:
        assert (await run.ask(GET % b"/services/a/")).status == 200
        assert upstream.requests()[0].get(b"cdn-loop") == run.gateway.shared.loop_tag


@pytest.mark.parametrize(("verify", "status"), [(True, 502), (False, 200), (CERTIFICATE, 200)])
async def test_the_certificate_of_an_upstream_counts_as_configured(verify, status):
    async with (
        Upstream(tls=server_side()) as upstream,
        running({"a": {"base_url": upstream.base_url, "tls_verify": verify}}) as run,
    ):
        assert (await run.ask(GET % b"/services/a/")).status == status


def test_one_context_serves_all_addresses_of_a_service():
    ways = Ways(Config(services={"a": Service(id="a", tls_verify=False)}))
    assert ways._tls("a") is ways._tls("a")
    assert ways._tls("a") is not ways._tls("b")


def test_after_a_reload_the_files_count_that_it_has_read():
    before, after = Ways(Config()), Ways(Config(services={"a": Service(id="a", tls_verify=CERTIFICATE)}))
    before.follow(after)
    assert before._tls("a") is after._tls("a")


def test_a_file_that_holds_no_certificate_is_named(tmp_path):
    bad = tmp_path / "ca.pem"
    bad.write_text("none")
    with pytest.raises(CannotStart, match=r"services\.a\.tls_verify .*ca\.pem cannot be read"):
        upstream_tls("a", str(bad))
    with pytest.raises(CannotStart, match=r"No such file"):
        upstream_tls("a", str(tmp_path / "none.pem"))
