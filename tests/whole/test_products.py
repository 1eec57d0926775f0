"""ComfyUI, Jupyter, Ollama and a WebSocket client of the trade, each by every way to a service."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from http.cookies import SimpleCookie
from typing import Self

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.whole import doubles, ways
from tests.whole.program import Program, free_port
from tests.whole.ways import Way, browser

FOREIGN = "http://evil.example"


@pytest.fixture(scope="module")
def behind() -> int:
    """The port at which each test puts its product."""
    return free_port()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, behind: int) -> Iterator[Program]:
    config = ways.CONFIG.format(base_url=f"http://127.0.0.1:{behind}")
    with Program(tmp_path_factory.mktemp("gateway"), config) as program:
        yield program.start()


@pytest.fixture(params=ways.WAYS)
def way(request: pytest.FixtureRequest, gateway: Program, behind: int) -> Iterator[Way]:
    with ways.shown(gateway):
        yield ways.way(request.param, gateway, f"http://127.0.0.1:{behind}")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with browser() as client:
        yield client


@pytest.fixture
async def comfyui(behind: int) -> AsyncIterator[None]:
    async with doubles.serving(doubles.comfyui(), behind):
        yield


@pytest.fixture
async def jupyter(behind: int) -> AsyncIterator[None]:
    async with doubles.serving(doubles.jupyter(), behind):
        yield


@pytest.fixture
async def ollama(behind: int) -> AsyncIterator[doubles.Ollama]:
    double = doubles.Ollama()
    async with doubles.serving(double.app(), behind):
        yield double


@pytest.fixture
async def echo(behind: int) -> AsyncIterator[None]:
    async def handler(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            if message == "close":
                await socket.close(4321, "as you wish")
                return
            await socket.send(message)

    async with websockets.serve(handler, "127.0.0.1", behind, max_size=8 << 20):
        yield


def socket_to(way: Way, path: str, **options: object) -> connect:
    """A connection of the `websockets` library whose URL, Host and Origin are those of a page on this way."""
    settings: dict[str, object] = {"host": "127.0.0.1", "port": way.port, "origin": way.origin, "proxy": None} | options
    return connect(way.ws(path), **settings)  # type: ignore[arg-type]  # options by name, checked by the library


@pytest.mark.usefixtures("comfyui")
class TestComfyUI:
    async def test_a_page_queues_a_prompt_from_its_own_origin(self, way: Way, session) -> None:
        asked = {"client_id": "c1", "prompt": {}}
        headers = {"Origin": way.origin, "Referer": way.url("/"), "Sec-Fetch-Site": "same-origin"}
        async with session.post(way.url("/prompt"), json=asked, headers=headers) as answer:
            assert answer.status == 200
            assert (await answer.json())["prompt_id"] == "c1"

    async def test_a_foreign_page_stays_foreign(self, way: Way, session) -> None:
        async with session.post(way.url("/prompt"), json={"client_id": "c"}, headers={"Origin": FOREIGN}) as answer:
            assert answer.status == 403
        headers = {"Sec-Fetch-Site": "cross-site"}
        async with session.post(way.url("/prompt"), json={"client_id": "c"}, headers=headers) as answer:
            assert answer.status == 403

    async def test_progress_comes_over_the_socket(self, way: Way) -> None:
        async with socket_to(way, "/ws?clientId=c1") as socket:
            assert json.loads(await socket.recv()) == {"type": "status", "data": {"sid": "c1"}}
            assert await socket.recv() == doubles.PNG
            await socket.send("ping")
            assert await socket.recv() == "ping"

    async def test_a_foreign_socket_is_refused_by_the_product(self, way: Way) -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await socket_to(way, "/ws?clientId=c1", origin=FOREIGN)
        assert refused.value.response.status_code == 403

    async def test_an_image_goes_up_and_comes_down_unchanged(self, way: Way, session) -> None:
        form = aiohttp.FormData({"type": "input"})
        form.add_field("image", doubles.PNG * 20, filename="in.png", content_type="image/png")
        async with session.post(way.url("/upload/image"), data=form, headers={"Origin": way.origin}) as answer:
            assert (await answer.json())["size"] == len(doubles.PNG) * 20 + len("input")
        async with session.get(way.url("/view?filename=in.png&type=temp&subfolder=")) as answer:
            assert await answer.read() == doubles.PNG
            assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.usefixtures("jupyter")
class TestJupyter:
    async def test_the_root_redirects_to_the_tree_below_the_same_way(self, way: Way, session) -> None:
        async with session.get(way.url("/"), allow_redirects=False) as answer:
            assert answer.status == 302
            assert answer.headers["Location"] in {f"{way.prefix}/tree?", way.url("/tree?")}
        async with session.get(way.url("/")) as answer:
            assert (answer.status, await answer.text()) == (200, "tree")

    async def test_cookies_are_set_below_the_prefix(self, way: Way, session) -> None:
        async with session.get(way.url("/tree")) as answer:
            cookies = SimpleCookie("; ".join(answer.headers.getall("Set-Cookie")))
            assert list(cookies) == ["_xsrf", "username-localhost-8888"]
            assert {cookie["path"] for cookie in cookies.values()} == {f"{way.prefix}/"}
            first, second = answer.headers.getall("Set-Cookie")
            assert first.startswith("_xsrf=2|abc|def; expires=Fri, 01 Jan 2100 00:00:00 GMT;")
            assert second.startswith('username-localhost-8888="2|1:0|x"; HttpOnly;')

    async def test_the_token_in_the_cookie_comes_back_and_starts_a_kernel(self, way: Way, session) -> None:
        async with session.get(way.url("/tree")):
            pass
        headers = {"X-XSRFToken": "2|abc|def", "Origin": way.origin, "Referer": way.url("/tree")}
        async with session.post(way.url("/api/kernels"), headers=headers) as answer:
            assert answer.status == 201
            kernel = answer.headers["Location"]
        async with session.get(f"{way.origin}{kernel}" if kernel.startswith("/") else kernel) as answer:
            assert await answer.json() == {"id": "k1"}

    async def test_a_foreign_page_starts_no_kernel(self, way: Way, session) -> None:
        async with session.post(way.url("/api/kernels"), headers={"Origin": FOREIGN}) as answer:
            assert answer.status == 403

    async def test_a_kernel_speaks_its_protocol_over_the_socket(self, way: Way) -> None:
        path = "/api/kernels/k1/channels?session_id=s1"
        async with socket_to(way, path, subprotocols=[doubles.KERNEL_PROTOCOL], compression=None) as socket:
            assert socket.subprotocol == doubles.KERNEL_PROTOCOL
            await socket.send(doubles.PNG)
            assert await socket.recv() == doubles.PNG

    async def test_a_foreign_socket_reaches_no_kernel(self, way: Way) -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await socket_to(way, "/api/kernels/k1/channels", origin=FOREIGN)
        assert refused.value.response.status_code == 403


@pytest.mark.usefixtures("echo")
class TestWebSockets:
    """The library against its own server: compression, fragments, pings, large messages, closing from either side."""

    async def test_messages_of_every_size_come_back(self, way: Way) -> None:
        async with socket_to(way, "/", max_size=8 << 20) as socket:
            for size in (0, 1, 125, 126, 65_535, 65_536, 4 << 20):
                await socket.send(bytes(size))
                assert await socket.recv() == bytes(size)
            await socket.send(["a", "b", "c"])
            assert await socket.recv() == "abc"

    async def test_a_ping_is_answered_by_the_service(self, way: Way) -> None:
        async with socket_to(way, "/") as socket:
            assert await asyncio.wait_for(await socket.ping(), 5) >= 0

    async def test_compression_is_agreed_between_the_ends(self, way: Way) -> None:
        async with socket_to(way, "/") as socket:
            assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]

    async def test_the_service_closes_with_its_own_code(self, way: Way) -> None:
        async with socket_to(way, "/") as socket:
            await socket.send("close")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as you wish")

    async def test_the_client_closes_and_the_service_agrees(self, way: Way) -> None:
        socket = await socket_to(way, "/")
        await socket.close(4000, "enough")
        assert socket.close_code == 4000


class GoClient:
    """What the `ollama` program writes, byte for byte: Go's client on one kept connection."""

    def __init__(self, way: Way) -> None:
        self.way = way

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.way.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def ask(self, method: str, path: str, body: bytes | None = None, *, chunked: bool = False) -> None:
        head = f"{method} {self.way.prefix}{path} HTTP/1.1\r\nHost: {self.way.authority}\r\n"
        head += "User-Agent: ollama/0.5.7 (amd64 linux) Go/go1.23.4\r\n"
        if chunked:
            head += "Transfer-Encoding: chunked\r\n"
        elif body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        head += "Accept: application/json\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
        self.writer.write(head.encode())
        if body is not None:
            self._write_body(body, chunked=chunked)
        await self.writer.drain()

    def _write_body(self, body: bytes, *, chunked: bool) -> None:
        if not chunked:
            self.writer.write(body)
            return
        for begin in range(0, len(body), 32_768):
            piece = body[begin : begin + 32_768]
            self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.writer.write(b"0\r\n\r\n")

    async def head(self) -> tuple[int, dict[str, str]]:
        block = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        status, *lines = block.decode().split("\r\n")
        return int(status.split()[1]), {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}

    async def sized(self) -> tuple[int, bytes]:
        status, headers = await self.head()
        return status, await self.reader.readexactly(int(headers["content-length"]))

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10), 16)
        return (await self.reader.readexactly(size + 2))[:-2]


