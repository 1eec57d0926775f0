"""The demo's servers that have something to say: clients of OpenAI's API must understand the chat."""

import asyncio
import json

import pytest

from hestia.cli.demo_servers import ANSWER, MODEL, big_app, chat_app

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture
async def chat(aiohttp_client, monkeypatch):
    monkeypatch.setattr("hestia.cli.demo_servers.WORD_EVERY_S", 0)
    return await aiohttp_client(chat_app())


@pytest.fixture
async def big(aiohttp_client, monkeypatch):
    monkeypatch.setattr("hestia.cli.demo_servers.PAINTS_FOR_S", 0.01)
    return await aiohttp_client(big_app())


async def test_both_answer_a_readiness_check(chat, big):
    assert [(await each.get("/health")).status for each in (chat, big)] == [200, 200]


async def test_the_chat_lists_its_model(chat):
    listed = await (await chat.get("/v1/models")).json()
    assert [each["id"] for each in listed["data"]] == [MODEL]


async def test_the_chat_answers_whole(chat):
    said = await (await chat.post("/v1/chat/completions", json=HELLO)).json()
    assert (said["object"], said["model"]) == ("chat.completion", "m")
    assert said["choices"][0]["message"] == {"role": "assistant", "content": ANSWER}
    assert said["usage"]["total_tokens"] == said["usage"]["prompt_tokens"] + said["usage"]["completion_tokens"]


async def test_the_chat_streams_word_by_word_and_ends_as_openai_does(chat):
    answer = await chat.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert answer.content_type == "text/event-stream"
    *events, last, rest = (await answer.text()).split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    assert "".join(each["delta"].get("content", "") for each in choices) == ANSWER
    assert len(choices) == len(ANSWER.split()) + 2
    assert [each["finish_reason"] for each in choices[-2:]] == [None, "stop"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff"])
async def test_a_body_that_is_no_object_is_refused_in_openai_s_words(chat, body):
    answer = await chat.post("/v1/chat/completions", data=body)
    assert answer.status == 400
    assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_the_big_one_takes_its_time_and_says_what_it_painted(big, monkeypatch):
    monkeypatch.setattr("hestia.cli.demo_servers.PAINTS_FOR_S", 0.2)
    begin = asyncio.get_running_loop().time()
    assert await (await big.get("/paint?picture=7")).json() == {"painted": "7"}
    assert asyncio.get_running_loop().time() - begin >= 0.2
