"""A cold start as a person sees it: a whole gateway, a real process behind it, a real browser in front."""

import sys

import pytest

from tests.engines.browser import chromium
from tests.engines.test_dashboard import CONTRAST, type_
from tests.support.gateway import running

pytestmark = pytest.mark.engines
PAGES = """
import http.server, json, os, sys, time
port, delay, mark = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
print("reading the model <b>", flush=True)
if mark and not os.path.exists(mark):
    open(mark, "w").close()
    raise SystemExit("no room on the GPU <i>")
time.sleep(delay)
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.endswith("/slow"):
            time.sleep(20)
        said = json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        body = f"<!doctype html><title>pages</title><link rel=icon href='data:,'><pre id=real>{said}</pre>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()
"""
OURS = {"content-security-policy", "retry-after", "cache-control", "proxy-status", "x-content-type-options", "refresh"}


def launched(delay=1.5, mark="", **more):
    command = [sys.executable, "-u", "-c", PAGES, "{port}", str(delay), str(mark)]
    base = {"launch": {"kind": "process", "command": command}, "start_timeout": "20s", "start_attempts": 1}
    return {**base, "drain_timeout": "0.5s", "failure_cooldown": "60s", **more}


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as browser:
        yield browser


def shows(id_, words):
    return f"document.getElementById({id_!r})?.textContent.includes({words!r}) === true"


def clean(tab, origin):
    """No error on the console but the page's own 503, and nobody else was asked for anything."""
    assert [line for line in tab.said if "503" not in line] == []
    assert [url for url in tab.requests if not url.startswith((origin, "data:", "about:"))] == []