class TestOllama:
    """`OLLAMA_HOST` set to a way of the gateway."""

    async def test_the_heartbeat_is_a_head_of_the_root_and_the_list_follows_on_it(self, way: Way, ollama) -> None:
        async with GoClient(way) as client:
            await client.ask("HEAD", "/")
            status, headers = await client.head()
            assert (status, headers["content-length"]) == (200, str(len("Ollama is running")))
            await client.ask("GET", "/api/tags")
            status, body = await client.sized()
            assert status == 200
            assert json.loads(body)["models"][0]["name"] == "llama3.2:latest"
            assert ollama.seen == [("HEAD", "/"), ("GET", "/api/tags")]

    async def test_a_heartbeat_without_the_slash_is_sent_to_the_one_with_it(
        self, gateway: Program, behind: int
    ) -> None:
        async with GoClient(ways.way("prefix", gateway, f"http://127.0.0.1:{behind}")) as client:
            await client.ask("HEAD", "")
            status, headers = await client.head()
            assert (status, headers["location"].removeprefix(client.way.origin)) == (308, f"{client.way.prefix}/")

    async def test_each_line_of_a_chat_comes_before_the_next_is_made(self, way: Way, ollama) -> None:
        async with GoClient(way) as client:
            await client.ask("POST", "/api/chat", json.dumps({"model": "llama3.2", "messages": []}).encode())
            status, headers = await client.head()
            assert (status, headers["content-type"]) == (200, "application/x-ndjson")
            first = await client.chunk()
            ollama.go_on.set()
            lines = first.splitlines()
            while piece := await client.chunk():
                lines += piece.splitlines()
            words = [json.loads(line)["message"]["content"] for line in lines]
            assert words == ["The", " sky", " is", " blue"]

    async def test_a_model_is_created_from_a_blob_of_unknown_length(self, way: Way, ollama) -> None:
        async with GoClient(way) as client:
            blob = doubles.PNG * 40
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            await client.ask("HEAD", f"/api/blobs/{digest}")
            assert (await client.head())[0] == 404
            await client.ask("POST", f"/api/blobs/{digest}", blob, chunked=True)
            assert (await client.sized())[0] == 201
            assert ollama.blobs == {digest: len(blob)}
            assert ollama.seen[-1] == ("POST", f"/api/blobs/{digest}")
