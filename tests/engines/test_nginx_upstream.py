"""nginx behind Hestia: what a file server does with redirects, compression, validators and ranges."""

import gzip
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.engines.nginx import Nginx, nginx
from tests.whole import ways
from tests.whole.program import Program, Start
from tests.whole.ways import Way, browser

pytestmark = pytest.mark.engines

PAGE = "<!doctype html><title>dir</title>" + "<p>words and words</p>" * 500
STYLE = "body { color: black }\n" * 400
BLOB = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx") / "home") as running:
        _fill(running.www)
        yield running


def _fill(www: Path) -> None:
    (www / "dir" / "inner").mkdir(parents=True)
    (www / "dir" / "index.html").write_text(PAGE)
    (www / "dir" / "inner" / "index.html").write_text("inner")
    (www / "style.css").write_text(STYLE)
    (www / "blob.bin").write_bytes(BLOB)
    (www / "empty.txt").write_text("")
    (www / "a b+c~;d.txt").write_text("odd name")
    (www / "index.html").write_text("root")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, engine: Nginx) -> Iterator[Program]:
    with Program(tmp_path_factory.mktemp("gateway"), ways.CONFIG.format(base_url=engine.url)) as program:
        yield program.start()


@pytest.fixture(params=ways.WAYS)
def way(request: pytest.FixtureRequest, gateway: Program, engine: Nginx) -> Iterator[Way]:
    with ways.shown(gateway):
        yield ways.way(request.param, gateway, engine.url)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with browser() as client:
        yield client


