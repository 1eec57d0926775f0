"""The waiting page as a person meets it, in a real browser."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from hestia.doors.cold import see_other
from hestia.doors.pages import look_answer, our_page, page_answer
from hestia.h1.request import find_request_line, read_request_head
from hestia.rules.waiting import deed, is_retry_form, may_be_retry_form, wish
from hestia.rules.waiting_words import WaitingView
from tests.engines.browser import chromium
from tests.engines.test_dashboard import CONTRAST

pytestmark = pytest.mark.engines
READY = b"<!doctype html><title>ready</title><link rel=icon href='data:,'><h1 id=real>the service</h1>"
PICTURES = os.environ.get("HESTIA_PICTURES")


class Gateway:
    """A door with one service whose state the test sets; what is asked for is kept."""

    def __init__(self):
        self.page = our_page()
        self.view = WaitingView(name="ollama", state="starting", phase="launching", waiters=1, started_s=2.0)
        self.asked = []
        self.url = ""

    def becomes(self, **more):
        self.view = msgspec.structs.replace(self.view, **more)

    async def serve(self, reader, writer):
        try:
            while block := await reader.readuntil(b"\r\n\r\n"):
                method, target, minor, begin, end = find_request_line(block, 65536)
                head = read_request_head(block[begin:end], minor)
                body = await reader.readexactly(head.length)
                writer.write(self.answer(method, target, head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method, target, head, body):
        wanted = head.header(b"hestia-wait")
        form = may_be_retry_form(method, head.length, head.header(b"content-type")) and is_retry_form(body)
        self.asked.append((method, target, wanted or (b"form" if form else None), head.navigation))
        if wanted is not None:
            self.do(wish(wanted, method))
            return look_answer(self.view, head, method, b"r", frozenset(), keep=True)
        if form:
            self.do("retry")
            return see_other(target, head, method, b"r", keep=True)
        if self.view.state == "hot":
            return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(READY), READY)
        return page_answer(self.page, self.view, head, method, b"r", keep=True, wall=0.0)

    def do(self, wanted):
        followed = deed(wanted, self.view.state, waiters=self.view.waiters)
        if followed == "start":
            self.becomes(state="starting", phase="launching", error=None, started_s=0.0)
        elif followed == "stop":
            self.becomes(state="cold", phase=None)


@asynccontextmanager
async def gateway():
    door = Gateway()
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    door.url = f"http://ollama.localhost:{server.sockets[0].getsockname()[1]}"  # a name of its own, and a port
    try:
        yield door
    finally:
        server.close()


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
async def door():
    async with gateway() as door:
        yield door


async def picture(tab, name):
    if PICTURES:
        await tab.picture(Path(PICTURES) / f"{name}.png")


def clean(tab, door):
    """No error on the console but the page's own 503, and nobody else was asked for anything."""
    assert [line for line in tab.said if "503" not in line] == []
    assert [url for url in tab.requests if not url.startswith((door.url, "data:", "about:"))] == []


async def test_a_cold_deep_link_turns_into_the_service_with_query_and_fragment(browser, door):
    tab = await browser.tab()
    link = f"{door.url}/services/ollama/a/b?q=%20x&y=1#part"
    await tab.go(link)
    await tab.until("document.getElementById('phase')?.textContent === 'Launching'")
    assert await tab.look("document.title") == "ollama is starting"
    door.becomes(phase="probing", started_s=6.0, expected_s=12.0, waiters=3)
    await tab.until("document.getElementById('bar').getAttribute('aria-valuenow') === '50'")
    assert await tab.look("document.getElementById('left').textContent") == "About 6 seconds left"
    assert await tab.look("document.getElementById('crowd').textContent") == "3 are waiting for it"
    await picture(tab, "waiting-light")
    door.becomes(state="hot")
    await tab.until("!!document.getElementById('real')")
    assert await tab.look("location.href") == link
    targets = {target for _, target, _, _ in door.asked}
    assert targets == {b"/services/ollama/a/b?q=%20x&y=1"}
    assert {wanted for method, _, wanted, _ in door.asked if method == b"GET"} == {None, b"1"}
    assert [navigation for _, _, wanted, navigation in door.asked if wanted is None] == [True, True]
    clean(tab, door)


