"""The usual way to write a proxy in Python: FastAPI and one httpx client. It imports nothing of this repository's."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate"}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=512)
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], limits=limits, timeout=None) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


@app.api_route("/{path:path}", methods=["GET", "POST"])
async def relay(path: str, request: Request) -> StreamingResponse:
    headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP | {"host"}]
    headers.append(("x-forwarded-for", request.client.host if request.client else ""))
    body = request.stream() if request.method == "POST" else None
    url = httpx.URL(path="/" + path, query=request.url.query.encode())
    client: httpx.AsyncClient = request.app.state.client
    answer = await client.send(client.build_request(request.method, url, headers=headers, content=body), stream=True)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        finally:
            await answer.aclose()

    kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
    return StreamingResponse(chunks(), answer.status_code, kept)
