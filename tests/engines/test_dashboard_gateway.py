"""The dashboard in front of a whole gateway with real processes, in a real browser."""

import asyncio
import socket
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.engines.browser import chromium
from tests.engines.test_dashboard import ROWS, button, first_clickable, in_dialog, press, row, says, type_
from tests.support.gateway import running

pytestmark = pytest.mark.engines
PAGES = """
import sys, time, http.server
print("it begins <b>", flush=True)
time.sleep(float(sys.argv[2]))
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.endswith("/slow"):
            time.sleep(20)
        body = b"<!doctype html><title>the service</title><link rel=icon href='data:,'>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def launched(delay=0.5, **more):
    command = [sys.executable, "-u", "-c", PAGES, "{port}", str(delay)]
    return {"launch": {"kind": "process", "command": command}, "start_timeout": "20s", "start_attempts": 1, "drain_timeout": "0.5s", **more}


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as browser:
        yield browser


async def opened(browser, gateway, index=0):
    tab = await browser.tab()
    await tab.go(f"http://localhost:{gateway.ports[index]}/dashboard/")
    await tab.until("document.getElementById('link')?.dataset.link === 'live' && document.querySelectorAll('#rows > li').length > 0")
    return tab


async def test_a_service_is_started_watched_and_stopped_and_says_why_each_time(browser):
    async with running({"pages": launched(idle_timeout="10m")}) as gateway:
        tab = await opened(browser, gateway)
        await tab.until("document.getElementById('welcome').innerText.includes('nothing has run yet')")
        await press(tab, button("pages", "Start"))
        await tab.until(says("pages", "starting"))
        await tab.until(says("pages", "hot"))
        await tab.until(says("pages", "sleeps in"))
        await tab.look(f"{row('pages')}.querySelector('details').open = true")
        await press(tab, button("pages", "Show its log"))
        await tab.until("document.querySelector('.log').textContent.includes('it begins <b>')")
        await press(tab, button("pages", "Stop"))
        await tab.until(says("pages", "stopped: a command"))
        await tab.until("document.querySelectorAll('.strip rect.is-hot').length === 1")
        await tab.until("document.querySelector('#activity tbody').innerText.includes('service.ready')")
        assert tab.said == []


async def test_a_hold_is_kept_and_ended_by_start(browser):
    async with running({"pages": launched()}) as gateway:
        tab = await opened(browser, gateway)
        await press(tab, button("pages", "Hold"))
        await press(tab, in_dialog("Hold"))
        await tab.until(says("pages", "held until"))
        assert gateway.gateway.commands.status("pages").held_until is not None
        await press(tab, button("pages", "Start"))
        await tab.until(says("pages", "hot"))
        assert gateway.gateway.commands.status("pages").held_until is None


async def test_a_failed_start_says_why_and_retry_tries_again(browser):
    service = {"launch": {"kind": "process", "command": [sys.executable, "-c", "print('no <i>GPU</i>'); raise SystemExit(3)"]}, "base_url": "http://127.0.0.1:9", "start_attempts": 1, "start_timeout": "20s", "failure_cooldown": "60s"}
    async with running({"broken": service}, strict=False) as gateway:
        tab = await opened(browser, gateway)
        await press(tab, button("broken", "Start"))
        await tab.until(says("broken", "failed"))
        await tab.until(says("broken", "no <i>GPU</i>"))
        await press(tab, button("broken", "Retry"))
        await tab.until("document.querySelector('#traffic tbody')?.innerText.includes('2 failures') === true")


async def test_who_is_in_flight_is_shown_and_cancelled_and_stop_asks_first(browser):
    async with running({"pages": launched(0)}) as gateway:
        tab = await opened(browser, gateway)
        client = await gateway.dial()
        await client.send(b"GET /services/pages/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await tab.until(says("pages", "kept awake by 1 lease"))
        await press(tab, button("pages", "Stop"))
        await tab.until("document.querySelector('dialog[open]')?.innerText.includes('/slow') === true")
        await type_(tab, "Escape")
        await press(tab, "document.querySelector('#inflight tbody button')")
        await press(tab, in_dialog("Cancel request"))
        answer = await client.answer(b"GET", 15)
        assert answer.status == 503
        await tab.until("document.getElementById('inflight').innerText.includes('No request is in flight')")
        client.transport.abort()


async def test_it_is_right_again_after_the_gateway_was_started_again(browser):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with running({"pages": launched(0)}, listen=[f"127.0.0.1:{port}"]) as gateway:
        tab = await opened(browser, gateway)
        await press(tab, button("pages", "Start"))
        await tab.until(says("pages", "hot"))
    await tab.until("document.getElementById('link').dataset.link === 'lost'")
    async with running({"pages": launched(0), "new": launched(0)}, listen=[f"127.0.0.1:{port}"]):
        await tab.until("document.getElementById('link').dataset.link === 'live'")
        await tab.until(says("pages", "cold"))
        await tab.until(says("new", "cold"))
        await press(tab, button("new", "Start"))
        await tab.until(says("new", "hot"))


async def test_one_login_opens_the_dashboard_and_the_services_and_ends_by_log_out(browser):
    auth = {"dashboard": {"username": "me", "password": "open sesame"}}
    async with running({"pages": launched(0)}, auth=auth) as gateway:
        tab = await browser.tab()
        await tab.go(f"http://localhost:{gateway.port}/dashboard/")
        await tab.until("!!document.querySelector('input[name=password]')")
        await tab.look("(() => { document.querySelector('[name=username]').value = 'me'; document.querySelector('[name=password]').value = 'open sesame'; document.querySelector('form').submit(); })()")
        await tab.until("document.getElementById('link')?.dataset.link === 'live'")
        await press(tab, button("pages", "Start"))
        await tab.until(says("pages", "hot"))
        link = await tab.look("document.querySelector('.open').href")
        assert await tab.look(f"fetch({link!r}).then((answer) => answer.text()).then((text) => text.includes('the service'))")
        await tab.until("document.getElementById('logout').hidden === false")
        await tab.look("document.querySelector('#logout button').click()")
        await tab.until("!!document.querySelector('input[name=password]')")


async def test_with_an_address_of_its_own_the_services_are_linked_at_theirs(browser):
    async with running({"pages": launched(0)}, admin_listen=["127.0.0.1:0"]) as gateway:
        tab = await opened(browser, gateway, 1)
        await tab.until(f"document.querySelector('.open').href === 'http://127.0.0.1:{gateway.port}/services/pages/'")
        await press(tab, button("pages", "Start"))
        await tab.until(says("pages", "hot"))
        await asyncio.sleep(0)
        assert tab.said == []


def a_week(folder, services):
    """Twenty starts a day of each, as the gateway would have written them."""
    now = int(time.time() * 1000)
    steps = [("service.starting", "starting"), ("service.ready", "hot"), ("service.stopped", "cold")]
    rows = []
    for number, id_ in enumerate(services):
        for step in range(7 * 60):
            kind, state = steps[step % 3]
            at = now - 7 * 86_400_000 + step * 1_430_000 + number * 1000
            rows.append((at * 1000, at, now, kind, id_, 0, "local", state, "request"))
    with closing(sqlite3.connect(Path(folder) / "hestia.db", timeout=10)) as database, database:
        names = "id, ts, life, kind, service, place, machine, state, cause"
        database.executemany(f"INSERT INTO activity ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


async def test_fifty_services_with_a_week_in_the_database_are_there_within_a_second(browser):
    services = {f"service-{number:02d}": launched(0) for number in range(50)}
    async with running(services) as gateway:
        await asyncio.to_thread(a_week, gateway.folder, services)  # the gateway's own writer needs the loop to finish
        tab, milliseconds = await first_clickable(browser, f"http://localhost:{gateway.port}")
        assert milliseconds < 1000
        await tab.until(f"{ROWS} === 50 && document.querySelectorAll('.strip rect.is-hot').length > 500")
        await press(tab, button("service-00", "Start"))
        await tab.until(says("service-00", "hot"))
        assert tab.said == []


async def test_two_windows_show_the_same_at_once(browser):
    async with running({"pages": launched(1)}) as gateway:
        one, other = await opened(browser, gateway), await opened(browser, gateway)
        await press(one, button("pages", "Start"))
        for words in ("starting", "hot"):
            await other.until(says("pages", words))
        await press(other, button("pages", "Stop"))
        await one.until(says("pages", "stopped: a command"))
        assert (one.said, other.said) == ([], [])


async def test_what_keeps_it_awake_is_told_apart(browser):
    services = {"db": launched(0, keep_warm=["always"], idle_timeout="1s"), "app": launched(0, depends_on=["db"], idle_timeout="10m")}
    async with running(services) as gateway:
        tab = await opened(browser, gateway)
        await tab.until(says("db", "kept awake by its keep_warm window"))
        await tab.until(says("db", "woken by its keep_warm window"))
        await press(tab, button("app", "Start"))
        await tab.until(says("db", "kept awake by app, its keep_warm window"))
        await tab.until(says("app", "woken by a command"))
        await tab.until(says("app", "sleeps in"))


async def test_routes_and_strategies_stand_there_as_they_are_loaded(browser):
    routes = [{"match": {"path": "/special/*"}, "service": "pages"}, {"match": {"path": "/v1/*"}, "strategy": "by_model"}]
    async with running({"pages": launched(0)}, routes=routes) as gateway:
        tab = await opened(browser, gateway)
        cells = "[...document.querySelectorAll('#ways table')][%d].innerText.includes(%r)"
        await tab.until(cells % (0, "/special/*"))
        order = await tab.look("[...document.querySelectorAll('#ways table')][0].innerText")
        assert order.index("/special/*") < order.index("/v1/*"), "in the order in which they are tried"
        await tab.until(cells % (1, "by_model"))