class TestRedirects:
    async def test_a_directory_without_its_slash_leads_to_the_one_with_it(self, way: Way, session) -> None:
        async with session.get(way.url("/dir"), allow_redirects=False) as answer:
            assert answer.status == 301
            target = URL(way.url("/dir")).join(URL(answer.headers["Location"]))
            assert str(target) == way.url("/dir/")
        async with session.get(way.url("/dir")) as answer:
            assert (answer.status, gunzip(answer, await answer.read())) == (200, PAGE.encode())
            assert str(answer.url) == way.url("/dir/")

    async def test_the_query_survives_the_redirect(self, way: Way, session) -> None:
        async with session.get(way.url("/dir/inner?a=1&b=%20"), allow_redirects=False) as answer:
            assert answer.headers["Location"].endswith("/dir/inner/?a=1&b=%20")

    async def test_a_redirect_by_path_stays_below_the_prefix(self, way: Way, session) -> None:
        async with session.get(way.url("/relative"), allow_redirects=False) as answer:
            assert answer.headers["Location"] in {f"{way.prefix}/dir/", way.url("/dir/")}

    async def test_a_redirect_to_elsewhere_is_passed_as_it_is(self, way: Way, session) -> None:
        async with session.get(way.url("/moved"), allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere.example/there")

    async def test_a_form_is_answered_by_a_redirect_to_the_page(self, way: Way, session) -> None:
        async with session.post(way.url("/post"), data={"a": "b"}) as answer:
            assert (answer.status, answer.method) == (200, "GET")
            assert gunzip(answer, await answer.read()) == PAGE.encode()

    async def test_a_cookie_is_set_for_what_the_client_sees(self, way: Way, session) -> None:
        async with session.get(way.url("/expires")) as answer:
            assert answer.status == 204
            cookie = answer.headers["Set-Cookie"]
            assert f"Path={way.prefix}/dir" in cookie
            assert ("Domain" in cookie) == is_direct(answer)


def is_direct(answer: aiohttp.ClientResponse) -> bool:
    return "X-Request-ID" not in answer.headers


def gunzip(answer: aiohttp.ClientResponse, body: bytes) -> bytes:
    return gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body


class TestCompression:
    async def test_the_compressed_bytes_and_the_validator_are_those_of_the_engine(self, way, engine, session) -> None:
        headers = {"Accept-Encoding": "gzip"}
        async with session.get(f"{engine.url}/style.css", headers=headers) as answer:
            expected, etag = await answer.read(), answer.headers["ETag"]
        async with session.get(way.url("/style.css"), headers=headers) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["ETag"] == etag
            assert answer.headers["Vary"] == "Accept-Encoding"
            body = await answer.read()
        assert body == expected
        assert gzip.decompress(body) == STYLE.encode()

    async def test_who_asks_for_plain_gets_plain(self, way: Way, session) -> None:
        async with session.get(way.url("/style.css"), headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert await answer.read() == STYLE.encode()

    async def test_what_the_client_accepts_reaches_the_engine_unchanged(self, way: Way, session) -> None:
        headers = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8, *;q=0.1"}
        async with session.get(way.url("/headers"), headers=headers) as answer:
            assert (await answer.text()).split("|")[2] == headers["Accept-Encoding"]


class TestFiles:
    async def test_a_file_comes_whole_with_its_length_and_type(self, way: Way, session) -> None:
        async with session.get(way.url("/blob.bin")) as answer:
            assert answer.headers["Content-Length"] == str(len(BLOB))
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Server"].startswith("nginx")
            assert await answer.read() == BLOB

    async def test_an_empty_file_is_empty(self, way: Way, session) -> None:
        async with session.get(way.url("/empty.txt"), headers={"Accept-Encoding": "identity"}) as answer:
            assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "0", b"")

    async def test_a_path_reaches_the_engine_byte_for_byte(self, way: Way, session) -> None:
        path = "/a%20b+c%7E;d.txt"
        async with session.get(URL(way.url(path), encoded=True)) as answer:
            assert gunzip(answer, await answer.read()) == b"odd name"
        async with session.get(URL(way.url("/headers?q=%2F%2f+%20~%7e;,'"), encoded=True)) as answer:
            assert (await answer.text()).split("|")[3] == "/headers?q=%2F%2f+%20~%7e;,'"

    async def test_a_missing_file_is_the_engines_own_404(self, way: Way, session) -> None:
        async with session.get(way.url("/nothing.txt")) as answer:
            assert answer.status == 404
            assert "nginx" in gunzip(answer, await answer.read()).decode()

    async def test_the_engine_sees_its_own_name_and_origin(self, way: Way, engine: Nginx, session) -> None:
        async with session.get(way.url("/headers"), headers={"Origin": way.origin}) as answer:
            host, origin, *_ = (await answer.text()).split("|")
            direct = is_direct(answer)
        assert host == ("localhost" if direct else "127.0.0.1")
        assert origin == (way.origin if direct else engine.url)


class TestHeadAndValidators:
    async def test_head_has_the_length_and_no_body_and_the_connection_goes_on(self, way: Way, session) -> None:
        for _ in range(3):
            async with session.head(way.url("/blob.bin")) as answer:
                assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(BLOB)))
                assert await answer.read() == b""
            async with session.get(way.url("/small")) as answer:
                assert await answer.text() == "x" * 200

    async def test_not_modified_by_validator_and_by_date(self, way: Way, session) -> None:
        async with session.get(way.url("/blob.bin")) as answer:
            await answer.read()
            etag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
        for headers in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
            async with session.get(way.url("/blob.bin"), headers=headers) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
                assert answer.headers["ETag"] == etag
        async with session.get(way.url("/blob.bin"), headers={"If-Match": '"other"'}) as answer:
            assert answer.status == 412

    @pytest.mark.parametrize(
        ("asked", "begin", "end"), (("0-99", 0, 100), ("-100", -100, None), ("1000000-", 1_000_000, None))
    )
    async def test_a_range_is_exactly_that_part(self, way: Way, session, asked, begin, end) -> None:
        async with session.get(way.url("/blob.bin"), headers={"Range": f"bytes={asked}"}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"].endswith(f"/{len(BLOB)}")
            assert await answer.read() == BLOB[begin:end]

    async def test_two_ranges_come_as_parts(self, way: Way, session) -> None:
        async with session.get(way.url("/blob.bin"), headers={"Range": "bytes=0-9,100-109"}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Type"].startswith("multipart/byteranges")
            body = await answer.read()
            assert BLOB[0:10] in body
            assert BLOB[100:110] in body

    async def test_a_range_beyond_the_end_is_416(self, way: Way, session) -> None:
        async with session.get(way.url("/blob.bin"), headers={"Range": "bytes=99999999-"}) as answer:
            assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(BLOB)}")


class TestBaseUrlWithAPath:
    async def test_a_redirect_below_the_path_is_taken_back_to_the_prefix(
        self, engine: Nginx, start: Start, session
    ) -> None:
        program = start(ways.CONFIG.format(base_url=f"{engine.url}/dir"))
        way = ways.way("prefix", program, engine.url)
        async with session.get(way.url("/inner"), allow_redirects=False) as answer:
            assert URL(way.url("/inner")).join(URL(answer.headers["Location"])) == URL(way.url("/inner/"))
        async with session.get(way.url("/inner")) as answer:
            assert gunzip(answer, await answer.read()) == b"inner"