WAYS = {
    "by its path": (0, "localhost", "/services/pages"),
    "by a host name of its own": (0, "pages.localhost", ""),
    "by a plain http name, to which browsers say less": (0, "pages.home.test", ""),
    "at a port of its own": (1, "127.0.0.1", ""),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_cold_deep_link_is_what_opens_in_the_end(browser, way):
    index, host, prefix = WAYS[way]
    service = launched(hosts=["pages.localhost", "pages.home.test"], listen=["127.0.0.1:0"])
    async with running({"pages": service}) as gateway:
        tab = await browser.tab()
        origin = f"http://{host}:{gateway.ports[index]}"
        link = f"{origin}{prefix}/a/b?q=%20x&y=1#part"
        await tab.go(link)
        await tab.until(shows("lead", "is starting"))
        assert await tab.look("document.getElementById('bar').getAttribute('role')") == "progressbar"
        await tab.until("!!document.getElementById('real')")
        assert await tab.look("location.href") == link
        assert await tab.look("JSON.parse(document.getElementById('real').textContent).path") == "/a/b?q=%20x&y=1"
        assert await tab.look("'hestia-wait' in JSON.parse(document.getElementById('real').textContent)") is False
        (cold, _), (hot, fields) = tab.documents
        assert (cold, hot) == (503, 200), "and no page in between"
        assert OURS & set(fields) == set()
        clean(tab, origin)


async def test_two_windows_wait_for_one_start(browser):
    async with running({"pages": launched(3)}) as gateway:
        origin = f"http://localhost:{gateway.port}"
        tabs = [await browser.tab(), await browser.tab()]
        for number, tab in enumerate(tabs):
            await tab.go(f"{origin}/services/pages/{number}")
        for tab in tabs:
            await tab.until(shows("crowd", "2 are waiting for it"))
            assert await tab.look("document.getElementById('cancel').hidden"), "it is not one's own start alone"
        for tab in tabs:
            await tab.until("!!document.getElementById('real')")
        starts = [event for event in gateway.events if event["event"] == "service.starting"]
        assert len(starts) == 1


async def test_a_failed_start_says_why_and_retry_keeps_path_and_query(browser, tmp_path):
    async with running({"pages": launched(0.5, tmp_path / "failed-once")}, strict=False) as gateway:
        origin = f"http://localhost:{gateway.port}"
        tab = await browser.tab()
        await tab.go(f"{origin}/services/pages/deep?q=1")
        await tab.until(shows("why", "no room on the GPU <i>"))
        await tab.until("document.title === 'pages did not start'")
        await tab.go(f"{origin}/services/pages/deep?q=1")  # a refresh during the cool-down starts nothing
        await tab.until(shows("lead", "did not start"))
        await tab.look("document.getElementById('again').focus()")
        await type_(tab, "Enter")
        await tab.until("!!document.getElementById('real')")
        assert await tab.look("JSON.parse(document.getElementById('real').textContent).path") == "/deep?q=1"
        clean(tab, origin)


async def test_without_scripts_it_turns_into_the_service_and_retries_too(browser, tmp_path):
    async with running({"pages": launched(0.5, tmp_path / "failed-once")}, strict=False) as gateway:
        tab = await browser.tab(scripts=False)
        await tab.go(f"http://localhost:{gateway.port}/services/pages/deep?q=1")
        await tab.until(shows("lead", "did not start"))
        assert await tab.look("getComputedStyle(document.getElementById('cancel')).display") == "none"
        await tab.look("document.getElementById('again').focus()")
        await type_(tab, "Enter")
        await tab.until("!!document.getElementById('real')")
        assert await tab.look("location.pathname + location.search") == "/services/pages/deep?q=1"


async def test_it_shows_the_last_lines_of_its_log_and_cancel_stops_the_start(browser):
    async with running({"pages": launched(60, waiting_logs=True)}) as gateway:
        tab = await browser.tab(width=360, height=700)
        await tab.go(f"http://localhost:{gateway.port}/services/pages/")
        await tab.until(shows("lines", "reading the model <b>"))
        assert await tab.look("document.documentElement.scrollWidth <= innerWidth")
        await tab.look("document.getElementById('cancel').focus()")
        await type_(tab, "Enter")
        await tab.until(shows("lead", "is asleep"))
        assert gateway.gateway.commands.status("pages").state in {"stopping", "cold"}


async def test_a_start_without_room_says_what_is_in_the_way(browser):
    room = {"needs": {"vram": 12}, "min_hot": "0s"}
    services = {"first": launched(0, **room), "pages": launched(0, **room)}
    async with running(services, machines={"local": {"capacity": {"vram": 16}}}) as gateway:
        client = await gateway.dial()
        await client.send(b"GET /services/first/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        tab = await browser.tab()
        await tab.go(f"http://localhost:{gateway.port}/services/pages/")
        await tab.until(shows("phase", "Waiting for room on its machine"))
        await tab.until(shows("phase", "first"))
        client.transport.abort()
        await tab.until("!!document.getElementById('real')")


async def test_a_hold_is_shown_and_starts_nothing(browser):
    async with running({"pages": launched(0)}) as gateway:
        origin = f"http://localhost:{gateway.port}"
        tab = await browser.tab(dark=True)
        await tab.go(f"{origin}/dashboard/")
        await tab.until("document.getElementById('link')?.dataset.link === 'live'")
        assert await tab.look("fetch('../v1/services/pages/stop?hold=2h', { method: 'POST' }).then((answer) => answer.status)") == 202
        await tab.go(f"{origin}/services/pages/")
        await tab.until(shows("lead", "is kept asleep by its operator until"))
        assert gateway.gateway.commands.status("pages").state == "cold"
        refused = await tab.look("fetch('/v1/services/pages/start', { method: 'POST' }).then((answer) => answer.status)")
        assert refused == 403, "what stands at a service's address commands nothing"
        await gateway.ask(b"POST /v1/services/pages/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        await tab.until("!!document.getElementById('real')")


async def test_a_frame_gets_plain_words_and_then_the_service(browser):
    async with running({"pages": launched(2, waiting="page"), "home": launched(0)}) as gateway:
        origin = f"http://localhost:{gateway.port}"
        tab = await browser.tab()
        await tab.go(f"{origin}/services/home/")
        await tab.until("!!document.getElementById('real')")
        await tab.look("document.body.insertAdjacentHTML('beforeend', '<iframe src=\"/services/pages/x\"></iframe>')")
        inside = "document.querySelector('iframe').contentDocument?.body?.innerText.includes(%r) === true"
        await tab.until(inside % "is starting")
        await tab.until(inside % '"path": "/x"')


async def test_the_operators_own_page_comes_again_by_itself(browser, tmp_path):
    page = tmp_path / "own.html"
    page.write_text("<!doctype html><title>mine</title><p id=mine>{{name}} is on its way: {{phase}}, {{waiters}} wait</p>")
    async with running({"pages": launched(1, waiting_page=str(page))}) as gateway:
        tab = await browser.tab()
        await tab.go(f"http://localhost:{gateway.port}/services/pages/")
        await tab.until(shows("mine", "pages is on its way: "))
        await tab.until("!!document.getElementById('real')")


@pytest.mark.parametrize("dark", [False, True])
async def test_an_error_is_a_page_that_fits_and_can_be_read(browser, dark):
    async with running({"pages": launched(0)}) as gateway:
        origin = f"http://localhost:{gateway.port}"
        tab = await browser.tab(width=360, height=700, dark=dark)
        await tab.go(f"{origin}/services/{'n' * 200}/")
        await tab.until("document.querySelector('h1') !== null")
        assert await tab.look("document.documentElement.scrollWidth <= innerWidth")
        assert await tab.look("getComputedStyle(document.documentElement).colorScheme") == "light dark"
        assert "the nearest known id is 'pages'" in await tab.text()
        assert await tab.look(CONTRAST) == []
        assert [line for line in tab.said if "404" not in line] == []


async def test_the_page_is_spoken_when_something_changes_and_not_each_second(browser):
    """The region that is read aloud changes with the phase; time and bar stand outside of it."""
    async with running({"pages": launched(4)}) as gateway:
        tab = await browser.tab()
        await tab.go(f"http://localhost:{gateway.port}/services/pages/")
        await tab.until(shows("lead", "is starting"))
        await tab.look(WATCH)
        await tab.until("window.left >= 2")
        assert await tab.look("window.spoken") <= 2


WATCH = """
window.spoken = 0; window.left = 0;
new MutationObserver(() => (window.spoken += 1)).observe(document.querySelector('[role=status]'), { childList: true, characterData: true, subtree: true });
new MutationObserver(() => (window.left += 1)).observe(document.getElementById('left'), { childList: true, characterData: true, subtree: true });
"""
