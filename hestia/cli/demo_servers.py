"""Two of the demo's servers: a chat that speaks as OpenAI's API does, and one that is big and slow at its work."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

MODEL: Final = "demo-chat"
ANSWER: Final = (
    "Nothing ran before you asked. Hestia found me by the name of my model, started me, held your request"
    " meanwhile, and now passes my words on as they come."
)
WORD_EVERY_S: Final = 0.04
PAINTS_FOR_S: Final = 0.7


async def health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "hestia"}]})


async def completions(request: web.Request) -> web.StreamResponse:
    """It answers the same to everything; streamed if it is asked so."""
    try:
        asked = await request.json()
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        error = {"message": "the body is no JSON object", "type": "invalid_request_error"}
        return web.json_response({"error": error}, status=400)
    head = {"id": f"chatcmpl-{time.time_ns():x}", "created": int(time.time()), "model": asked.get("model") or MODEL}
    return await _streamed(request, head) if asked.get("stream") is True else web.json_response(_whole(head))


def _whole(head: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    words = len(ANSWER.split())
    usage = {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


async def _streamed(request: web.Request, head: dict[str, Any]) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await answer.prepare(request)
    for delta in _deltas():
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        await answer.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await asyncio.sleep(WORD_EVERY_S)
    await answer.write(b"data: [DONE]\n\n")
    return answer


def _deltas() -> Iterator[dict[str, str]]:
    """Word by word; an empty one is the end."""
    yield {"role": "assistant", "content": ""}
    for number, word in enumerate(ANSWER.split()):
        yield {"content": f" {word}" if number else word}
    yield {}


def chat_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", completions)
    return app


async def paint(request: web.Request) -> web.Response:
    """Stands for work that takes a whole GPU: one picture at a time is all it could do."""
    await asyncio.sleep(PAINTS_FOR_S)
    return web.json_response({"painted": request.query.get("picture", "a picture")})


def big_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/paint", paint)
    return app
