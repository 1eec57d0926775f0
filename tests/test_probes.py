import asyncio
from contextlib import asynccontextmanager

import pytest

from hestia import probes
from hestia.words.spec import Place


@asynccontextmanager
async def server(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", path=None):
    async def handle(reader, writer):
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()
        else:
            await reader.read()

    if path is not None:
        one = await asyncio.start_unix_server(handle, path)
        yield f"http+unix://{path}"
    else:
        one = await asyncio.start_server(handle, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}"
    one.close()


def status(code):
    return b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % code


async def test_without_a_check_any_http_status_will_do():
    async with server(status(500)) as url:
        assert await probes.probe(Place(base_url=url)) is None


async def test_a_check_with_a_wrong_status_is_quoted():
    async with server(status(404)) as url:
        assert await probes.probe(Place(base_url=url, health_url=url)) == "health answered 404: set health_status"


async def test_a_check_passes_with_a_status_of_its_list():
    async with server(status(404)) as url:
        place = Place(base_url=url, health_url=url, health_status=((200, 299), (404, 404)))
        assert await probes.probe(place) is None


async def test_a_redirect_is_an_answer_and_is_not_followed():
    async with server(status(302)) as url:
        assert await probes.probe(Place(base_url=url, health_url=url)) is None


async def test_a_port_that_accepts_is_ready_for_a_tcp_check():
    async with server(None) as url:
        assert await probes.probe(Place(health_url=url.replace("http:", "tcp:"))) is None


async def test_a_unix_socket_is_asked_too(tmp_path):
    async with server(path=str(tmp_path / "up.sock")) as url:
        assert await probes.probe(Place(base_url=url)) is None


async def test_a_closed_port_is_a_refused_connection():
    async with server() as url:
        pass
    assert await probes.probe(Place(base_url=url)) == "connection refused"
    assert await probes.probe(Place(health_url=url.replace("http:", "tcp:"))) == "connection refused"


async def test_a_missing_socket_is_said(tmp_path):
    assert await probes.probe(Place(base_url=f"http+unix://{tmp_path}/no.sock")) == "its socket does not exist"


async def test_silence_is_given_up_after_the_limit():
    async with server(None) as url:
        assert await probes.probe(Place(base_url=url), limit=0.05) == "no answer within 0.05s"


async def test_what_is_no_http_is_said():
    async with server(b"SSH-2.0-x\r\n\r\n") as url:
        assert "no HTTP answer" in (await probes.probe(Place(base_url=url)) or "")


async def test_a_connection_closed_without_an_answer_is_said():
    async with server(b"") as url:
        assert await probes.probe(Place(base_url=url)) == "it closed the connection without an answer"


async def test_a_body_without_end_is_not_read_to_its_end():
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as url:
        assert await probes.probe(Place(base_url=url)) is None


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:{port}"])
async def test_a_place_without_an_address_is_not_ready(url):
    assert await probes.probe(Place(base_url=url)) == "it has no address before it is started"


class Service:
    def __init__(self, id_, url, leases=0, state="cold"):
        self.id = id_
        self.leases = leases
        self.state = state
        self.said = []
        self.spec = self
        self.places = (Place(base_url=url),)
        self.tls_verify = True

    def answered(self):
        self.said.append("answered")

    def unreachable(self, reason):
        self.said.append(reason)


async def test_a_look_tells_the_service_what_it_saw():
    async with server() as url:
        up, down = Service("up", url), Service("down", None)
        await probes.Looks(lambda: 0.0).look([up, down])
    assert up.said == ["answered"]
    assert down.said == ["it has no address before it is started"]


async def test_a_fresh_look_is_trusted_for_a_second():
    now = [0.0]
    looks, service = probes.Looks(lambda: now[0]), Service("a", None)
    await looks.look([service])
    now[0] = 0.9
    await looks.look([service])
    assert len(service.said) == 1
    now[0] = 1.0
    await looks.look([service])
    assert len(service.said) == 2


async def test_a_hot_service_in_use_is_not_looked_at():
    service = Service("a", None, leases=1, state="hot")
    await probes.Looks(lambda: 0.0).look([service])
    assert service.said == []


async def test_a_failed_look_during_a_request_is_no_death():
    service = Service("a", None, leases=1, state="cold")
    await probes.Looks(lambda: 0.0).look([service])
    assert service.said == []


async def test_a_slow_look_goes_on_behind_and_close_ends_it():
    async with server(None) as url:
        looks, service = probes.Looks(lambda: 0.0), Service("a", url)
        await looks.look([service], patience=0.01)
        assert service.said == []
        assert looks._running
        await looks.close()
        assert not looks._running
