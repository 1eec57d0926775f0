import asyncio
import gzip
from contextlib import asynccontextmanager

import pytest

from hestia.launchers.json_api import Answer, NoAnswer, Tls, ask, said, settled, without
from tests.support import tls


@asynccontextmanager
async def server(answer, heads=None):
    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head.decode())
        if answer is None:
            await reader.read()
        writer.write(answer or b"")
        writer.close()

    one = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}/secret/path?token=abc"
    one.close()


def answering(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


async def test_a_whole_answer_comes_with_its_status():
    async with server(answering(b'{"a": 1}')) as url:
        answer = await ask("GET", url)
    assert answer.status == 200
    assert answer.json() == {"a": 1}


async def test_a_redirect_is_not_followed():
    async with server(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as url:
        assert (await ask("POST", url)).status == 302


async def test_it_sends_its_headers_and_neither_cookies_nor_a_proxys(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    heads = []
    async with server(answering(b"", b"Set-Cookie: a=b\r\n"), heads) as url:
        await ask("POST", url, headers={"X-A": "b"}, body=b"text")
        await ask("POST", url)
    assert "X-A: b\r\n" in heads[0]
    assert "Content-Length: 4\r\n" in heads[0]
    assert "cookie" not in heads[1].lower()


@pytest.mark.parametrize(
    "answer, words",
    [
        (None, "no answer within 0.2s"),
        (b"", "it closed the connection without an answer|connection reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "cut in the middle of the answer"),
        (b"not http at all\r\n\r\n", "no HTTP answer"),
        (answering(b"x" * 5000), "its answer is longer than 4 KiB"),
        (answering(gzip.compress(b"x" * 50_000), b"Content-Encoding: gzip\r\n"), "its answer is longer than 4 KiB"),
    ],
)
async def test_no_answer_has_a_reason_and_no_address(answer, words):
    async with server(answer) as url:
        with pytest.raises(NoAnswer, match=words) as problem:
            await ask("GET", url, limit=0.2, most=4096)
    assert problem.value.status is None
    assert "secret" not in repr(problem.value)
    assert problem.value.__cause__ is None


@pytest.mark.parametrize(
    "url, headers, words",
    [
        ("http://127.0.0.1:1/", {}, "connection refused"),
        ("http://name.invalid/", {}, "its host name is not known|connect"),
    ],
)
async def test_what_cannot_be_asked_is_said(url, headers, words):
    with pytest.raises(NoAnswer, match=words):
        await ask("GET", url, headers=headers)


async def test_a_header_with_a_line_end_is_not_sent():
    async with server(answering(b"")) as url:
        with pytest.raises(NoAnswer, match="no HTTP answer .ValueError"):
            await ask("GET", url, headers={"X-A": "b\r\nX-B: c"})


async def test_an_https_address_is_asked_as_it_is_told_to():
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answering(b"yes"))
        writer.close()

    one = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls.server_side())
    url = f"https://127.0.0.1:{one.sockets[0].getsockname()[1]}/"
    with pytest.raises(NoAnswer, match="its certificate is not trusted"):
        await ask("GET", url)
    with pytest.raises(NoAnswer, match="its certificate is not trusted"):
        await ask("GET", url, tls=Tls(tls.client_side(), "other.example"))
    assert (await ask("GET", url, tls=Tls(tls.client_side(), "localhost"))).body == b"yes"
    one.close()


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_no_answer(body):
    with pytest.raises(NoAnswer, match="200: its answer is no JSON"):
        Answer(200, body).json()


@pytest.mark.parametrize(
    "body, words",
    [
        (b"", ""),
        (b'{"error": "it is locked"}', "it is locked"),
        (b'{"message": "no\\n such VM", "code": 3}', "no such VM"),
        (b'{"error": {"code": 7}}', '{"code":7}'),
        (b"Not Found", "Not Found"),
        (b"<html><body>502 Bad Gateway", ""),
        (b"\xff\xfe", "��"),
        (b"x" * 400, "x" * 300 + " ..."),
    ],
)
def test_what_an_answer_says_of_its_failure(body, words):
    assert said(Answer(500, body)) == words


def test_secrets_are_blotted_out_the_longest_first():
    assert without("Bearer abcdef of abcd ab", ["abcd", "abcdef", "ab", ""]) == "Bearer *** of *** ab"


async def test_a_settled_call_gives_its_answer_and_its_failure():
    async def fails():
        raise NoAnswer("so it is", 401)

    assert await settled(asyncio.sleep(0, "answer")) == "answer"
    with pytest.raises(NoAnswer, match="so it is"):
        await settled(fails())


async def test_a_settled_call_that_is_cancelled_first_has_its_answer():
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def call():
        arrived.set()
        await answer.wait()
        done.append(1)

    done = []
    task = asyncio.ensure_future(settled(call()))
    await arrived.wait()
    task.cancel()
    await asyncio.sleep(0)
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]


async def test_a_settled_call_that_hangs_is_let_go_after_a_while():
    task = asyncio.ensure_future(settled(asyncio.Event().wait(), limit=0.01))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
