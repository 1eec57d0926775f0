import asyncio
from contextlib import asynccontextmanager

import pytest

from hestia import probes
from hestia.ports import Check, Seen
from tests.support.tls import CERTIFICATE, server_side


@asynccontextmanager
async def server(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", path=None, tls=None):
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
        one = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        scheme, host = ("https", "localhost") if tls is not None else ("http", "127.0.0.1")
        yield f"{scheme}://{host}:{one.sockets[0].getsockname()[1]}"
    one.close()


def status(code):
    return b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % code


async def test_without_statuses_any_http_status_will_do():
    async with server(status(500)) as url:
        assert await probes.probe(Check(url)) == Seen()


async def test_a_wrong_status_is_quoted():
    async with server(status(404)) as url:
        assert await probes.probe(Check(url, ((200, 399),))) == Seen("health answered 404: set health_status")


async def test_a_check_passes_with_a_status_of_its_list():
    async with server(status(404)) as url:
        assert await probes.probe(Check(url, ((200, 299), (404, 404)))) == Seen()


async def test_a_redirect_is_an_answer_and_is_not_followed():
    async with server(status(302)) as url:
        assert await probes.probe(Check(url)) == Seen()
        assert (await probes.probe(Check(url, ((200, 299),)))).reason == "health answered 302: set health_status"


async def test_a_port_that_accepts_is_ready_for_a_tcp_check():
    async with server(None) as url:
        assert await probes.probe(Check(url.replace("http:", "tcp:"))) == Seen()


async def test_a_unix_socket_is_asked_too(tmp_path):
    async with server(path=str(tmp_path / "up.sock")) as url:
        assert await probes.probe(Check(url)) == Seen()


async def test_a_closed_port_is_a_refused_connection():
    async with server() as url:
        pass
    assert await probes.probe(Check(url)) == Seen("connection refused", refused=True)
    assert await probes.probe(Check(url.replace("http:", "tcp:"))) == Seen("connection refused", refused=True)


async def test_a_missing_socket_is_said(tmp_path):
    assert await probes.probe(Check(f"http+unix://{tmp_path}/no.sock")) == Seen("its socket does not exist", refused=True)


async def test_silence_is_given_up_after_the_limit_and_is_no_refusal():
    async with server(None) as url:
        assert await probes.probe(Check(url), limit=0.05) == Seen("no answer within 0.05s", at_once=False)


async def test_what_is_no_http_is_said():
    async with server(b"SSH-2.0-x\r\n\r\n") as url:
        assert "no HTTP answer" in ((await probes.probe(Check(url))).reason or "")


async def test_a_connection_closed_without_an_answer_is_said():
    async with server(b"") as url:
        assert await probes.probe(Check(url)) == Seen("it closed the connection without an answer")


async def test_a_body_without_end_is_not_read():
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as url:
        assert await probes.probe(Check(url)) == Seen()


async def test_a_certificate_that_nobody_vouches_for_is_said_unless_that_is_switched_off():
    async with server(tls=server_side()) as url:
        assert (await probes.probe(Check(url))).reason == "its certificate is not trusted: set tls_verify"
        assert await probes.probe(Check(url, tls_verify=False)) == Seen()
        assert await probes.probe(Check(url, tls_verify=CERTIFICATE)) == Seen()


async def test_a_check_that_is_cancelled_ends():
    async with server(None) as url:
        asked = asyncio.ensure_future(probes.probe(Check(url)))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked


async def test_asked_whether_it_works_the_beginning_of_a_good_answer_is_given_back():
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as url:
        assert await probes.ask(url) == "x" * probes.BODY_BYTES


async def test_asked_whether_it_works_what_is_no_text_harms_nobody():
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1\xff2") as url:
        assert await probes.ask(url) == "1\ufffd2"


@pytest.mark.parametrize("answer", [status(500), status(302), status(404), b"", b"SSH-2.0-x\r\n\r\n"])
async def test_asked_whether_it_works_any_other_answer_is_none(answer):
    async with server(answer) as url:
        assert await probes.ask(url) is None


async def test_asked_whether_it_works_silence_and_a_closed_port_are_no_answer():
    async with server(None) as url:
        assert await probes.ask(url, limit=0.05) is None
    assert await probes.ask(url) is None
