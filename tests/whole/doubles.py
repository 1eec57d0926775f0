"""Doubles of three products, with the parts of each that a gateway can break."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KERNEL_PROTOCOL = "v1.kernel.websocket.jupyter.org"
PNG = bytes(range(256)) * 300


@asynccontextmanager
async def serving(app: web.Application, port: int) -> AsyncIterator[None]:
    """The application on this loopback port, which the test before may have left a moment ago."""
    server = TestServer(app, host="127.0.0.1", port=port)
    await server.start_server(reuse_address=True)
    try:
        yield
    finally:
        await server.close()


def _same_origin(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers["Host"].lower()


@web.middleware
async def _own_origin_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.headers.get("Sec-Fetch-Site") == "cross-site" or not _same_origin(request):
        return web.Response(status=403, text="the origin is not the host")
    return await handler(request)


# ComfyUI: the page asks for everything beside itself, the queue is filled by POST, progress comes over /ws.


async def _comfy_prompt(request: web.Request) -> web.Response:
    body = await request.json()
    return web.json_response({"prompt_id": body["client_id"], "number": 1, "node_errors": {}})


async def _comfy_upload(request: web.Request) -> web.Response:
    size = 0
    async for part in await request.multipart():
        size += len(await part.read())
    return web.json_response({"name": "in.png", "size": size})


async def _comfy_view(_: web.Request) -> web.Response:
    return web.Response(body=PNG, content_type="image/png")


async def _comfy_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json({"type": "status", "data": {"sid": request.query["clientId"]}})
    await socket.send_bytes(PNG)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


def comfyui() -> web.Application:
    app = web.Application(middlewares=[_own_origin_only], client_max_size=64 << 20)
    app.router.add_get("/", _page)
    app.router.add_get("/ws", _comfy_socket)
    app.router.add_post("/prompt", _comfy_prompt)
    app.router.add_post("/upload/image", _comfy_upload)
    app.router.add_get("/view", _comfy_view)
    return app


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>double</title>", content_type="text/html")


# Jupyter: redirects by path, cookies at /, a token that rides in one, the origin compared with the host.


async def _jupyter_root(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/tree?"})


async def _jupyter_tree(_: web.Request) -> web.Response:
    answer = web.Response(text="tree", content_type="text/html")
    answer.headers.add("Set-Cookie", "_xsrf=2|abc|def; expires=Fri, 01 Jan 2100 00:00:00 GMT; Path=/")
    answer.headers.add("Set-Cookie", 'username-localhost-8888="2|1:0|x"; HttpOnly; Path=/; SameSite=Lax')
    return answer


async def _jupyter_kernels(request: web.Request) -> web.Response:
    if request.cookies.get("_xsrf") != request.headers.get("X-XSRFToken"):
        return web.Response(status=403, text="'_xsrf' argument missing from POST")
    return web.json_response({"id": "k1"}, status=201, headers={"Location": "/api/kernels/k1"})


async def _jupyter_kernel(_: web.Request) -> web.Response:
    return web.json_response({"id": "k1"})


async def _jupyter_channels(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=(KERNEL_PROTOCOL,))
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def jupyter() -> web.Application:
    app = web.Application(middlewares=[_own_origin_only])
    app.router.add_get("/", _jupyter_root)
    app.router.add_get("/tree", _jupyter_tree)
    app.router.add_post("/api/kernels", _jupyter_kernels)
    app.router.add_get("/api/kernels/k1", _jupyter_kernel)
    app.router.add_get("/api/kernels/{id}/channels", _jupyter_channels)
    return app


# Ollama: answers local host names only, streams one JSON object a line, takes blobs of unknown length.


class Ollama:
    """`go_on` lets the second half of a chat follow: a client that saw the first line sets it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.seen: list[tuple[str, str]] = []
        self.blobs: dict[str, int] = {}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._local_hosts_only])
        app.router.add_get("/", self._root)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_head("/api/blobs/{digest}", self._has_blob)
        app.router.add_post("/api/blobs/{digest}", self._take_blob)
        return app

    @web.middleware
    async def _local_hosts_only(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append((request.method, request.raw_path))
        if urlsplit(f"//{request.headers['Host']}").hostname not in {"localhost", "127.0.0.1"}:
            return web.Response(status=403)
        return await handler(request)

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [{"name": "llama3.2:latest", "size": 2019393189}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        for number, word in enumerate(("The", " sky", " is", " blue")):
            if number == 1:
                await self.go_on.wait()
            message = {"model": asked["model"], "message": {"role": "assistant", "content": word}, "done": number == 3}
            await answer.write(json.dumps(message).encode() + b"\n")
        await answer.write_eof()
        return answer

    async def _has_blob(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["digest"] in self.blobs else 404)

    async def _take_blob(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        size = 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        if request.match_info["digest"] != f"sha256:{digest.hexdigest()}":
            return web.Response(status=400, text="digest mismatch")
        self.blobs[request.match_info["digest"]] = size
        return web.Response(status=201)
