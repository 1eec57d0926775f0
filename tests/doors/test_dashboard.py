"""How the dashboard is served: its files, their headers, and what its script learns nowhere else."""

import json
import re
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request

from hestia.doors.dashboard import ABOUT, HOME, KINDS, Dashboard, assets, services_at
from hestia.doors.session import Sessions
from hestia.doors.verbs import Verbs
from hestia.fence import Fence
from tests.support.house import House, fake_house

LIMIT = 108_000
"""Bytes of all files together: nobody waits for a dashboard."""


def asked(path=HOME, **headers):
    return make_mocked_request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def dashboard():
    return Dashboard(Verbs(fake_house(), Fence(pytest.fail)), Sessions("id"))


async def test_the_page_is_the_folder_and_every_file_that_it_names_is_there(dashboard):
    page = (await dashboard.pages[HOME](asked())).body.decode()
    named = set(re.findall(r'(?:src|href)="(dashboard\.[a-z.]+)"', page))
    assert {HOME + name for name in named} == set(dashboard.pages) - {HOME, ABOUT}


async def test_every_module_that_is_imported_exists(dashboard):
    for path, asset in assets().items():
        if path.endswith(".js"):
            for name in re.findall(r'from "\./([^"]+)"', asset.body.decode()):
                assert HOME + name in dashboard.pages, f"{path} imports {name}"


def test_all_of_it_is_small_and_loads_nothing_from_elsewhere():
    text = b"".join(asset.body for asset in assets().values())
    assert len(text) < LIMIT
    elsewhere = set(re.findall(rb"https?://[a-z0-9.]+", text)) - {b"http://www.w3.org"}
    assert elsewhere == set()
    assert b"innerHTML" not in text
    assert b"@import" not in text


def test_nothing_is_inline_so_that_the_policy_needs_no_exception():
    page = assets()[HOME].body.decode()
    assert re.findall(r"<style|<script(?![^>]* src=)| style=| on[a-z]+=", page) == []


@pytest.mark.parametrize("path", sorted(assets()))
async def test_every_file_has_its_type_and_cannot_be_framed_or_misread(dashboard, path):
    headers = (await dashboard.pages[path](asked(path))).headers
    assert headers["Content-Type"] == f"{KINDS[path.rpartition('.')[2] if path != HOME else 'html']}; charset=utf-8"
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


async def test_a_file_that_has_not_changed_is_not_sent_again(dashboard):
    first = await dashboard.pages[HOME](asked())
    assert first.headers["Cache-Control"] == "no-cache"
    again = await dashboard.pages[HOME](asked(If_None_Match=f'"old", W/{first.headers["ETag"]}'))
    assert (again.status, again.body) == (304, None)
    assert (await dashboard.pages[HOME](asked(If_None_Match='"old"'))).status == 200


async def test_it_tells_version_file_routes_and_strategies_as_they_are_loaded(dashboard):
    said = json.loads((await dashboard.pages[ABOUT](asked(ABOUT))).body)
    assert set(said) == {"version", "started", "file", "session", "services_at", "routes", "strategies"}
    assert said["session"] is False
    assert {"match": "path /services/demo/", "to": "demo"} in said["routes"]
    assert "(secret)" not in json.dumps(said)


async def test_who_has_a_session_can_end_it():
    sessions = Sessions("id")
    dashboard = Dashboard(Verbs(fake_house(), Fence(pytest.fail)), sessions)
    cookie = sessions.cookie(sessions.begin("me", b""), secure=False).partition(";")[0]
    assert json.loads((await dashboard.about(asked(ABOUT, Cookie=f"a=b; {cookie}"))).body)["session"] is True
    assert json.loads((await dashboard.about(asked(ABOUT, Cookie="hestia_session_id=made-up"))).body)["session"] is False


def setting(key, value):
    return SimpleNamespace(key=key, value=value)


def test_services_answer_at_the_same_address_unless_the_dashboard_has_its_own():
    listen = ("unix:/run/h.sock", "http://0.0.0.0:8080", "http://127.0.0.1:8081")
    assert services_at([setting("admin_listen", []), setting("listen", ["x"])], listen) is None
    assert services_at([setting("admin_listen", ["127.0.0.1:8081"])], listen) == "http://0.0.0.0:8080"


def test_the_fake_house_is_a_house():
    assert isinstance(fake_house(), House)