async def test_a_failed_start_is_tried_again_by_keyboard(browser, door):
    door.becomes(state="failed", error="exited with code 3: CUDA out of memory <oom>", waiters=0)
    tab = await browser.tab(dark=True)
    await tab.go(f"{door.url}/?q=1")
    await tab.until("document.getElementById('why')?.textContent.endsWith('<oom>') === true")
    await picture(tab, "failed-dark")
    await tab.look("document.getElementById('again').focus()")
    await tab.key("Enter", 13)
    await tab.until("document.getElementById('phase').textContent === 'Launching'")
    assert await tab.look("document.getElementById('retry').hidden")
    assert (b"POST", b"/?q=1", b"retry", False) in door.asked
    clean(tab, door)


async def test_cancel_stops_a_start_that_nobody_else_waits_for(browser, door):
    tab = await browser.tab()
    await tab.go(door.url + "/")
    await tab.until("document.getElementById('cancel')?.hidden === false")
    await tab.look("document.getElementById('cancel').click()")
    await tab.until("document.getElementById('lead').textContent === 'is asleep'")
    assert await tab.look("document.getElementById('again').textContent") == "Start"
    door.becomes(state="starting", waiters=2)
    await tab.until("document.getElementById('lead').textContent === 'is starting'")
    assert await tab.look("document.getElementById('cancel').hidden")
    clean(tab, door)


async def test_without_scripts_it_refreshes_and_retries_by_a_form(browser, door):
    door.becomes(state="failed", error="boom")
    tab = await browser.tab(scripts=False)
    await tab.go(f"{door.url}/deep?q=1")
    await wait_for(lambda: door.asked)
    await tab.until("!!document.getElementById('again')")
    await tab.look("document.getElementById('again').focus()")
    await picture(tab, "failed-no-scripts")
    await tab.key("Enter", 13)
    await wait_for(lambda: len(door.asked) > 2)
    assert door.asked[1][:3] == (b"POST", b"/deep?q=1", b"form")
    assert door.asked[2][:3] == (b"GET", b"/deep?q=1", None)
    door.becomes(state="hot")
    await wait_for(lambda: len(door.asked) > 3, patience=15)  # the refresh
    await tab.until("!!document.getElementById('real')")


async def wait_for(holds, patience=10):
    async with asyncio.timeout(patience):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 360, 1400])
async def test_it_fits_every_screen_with_names_and_errors_of_any_length(browser, door, width, dark):
    door.becomes(name="n" * 64, state="failed", error="/very/long/path" * 20, logs=("x" * 400,))
    tab = await browser.tab(width=width, height=700, dark=dark)
    await tab.go(door.url + "/")
    await tab.until("!!document.getElementById('why')")
    assert await tab.look("document.documentElement.scrollWidth <= window.innerWidth")
    assert await tab.look("document.getElementById('again').getBoundingClientRect().height >= 44")
    assert await tab.look(CONTRAST) == []
    await picture(tab, f"long-{width}-{'dark' if dark else 'light'}")
    clean(tab, door)


async def test_a_lost_connection_is_said_and_found_again(browser):
    async with gateway() as door:
        tab = await browser.tab()
        await tab.go(door.url + "/")
        await tab.until("!!document.getElementById('phase')")
        answer = door.answer
        door.answer = lambda *_: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        await tab.until("document.getElementById('phase').textContent.startsWith('No answer')")
        door.answer = answer
        await tab.until("document.getElementById('phase').textContent === 'Launching'")


async def test_a_look_that_never_comes_back_is_not_the_last(browser, door):
    tab = await browser.tab()
    answer, door.answer = door.answer, lambda *what: b"" if what[2].header(b"hestia-wait") else answer(*what)
    await tab.send("Page.addScriptToEvaluateOnNewDocument", source="AbortSignal.timeout = () => later();" + LATER)
    await tab.go(door.url + "/")
    await wait_for(lambda: len(door.asked) >= 1)
    await tab.until("window.given > 1")
    door.answer = answer
    door.becomes(state="hot")
    await tab.until("!!document.getElementById('real')")


LATER = """
function later() {
  window.given = (window.given || 0) + 1;
  const control = new AbortController();
  setTimeout(() => control.abort(), 300);
  return control.signal;
}
"""


async def test_a_hold_says_until_when(browser, door):
    door.becomes(state="cold", phase=None, held_until="forever")
    tab = await browser.tab(width=360, height=700)
    await tab.go(door.url + "/")
    await tab.until("document.getElementById('lead')?.textContent.includes('until somebody starts it') === true")
    await picture(tab, "held-phone")
    clean(tab, door)
