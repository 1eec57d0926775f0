"""The clients of OpenAI and Anthropic, unchanged, against a gateway with three cold services."""

import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.life.serving import QUICK, state
from tests.support.gateway import Running, running

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

SERVER = Path(__file__).parents[1] / "support" / "model_server.py"
NAMES = {"llama": "llama3", "qwen": "org/qwen:7b", "whisper": "whisper-1"}
IMAGE = base64.b64encode(bytes(3_000_000)).decode()


def services(**more: Any) -> dict[str, Any]:
    return {
        id_: {
            **QUICK,
            "launch": {"kind": "process", "command": [sys.executable, "-S", str(SERVER), "--port", "{port}", "--model", name]},
            "start_timeout": "20s",
            "models": [name],
            **more,
        }
        for id_, name in NAMES.items()
    }


@asynccontextmanager
async def gateway(**top: Any) -> AsyncIterator[tuple[Running, str]]:
    async with running(services(), hot=False, strict=False, learns=True, **top) as run:
        yield run, f"http://127.0.0.1:{run.port}"


def states(run: Running) -> dict[str, str]:
    return {id_: state(run, id_) for id_ in NAMES}


async def test_openais_client_reaches_each_cold_service_by_its_model():
    async with gateway() as (run, url), openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        listed = await client.models.list()
        assert [(model.id, model.status) for model in listed.data] == [(name, "cold") for name in NAMES.values()]
        assert (await client.models.retrieve("org/qwen:7b")).service == "qwen"
        assert set(states(run).values()) == {"cold"}

        said = await client.chat.completions.create(model="llama3", messages=[{"role": "user", "content": "hi"}])
        assert said.choices[0].message.content.startswith("llama3 read ")
        assert states(run) == {"llama": "hot", "qwen": "cold", "whisper": "cold"}

        stream = await client.chat.completions.create(model="org/qwen:7b", stream=True, messages=[{"role": "user", "content": "hi"}])
        text = "".join([event.choices[0].delta.content async for event in stream])
        assert text.startswith("org/qwen:7b read ")

        heard = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(2_000_000)))
        assert heard.text.startswith("whisper-1 heard 2000")
        assert (await client.embeddings.create(model="llama3", input="x", encoding_format="float")).data[0].embedding == [0.5, 0.25]
        assert set(states(run).values()) == {"hot"}


async def test_openais_client_sends_images_and_hears_of_unknown_models():
    async with gateway() as (_, url), openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}, {"type": "text", "text": "what?"}]
        said = await client.chat.completions.create(model="llama3", messages=[{"role": "user", "content": parts}])
        assert int(said.choices[0].message.content.rpartition(" ")[2]) > len(IMAGE)
        with pytest.raises(openai.NotFoundError, match="known models: llama3, org/qwen:7b, whisper-1") as told:
            await client.chat.completions.create(model="gpt-9", messages=[])
        assert told.value.code == "unknown_model"


async def test_a_key_of_hestias_is_the_clients_api_key():
    auth = {"api_keys": [{"name": "some", "key": "k" * 20, "services": ["llama"]}]}
    async with gateway(auth=auth) as (_, url):
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k" * 20, max_retries=0) as client:
            assert [model.id for model in (await client.models.list()).data] == ["llama3"]
            assert (await client.chat.completions.create(model="llama3", messages=[])).choices
            with pytest.raises(openai.PermissionDeniedError):
                await client.chat.completions.create(model="whisper-1", messages=[])
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()


async def test_anthropics_client_reaches_a_cold_service_by_its_model():
    async with gateway() as (run, url), anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
        ask: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        said = await client.messages.create(model="llama3", **ask)
        assert said.content[0].text.startswith("llama3 read ")
        async with client.messages.stream(model="org/qwen:7b", **ask) as stream:
            text = "".join([piece async for piece in stream.text_stream])
        assert text.startswith("org/qwen:7b read ")
        assert states(run)["whisper"] == "cold"
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
        seen = await client.messages.create(model="llama3", max_tokens=9, messages=[{"role": "user", "content": [image]}])
        assert int(seen.content[0].text.rpartition(" ")[2]) > len(IMAGE)
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="claude", **ask)
