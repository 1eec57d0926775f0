"""The docs as the gateway serves them: every page, every picture, every link between them."""

import re

import pytest
from aiohttp.test_utils import make_mocked_request

from hestia.doors.manual import PLACE, manual
from tests.house.tree import ROOT
from tests.support.gateway import running

DOCS = ROOT / "hestia" / "docs"
KEY = "hk_" + "a" * 40
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


async def asked(path, **headers):
    return await manual()[path](make_mocked_request("GET", path, headers=headers))


def test_every_page_and_every_picture_has_its_path():
    wanted = {PLACE + name for name in PAGES} | {PLACE, f"{PLACE}manual.css"}
    wanted |= {f"{PLACE}pictures/{path.name}" for path in (DOCS / "pictures").glob("*.png")}
    assert set(manual()) == wanted


@pytest.mark.parametrize("name", PAGES)
async def test_what_a_page_links_to_is_served_too(name):
    """But for files of the source, which docs name and do not link."""
    answer = await asked(PLACE + name)
    links = set(re.findall(r'(?:href|src)="([^"#]+)(?:#[^"]*)?"', answer.body.decode())) - {"./", "../"}
    assert {link for link in links if "://" not in link and PLACE + link not in manual()} == set()


async def test_a_page_has_its_title_its_type_and_a_policy_without_scripts():
    answer = await asked(f"{PLACE}troubleshooting.md")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "<title>Troubleshooting by symptom - Hestia</title>" in answer.body.decode()
    assert "<script" not in answer.body.decode()


async def test_a_page_that_the_browser_has_is_not_sent_again():
    first = await asked(PLACE)
    assert (await asked(PLACE, **{"If-None-Match": first.headers["ETag"]})).status == 304


async def test_a_gateway_serves_them_and_nothing_beside_them():
    async with running({}) as house:
        found = await house.ask(b"GET /dashboard/docs/security.md HTTP/1.1\r\nHost: localhost\r\n\r\n")
        other = await house.ask(b"GET /dashboard/docs/secrets.md HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (found.status, other.status) == (200, 404)
    assert b"Threat model" in found.body


def request(path, method="GET", *lines):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", "")).encode()


@pytest.mark.parametrize(
    "path",
    ("docs/../dashboard.css", "docs/%2e%2e/dashboard.css", "docs/..%2fdashboard.css", "docs//security.md", "docs/pictures/", "docs/security%2emd"),
)
async def test_no_other_way_of_writing_a_path_leads_to_a_file(path):
    async with running({}) as house:
        assert (await house.ask(request(f"/dashboard/{path}"))).status in {400, 404}


async def test_they_answer_a_head_without_the_page():
    async with running({}) as house:
        found = await house.ask(request(PLACE, "HEAD"))
        assert (found.status, found.body) == (200, b"")


@pytest.mark.parametrize(("more", "at", "status"), (([], 1, 401), ([f"Authorization: Bearer {KEY}"], 1, 200), ([f"Authorization: Bearer {KEY}"], 0, 404)))
async def test_they_are_for_who_may_see_the_dashboard_and_stand_where_it_stands(more, at, status):
    auth = {"api_keys": [{"name": "k", "key": KEY}]}
    async with running({}, auth=auth, admin_listen=["127.0.0.1:0"]) as house:
        for path in (f"{PLACE}security.md", f"{PLACE}manual.css"):
            assert (await house.ask(request(path, "GET", *more), at)).status == status


def test_the_dashboard_leads_to_them():
    assert 'href="docs/"' in (ROOT / "hestia" / "pages" / "dashboard.html").read_text()
