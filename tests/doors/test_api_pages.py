from tests.support.asking import get, raw
from tests.support.gateway import running

WATCHED = {"a": {"base_url": "http://127.0.0.1:1"}}


async def test_the_root_lists_the_addresses_that_exist():
    async with running(WATCHED) as run:
        status, found = await get(run, "/")
        assert (status, found["services"]) == (200, {"a": "/services/a/"})
        for path in (found["health"], found["dashboard"], found["metrics"], found["openapi"]):
            assert (await get(run, path))[0] == 200
        gets = [path.removeprefix("GET ") for path in found["api"] if path.startswith("GET ") and "{" not in path]
        for path in gets:
            assert (await run.ask(raw("HEAD", path))).status == 200


async def test_the_root_leads_a_person_to_the_dashboard():
    async with running() as run:
        message = await run.ask(raw("GET", "/", None, "Accept: text/html"))
    assert (message.status, message.get(b"location")) == (302, b"/dashboard/")


async def test_the_dashboard_is_a_page_behind_its_address_without_the_slash():
    async with running(WATCHED) as run:
        message = await run.ask(raw("GET", "/dashboard/"))
        moved = await run.ask(raw("GET", "/dashboard"))
    assert (message.status, message.get(b"content-type")) == (200, b"text/html; charset=utf-8")
    assert b"frame-ancestors 'none'" in message.get(b"content-security-policy")
    assert (moved.status, moved.get(b"location")) == (308, b"/dashboard/")
