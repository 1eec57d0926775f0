"""The dashboard as a person meets it, in a real browser."""

import asyncio
import json
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.engines.browser import chromium
from tests.support.dashboard_double import Double, metrics, serving, stamp

pytestmark = pytest.mark.engines
PICTURES = os.environ.get("HESTIA_PICTURES")
ROWS = "document.querySelectorAll('#rows > li').length"
EVIL = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script>\u202e\x1b[31m'&"


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
async def double():
    return Double()


@pytest.fixture
async def door(double):
    async with serving(double) as door:
        yield door


def row(id_):
    """The row of a service, as an expression."""
    return f"[...document.querySelectorAll('#rows > li')].find((one) => one.querySelector('.open').textContent === {json.dumps(id_)})"


def says(id_, words):
    return f"{row(id_)}?.innerText.includes({json.dumps(words)}) === true"


def button(id_, word):
    return f"[...({row(id_)}).querySelectorAll('button')].find((one) => one.textContent === {json.dumps(word)})"


def offered(id_):
    return f"[...({row(id_)}).querySelectorAll('.actions button')].filter((one) => !one.hidden).map((one) => one.textContent).join()"


def in_dialog(word):
    return f"[...document.querySelectorAll('dialog[open] button')].find((one) => one.textContent === {json.dumps(word)})"


async def opened(browser, double, **kw):
    tab = await browser.tab(**kw)
    await tab.go(f"{double.url}/dashboard/")
    await tab.until(f"document.getElementById('link')?.dataset.link === 'live' && {ROWS} === {len(double.services)}")
    await tab.until("document.getElementById('about').textContent.includes(', since ')")  # the last thing that is asked
    return tab


async def until(holds, patience=15):
    async with asyncio.timeout(patience):
        while not holds():
            await asyncio.sleep(0.02)


async def press(tab, expression):
    await tab.until(f"!!({expression})")
    await tab.look(f"({expression}).click()")


async def picture(tab, name):
    if PICTURES:
        await tab.picture(Path(PICTURES) / f"{name}.png")


def clean(tab, double):
    """No error on the console, a refused policy included, and nobody else was asked for anything."""
    assert tab.said == []
    assert [url for url in tab.requests if not url.startswith((double.url, "data:", "about:"))] == []


KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


async def type_(tab, *keys):
    for key in keys:
        if key in KEYS:
            await tab.key(key, KEYS[key])
        else:
            await tab.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key, unmodifiedText=key)
            await tab.send("Input.dispatchKeyEvent", type="keyUp", key=key)


async def test_states_change_live_in_two_windows(browser, double, door):
    double.service("ollama", expected_start_s=20.0)
    one, other = await opened(browser, double), await opened(browser, double)
    for tab in (one, other):
        await tab.until(says("ollama", "cold"))
    double.services["ollama"].update(waiters=2)
    double.becomes("ollama", "starting", "service.starting", cause="request", more={"who": "laptop"})
    for tab in (one, other):
        await tab.until(says("ollama", "starting"))
        await tab.until(says("ollama", "launching"))
        await tab.until(says("ollama", "2 waiting"))
        await tab.until(f"/about 1[0-9] s left of 20 s/.test({row('ollama')}.innerText)")
        assert await tab.look(f"{row('ollama')}.querySelector('[role=progressbar]').getAttribute('aria-valuenow')") is not None
    double.services["ollama"].update(waiters=0, leases=1, readiness="ready", hot_since=stamp())
    double.becomes("ollama", "hot", "service.ready", cause="request", took_s=3.0)
    for tab in (one, other):
        await tab.until(says("ollama", "kept awake by 1 lease"))
        await tab.until("document.querySelector('#activity tbody').innerText.includes('ready after 3 s, woken by a request')")
        await tab.until("document.title === '(1) Hestia'")
        clean(tab, double)


async def test_start_stop_and_retry_do_what_they_say(browser, double, door):
    double.service("a/b ü")
    double.service("broken", state="failed", last_error="exited with code 3", cooldown_s=9.0)
    tab = await opened(browser, double)
    assert await tab.look(offered("broken")) == "Retry,Hold"
    assert await tab.look(says("broken", "exited with code 3"))
    await press(tab, button("broken", "Retry"))
    await tab.until(says("broken", "starting"))
    await press(tab, button("a/b ü", "Start"))
    await tab.until(says("a/b ü", "starting"))
    assert await tab.look(offered("a/b ü")) == "Stop,Hold"
    await press(tab, button("a/b ü", "Stop"))
    await tab.until(says("a/b ü", "cold"))
    await tab.until(says("a/b ü", "stopped: a command"))
    assert double.asked == [
        ("POST", "/v1/services/broken/start"),
        ("POST", "/v1/services/a%2Fb%20%C3%BC/start"),
        ("POST", "/v1/services/a%2Fb%20%C3%BC/stop"),
    ]
    assert await tab.look(f"{row('a/b ü')}.querySelector('.open').href") == f"{double.url}/services/a%2Fb%20%C3%BC/"
    clean(tab, double)


async def test_stop_asks_about_what_is_in_flight_and_no_means_no(browser, double, door):
    double.service("ollama", state="hot", leases=1, readiness="ready")
    double.inflight = [{"request_id": "r-1", "service": "ollama", "method": "POST", "path": "/api/chat", "state": "relaying", "since": stamp(40)}]
    tab = await opened(browser, double)
    await press(tab, button("ollama", "Stop"))
    await tab.until("document.querySelector('dialog[open]')?.innerText.includes('POST /api/chat') === true")
    await press(tab, in_dialog("Cancel"))
    await tab.until("!document.querySelector('dialog')")
    assert double.asked == []
    await press(tab, button("ollama", "Stop"))
    await press(tab, in_dialog("Stop"))
    await tab.until(says("ollama", "cold"))
    assert double.asked == [("POST", "/v1/services/ollama/stop")]
    clean(tab, double)


async def test_stop_asks_about_what_began_since_the_page_last_looked(browser, double, door):
    double.service("ollama", state="hot", idle_for_s=1.0, readiness="ready")
    tab = await opened(browser, double)
    double.services["ollama"].update(leases=1)
    double.inflight = [{"request_id": "r-1", "service": "ollama", "method": "POST", "path": "/api/chat", "state": "relaying", "since": double.stamp()}]
    await press(tab, button("ollama", "Stop"))
    await tab.until("document.querySelector('dialog[open]')?.innerText.includes('POST /api/chat') === true")
    assert double.asked == []


async def test_hold_asks_for_how_long_and_start_ends_it(browser, double, door):
    double.service("ollama")
    tab = await opened(browser, double)
    await press(tab, button("ollama", "Hold"))
    await tab.until("document.activeElement.matches('dialog[open] :checked')")
    await press(tab, "[...document.querySelectorAll('dialog[open] label')].find((one) => one.innerText.includes('until I start it'))")
    await press(tab, in_dialog("Hold"))
    await tab.until(says("ollama", "held until somebody starts it"))
    await press(tab, button("ollama", "Hold"))
    await tab.until("!!document.querySelector('dialog[open] input[type=text]')")
    await tab.look("document.querySelector('dialog[open] input[type=text]').focus()")
    await type_(tab, *"90m", "Enter")
    await until(lambda: len(double.asked) == 2)
    await tab.until("!document.querySelector('dialog')")
    await press(tab, button("ollama", "Start"))
    await tab.until(says("ollama", "starting"))
    verbs = [path for _, path in double.asked]
    assert verbs == ["/v1/services/ollama/stop?hold=true", "/v1/services/ollama/stop?hold=90m", "/v1/services/ollama/start"]
    clean(tab, double)


async def test_an_action_that_is_refused_says_why_until_it_was_read(browser, double, door):
    double.service("ollama")
    double.refuses["/start"] = (503, f"the machine is full {EVIL}")
    tab = await opened(browser, double)
    await press(tab, button("ollama", "Start"))
    await tab.until("document.getElementById('toasts').innerText.includes('the machine is full <img')")
    assert await tab.look("document.getElementById('toasts').getAttribute('role')") == "alert"
    await press(tab, "document.querySelector('#toasts button')")
    assert await tab.look("document.getElementById('toasts').childElementCount") == 0
    assert [line for line in tab.said if "503" not in line] == []


async def test_everything_can_be_done_by_keyboard(browser, double, door):
    for id_ in ("aa", "bb", "cc"):
        double.service(id_)
    tab = await opened(browser, double)
    await type_(tab, "j", "j")
    assert await tab.look(f"document.activeElement === {row('bb')}")
    await type_(tab, "s")
    await tab.until(says("bb", "starting"))
    await type_(tab, "x")
    await tab.until(says("bb", "cold"))
    await type_(tab, "h")
    await tab.until("!!document.querySelector('dialog[open]')")
    await type_(tab, "Escape")
    await tab.until("!document.querySelector('dialog')")
    assert await tab.look(f"{row('bb')}.contains(document.activeElement)"), "the focus is back where it was"
    await type_(tab, "d")
    await tab.until(f"{row('bb')}.querySelector('details').open")
    await type_(tab, "/")
    await tab.until("document.activeElement.id === 'filter'")
    await type_(tab, *"cc")
    await tab.until(f"{ROWS} === 1")
    await tab.look(f"{button('cc', 'Start')}.focus()")
    await type_(tab, "Enter")
    await tab.until(says("cc", "starting"))
    assert await tab.look(f"document.activeElement === {row('cc')}"), "not on Stop: Enter may come twice"
    await type_(tab, "?")
    await tab.until("document.querySelector('dialog[open]')?.innerText.includes('filter the services') === true")
    clean(tab, double)


async def test_the_tab_key_reaches_every_button_and_shows_where_it_is(browser, double, door):
    double.service("aa")
    tab = await opened(browser, double)
    seen = []
    for _ in range(40):
        await type_(tab, "Tab")
        seen.append(await tab.look("document.activeElement.textContent.trim() || document.activeElement.id || document.activeElement.getAttribute('role')"))
        if seen[-1] != "aa":
            outline = await tab.look("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or await tab.look("document.activeElement === document.body"), seen
    assert {"Skip to the services", "Start", "Hold", "slider", "Details", "filter", "Theme: system", "Keys"} <= set(seen)


async def test_what_is_hostile_is_shown_harmlessly_everywhere(browser, double, door):
    double.service(EVIL, state="failed", last_error=EVIL, reason=EVIL, machine=EVIL, base_url=f"javascript:alert(1)//{EVIL}")
    double.machines.append({"id": EVIL, "state": "failed", "capacity": {EVIL: 3}, "used": {EVIL: 1}, "holds": [EVIL], "leases": 0, "held_until": EVIL, "last_error": EVIL})
    double.inflight = [{"request_id": EVIL, "service": EVIL, "method": EVIL, "path": EVIL, "state": EVIL, "since": EVIL}]
    double.tell("service.died", service=EVIL, state="failed", cause=EVIL, quiet=True, more={"reason": EVIL, "kept_by": {EVIL: 3}, EVIL: EVIL})
    row_ = {"id": EVIL, "hours_hot": 1, "hours_asleep": 2, "requests": 1, "starts": 1, "woken_by": [{"who": EVIL, "starts": 1}], "kept_awake_by": [{"who": EVIL, "hours": 1}], "cost": None, "saving": None}
    double.report.update(services=[row_], machines=[row_])
    double.about.update(file=EVIL, routes=[{"match": EVIL, "to": EVIL}], strategies=[{"name": EVIL, "kind": EVIL, "file": EVIL, "used_by": [EVIL], "failures": 1, "switched_off": False, "last_error": EVIL}])
    double.logs[EVIL] = [EVIL, "second line"]
    tab = await opened(browser, double)
    await tab.until("document.querySelectorAll('#activity tbody tr').length === 1 && document.querySelector('#ways tbody tr') !== null")
    await tab.look("document.querySelector('#rows details').open = true")
    await press(tab, "document.querySelector('.tail button')")
    await tab.until("document.querySelector('.log').innerText.includes('second line')")
    assert await tab.look("document.querySelectorAll('img, script:not([src]), iframe').length") == 0
    assert await tab.look("window.hit === undefined")
    text = await tab.text()
    assert "<img src=x onerror=" in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert (await tab.look("document.querySelector('.open').href")).startswith(f"{double.url}/services/%3Cimg")
    await type_(tab, "Escape")
    clean(tab, double)


async def test_a_gateway_that_is_started_again_is_found_again_and_everything_is_right(browser, double, door):
    double.service("ollama")
    tab = await opened(browser, double)
    await door.close()
    await tab.until("/^Connection lost. This is [0-9]+ s old$/.test(document.getElementById('link').textContent)")
    assert await tab.look("document.body.classList.contains('stale')")
    assert await tab.look(says("ollama", "cold")), "what was known stays on the page"
    await picture(tab, "lost")
    double.services["ollama"].update(state="hot", readiness="ready", leases=1)
    double.tell("service.ready", service="ollama", state="hot", cause="adoption")
    double.about["version"] = "0.2.0"
    await door.open()
    await tab.until("document.getElementById('link').textContent === 'Live'")
    await tab.until(says("ollama", "kept awake by 1 lease"))
    await tab.until("document.querySelector('#activity tbody').innerText.includes('taken over')")
    await tab.until("document.getElementById('banner').innerText.includes('another version')")
    double.becomes("ollama", "cold", "service.died", more={"reason": "signal 9"})
    await tab.until(says("ollama", "ended by itself: signal 9"))


async def test_without_events_it_asks_and_says_so(browser, double, door):
    double.service("ollama")
    double.refuses["/v1/events"] = (502, "a proxy takes no streams")
    tab = await browser.tab()
    await tab.go(f"{double.url}/dashboard/")
    await tab.until("document.getElementById('link').dataset.link === 'slow'")
    double.services["ollama"].update(state="hot", leases=1)
    await tab.until(says("ollama", "hot"))
    double.refuses.clear()
    await tab.until("document.getElementById('link').dataset.link === 'live'")


async def test_a_login_that_has_ended_is_said_and_no_question_is_asked_any_more(browser, double, door):
    double.service("ollama")
    double.about["session"] = True
    tab = await opened(browser, double)
    await tab.until("document.getElementById('logout').hidden === false")
    double.refuses["/v1/services"] = (401, "a key is needed")
    double.hang_up()
    await tab.until("document.getElementById('banner').innerText.includes('login has ended')")
    assert await tab.look("document.querySelector('#banner button').textContent") == "Log in"
    double.refuses.clear()
    await press(tab, "document.querySelector('#banner button')")
    await tab.until("document.getElementById('link')?.dataset.link === 'live'")


async def test_the_day_of_a_service_is_said_on_hover_and_by_the_arrows_and_stands_in_a_table(browser, double, door):
    double.page = 2  # in pages
    double.service("ollama")
    double.tell("service.starting", ago=7200, quiet=True, service="ollama", state="starting", cause="request", more={"who": "laptop"})
    double.tell("service.ready", ago=7190, quiet=True, service="ollama", state="hot", cause="request", took_s=10.0)
    double.tell("service.idle", ago=3600, quiet=True, service="ollama", state="hot", cause="idle", more={"idle_s": 900})
    double.tell("service.stopped", ago=3599, quiet=True, service="ollama", state="cold", cause="idle", more={"kept_by": {"laptop": 2000}})
    tab = await opened(browser, double)
    await tab.until("document.querySelectorAll('.strip rect').length === 4")
    strip = "document.querySelector('.strip')"
    box = await tab.look(f"(() => {{ const box = {strip}.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; }})()")
    await tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] * (22.5 / 24), y=box[1] + box[3] / 2)
    await tab.until("document.getElementById('tip').hidden === false")
    words = await tab.look("document.getElementById('tip').textContent")
    assert words.startswith("hot, ")
    for part in ("(60 min)", "ready after 10 s, woken by a request", "kept awake by laptop (33 min)", "then: not used for 15 min"):
        assert part in words
    await tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    await tab.look(f"{strip}.focus()")
    await type_(tab, "ArrowLeft")
    assert (await tab.look(f"{strip}.getAttribute('aria-valuetext')")).startswith("hot, ")
    await type_(tab, "ArrowLeft")
    assert "woken by laptop (a request)" in await tab.look(f"{strip}.getAttribute('aria-valuetext')")
    await tab.look("document.querySelector('#rows details').open = true")
    await tab.until("document.querySelectorAll('#rows .detail table').length === 2")
    table = await tab.look("[...document.querySelectorAll('#rows .detail table')].at(-1).innerText")
    assert [line.split("\t")[2] for line in table.splitlines()[-4:]] == ["cold", "hot", "starting", "cold"]
    clean(tab, double)


async def test_what_a_killed_gateway_left_open_ends_where_the_next_one_begins(browser, double, door):
    double.service("ollama")
    double.service("kept", state="hot", readiness="ready", leases=1)
    for id_ in ("ollama", "kept"):
        double.tell("service.ready", ago=7200, quiet=True, service=id_, state="hot", cause="request")
    double.tell("service.ready", ago=3590, quiet=True, service="kept", state="hot", cause="adoption")
    double.about["started"] = stamp(3600)
    tab = await opened(browser, double)
    await tab.until("document.querySelectorAll('.strip')[1].getAttribute('aria-valuetext')?.includes('the gateway was started again') === true")
    assert await tab.look("document.querySelectorAll('.strip')[0].querySelectorAll('rect').length") == 2


async def test_a_log_is_followed_and_its_absence_is_explained(browser, double, door):
    double.service("ollama", state="hot", leases=1)
    double.service("watched")
    double.logs["ollama"] = ["first", "\x1b[32msecond\x1b[0m"]
    tab = await opened(browser, double)
    await tab.look("document.querySelectorAll('#rows details').forEach((one) => (one.open = true))")
    await press(tab, button("ollama", "Show its log"))
    await tab.until("document.querySelector('.log').textContent === 'first\\nsecond\\n'")
    for queue in double.log_readers:
        queue.put_nowait("third")
    await tab.until("document.querySelector('.log').textContent.endsWith('third\\n')")
    await press(tab, button("watched", "Show its log"))
    await tab.until(says("watched", "Hestia did not launch it"))
    await until(lambda: not double.log_readers)  # one log at a time
    assert [line for line in tab.said if "404" not in line] == []


async def test_machines_say_what_they_have_and_are_woken_and_put_to_sleep(browser, double, door):
    double.machines.append({"id": "desk", "state": "hot", "capacity": {"vram_gb": 24}, "used": {"vram_gb": 18.5}, "holds": ["ollama"], "leases": 1, "held_until": None, "last_error": None})
    double.service("ollama", state="hot", leases=1, machine="desk")
    tab = await opened(browser, double)
    desk = "[...document.querySelectorAll('.machine')].at(-1)"
    await tab.until("document.querySelectorAll('.machine').length === 2")
    assert "18.5 of 24, 5.5 free" in await tab.look(f"{desk}.innerText")
    assert await tab.look(f"{desk}.querySelector('[role=meter]').getAttribute('aria-valuenow')") == "18.5"
    assert "kept awake by ollama" in await tab.look(f"{desk}.innerText")
    assert await tab.look("[...document.querySelectorAll('.machine')][0].querySelectorAll('button:not([hidden])').length") == 0
    pressed = "[...%s.querySelectorAll('button')].find((one) => one.textContent === '%s' && !one.hidden)"
    await press(tab, pressed % (desk, "Sleep"))
    await tab.until("document.querySelector('dialog[open]')?.innerText.includes('ollama') === true")
    await press(tab, in_dialog("Sleep"))
    await press(tab, pressed % (desk, "Wake"))
    await until(lambda: len(double.asked) == 2)
    assert double.asked == [("POST", "/v1/machines/desk/sleep"), ("POST", "/v1/machines/desk/wake")]
    clean(tab, double)


async def test_a_request_in_flight_is_cancelled(browser, double, door):
    double.service("ollama", state="hot", leases=1)
    double.inflight = [{"request_id": "r/1", "service": "ollama", "method": "GET", "path": "/x", "state": "waiting", "since": stamp(4)}]
    tab = await opened(browser, double)
    await press(tab, "document.querySelector('#inflight tbody button')")
    await press(tab, in_dialog("Cancel request"))
    await tab.until("document.getElementById('inflight').innerText.includes('No request is in flight')")
    assert double.asked == [("POST", "/v1/inflight/r%2F1/cancel")]
    clean(tab, double)


async def test_figures_stand_in_words_and_tables(browser, double, door):
    double.service("ollama", state="hot", leases=1)
    spread = {"count": 9, "sum": 3.0, "p50": 0.25, "p95": 1.5, "p99": 2.0}
    double.metrics["ollama"] = metrics("ollama", requests=1200, errors=3, waiters=2, bytes_out=3 * 2**30, request_seconds=spread, overhead_seconds={**spread, "p95": 0.00042}, start_seconds={**spread, "p50": 11.0, "p95": 140.0})
    row_ = {"id": "ollama", "hours_hot": 20.0, "hours_asleep": 148.0, "requests": 1200, "starts": 7, "woken_by": [{"who": "laptop", "starts": 5}], "kept_awake_by": [{"who": "busy", "hours": 1.5}], "cost": 2.0, "saving": 14.8}
    double.report.update(services=[row_], cost=2.0, saving=14.8)
    tab = await opened(browser, double)
    await tab.until("document.querySelector('#traffic tbody tr') !== null && document.querySelector('#savings tbody tr') !== null")
    cells = await tab.look("[...document.querySelectorAll('#traffic tbody tr > *')].map((one) => one.textContent)")
    assert cells == ["ollama", "1,200", "–", "3", "250 ms", "1.5 s", "0.42 ms", "0", "11 s", "2 min", "2", "3 GiB"]
    glance = await tab.look("[...document.querySelectorAll('.tile')].map((one) => one.innerText.replace('\\n', ' '))")
    assert glance[3:] == ["0.42 ms Hestia's own part, p95", "148 h asleep, 14.80 saved"]
    assert "laptop (5×)" in await tab.look("document.querySelector('#savings tbody').innerText")
    await tab.look("(() => { const one = document.getElementById('span'); one.value = '24h'; one.dispatchEvent(new Event('change')); })()")
    await until(lambda: "/v1/report?since=24h" in double.loads)
    clean(tab, double)


async def test_the_activity_is_searched_filtered_and_goes_back_as_far_as_it_is_kept(browser, double, door):
    for id_ in ("ollama", "jupyter"):
        double.service(id_)
        for number in range(120):
            double.tell("service.idle", ago=90000 + number, quiet=True, service=id_, state="hot", cause="idle", more={"idle_s": number})
    double.tell("service.died", ago=95000, quiet=True, service="ollama", state="cold", more={"reason": "out of memory"})
    tab = await opened(browser, double)
    count = "document.querySelectorAll('#activity tbody tr').length"
    await tab.until(f"{count} === 100")
    more = "[...document.querySelectorAll('#activity button')].at(-1)"
    await press(tab, more)
    await tab.until(f"{count} === 200")
    await press(tab, more)
    await tab.until(f"{count} === 241 && {more}.hidden")
    await tab.look("(() => { const one = document.getElementById('seek'); one.value = 'OUT OF MEMORY'; one.dispatchEvent(new Event('input')); })()")
    await tab.until(f"{count} === 1")
    await tab.look("(() => { document.getElementById('seek').value = ''; const one = document.getElementById('whose'); one.value = 'jupyter'; one.dispatchEvent(new Event('change')); })()")
    await tab.until(f"{count} === 100 && document.querySelector('#activity tbody').innerText.includes('ollama') === false")
    double.tell("service.busy", service="ollama", state="hot")
    double.tell("service.busy", service="jupyter", state="hot")
    await tab.until(f"{count} === 101")
    clean(tab, double)


async def test_an_empty_gateway_says_what_to_do(browser, double, door):
    tab = await opened(browser, double)
    await tab.until("document.getElementById('welcome').innerText.includes('No service is configured yet')")
    await tab.until("document.getElementById('welcome').innerText.includes('/etc/hestia/hestia_config.yml')")
    double.service("demo")
    double.service("ollama")
    double.tell("config.reloaded")
    await tab.until("document.getElementById('welcome').innerText.includes('nothing has run yet')")
    await picture(tab, "welcome")
    await press(tab, "document.querySelector('#welcome button')")
    await tab.until(says("demo", "starting"))
    assert await tab.look("document.getElementById('welcome').hidden")
    clean(tab, double)


def many(double, count=50, days=1):
    """Services with so many days of activity, twenty starts a day each."""
    entries = []
    for number in range(count):
        double.service(f"service-{number:02d}", state="hot" if number % 7 == 3 else "cold")
        for step in range(60 * days):
            ago = 86400 * days - 1400 - 1430 * step - number
            state, kind = [("starting", "service.starting"), ("hot", "service.ready"), ("cold", "service.stopped")][step % 3]
            entries.append(double.entry(kind, ago=ago, service=f"service-{number:02d}", state=state, cause="request"))
    double.activity = sorted(entries, key=lambda each: each["id"])


CLICKABLE = """
const seen = () => {
  const button = [...document.querySelectorAll('#rows > li:first-child .actions button')].find((one) => !one.hidden);
  const box = button?.getBoundingClientRect();
  const hit = box && document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2) === button;
  if (hit && button.getAnimations({ subtree: true }).length === 0) window.clickable = performance.now();
  else requestAnimationFrame(seen);
};
requestAnimationFrame(seen);
"""


async def first_clickable(browser, url):
    """A tab with the page, and after how many milliseconds, as the browser counts them from the navigation's begin, its
    first row could be clicked: the best of up to twelve visits without a cache, for the machine may be busy otherwise."""
    best = 60_000
    for _ in range(12):
        tab = await browser.tab()
        await tab.send("Page.addScriptToEvaluateOnNewDocument", source=CLICKABLE)
        await tab.go(f"{url}/dashboard/")
        await tab.until("window.clickable > 0")
        best = min(best, await tab.look("window.clickable"))
        if best < 1000:
            break
    return tab, best


async def test_fifty_services_with_a_week_behind_them_are_there_within_a_second_and_can_be_found(browser, double, door):
    many(double, days=7)
    tab, milliseconds = await first_clickable(browser, double.url)
    assert milliseconds < 1000
    await tab.until(f"{ROWS} === 50 && document.querySelectorAll('.strip rect').length > 1500")
    await tab.look("(() => { const one = document.getElementById('filter'); one.value = '-31'; one.dispatchEvent(new Event('input')); })()")
    assert await tab.look(ROWS) == 1
    assert await tab.look("document.getElementById('count').textContent") == "1 of 50 services shown"
    await tab.look("(() => { const one = document.getElementById('filter'); one.value = ''; one.dispatchEvent(new Event('input')); })()")
    await tab.look("(() => { const one = document.getElementById('sort'); one.value = 'state'; one.dispatchEvent(new Event('change')); })()")
    assert await tab.look("document.querySelector('#rows > li').dataset.state") == "hot"
    await tab.look("(() => { const one = document.getElementById('only'); one.value = 'cold'; one.dispatchEvent(new Event('change')); })()")
    assert await tab.look("new Set([...document.querySelectorAll('#rows > li')].map((one) => one.dataset.state)).size") == 1
    clean(tab, double)


async def test_a_storm_of_events_leaves_the_page_small_and_quick(browser, double, door):
    many(double)
    tab = await opened(browser, double)
    for round_ in range(60):  # ten minutes of ten events a second
        for number in range(100):
            state, kind = ("hot", "service.ready") if (round_ + number) % 2 else ("cold", "service.stopped")
            double.becomes(f"service-{number % 50:02d}", state, kind, cause="request", took_s=1.0)
        await asyncio.sleep(0)
    last = double.activity[-1]
    double.tell("service.busy", service="service-00", state=last["state"], request_id="the-last-one")
    await tab.until("document.querySelector('#activity tbody tr').innerText.includes('service.busy')")
    await tab.send("HeapProfiler.collectGarbage")
    used = (await tab.send("Runtime.getHeapUsage"))["usedSize"]
    assert used < 50 * 2**20
    begun = time.monotonic()
    await tab.look("(() => { const one = document.getElementById('filter'); one.value = '-31'; one.dispatchEvent(new Event('input')); })()")
    await tab.until(f"{ROWS} === 1")
    assert time.monotonic() - begun < 1
    clean(tab, double)


@pytest.mark.parametrize("width", [320, 360, 768, 1400])
async def test_it_fits_every_screen(browser, double, door, width):
    long = "n" * 64
    double.service(long, state="failed", last_error="/very/long/path" * 20, machine=long)
    double.service("ollama", state="starting", phase="making_room", waiters=3)
    double.machines.append({"id": long, "state": "hot", "capacity": {"vram_gb_of_the_large_card": 24}, "used": {}, "holds": [long, "ollama"], "leases": 1, "held_until": "forever", "last_error": None})
    double.inflight = [{"request_id": "r", "service": long, "method": "GET", "path": "/long" * 60, "state": "waiting", "since": stamp(4)}]
    double.tell("service.died", service=long, state="failed", quiet=True, more={"reason": "x" * 300})
    double.about["routes"] = [{"match": "path /" + "p" * 200, "to": long}]
    tab = await opened(browser, double, width=width, height=800)
    await tab.until("document.querySelectorAll('#activity tbody tr').length === 1 && document.querySelector('#ways tbody tr') !== null && document.querySelector('#inflight tbody tr') !== null")
    await tab.look("document.querySelectorAll('#rows details').forEach((one) => (one.open = true))")
    await picture(tab, f"dashboard-{width}")
    wide = "[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table, nav, .said, .skip')).map((one) => one.className || one.tagName)"
    assert await tab.look(wide) == []
    assert await tab.look("document.documentElement.scrollWidth <= innerWidth")
    if width < 600:
        small = "[...document.querySelectorAll('button, select, input, summary')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.5).map((one) => one.textContent)"
        assert await tab.look(small) == []
    clean(tab, double)


CONTRAST = """
(() => {
  const parse = (text) => { const found = text.match(/[\\d.]+/g).map(Number); return found.length < 4 ? [...found, 1] : found; };
  const over = (top, below) => top.slice(0, 3).map((value, index) => value * top[3] + below[index] * (1 - top[3]));
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (node) => { const chain = []; for (let at = node; at; at = at.parentElement) chain.push(parse(getComputedStyle(at).backgroundColor)); return chain.reverse().reduce((below, top) => over(top, below), [255, 255, 255]); };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    if (!node.checkVisibility() || ![...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim())) continue;
    const style = getComputedStyle(node);
    const below = ground(node), above = over(parse(style.color), below);
    const [a, b] = [light(above), light(below)].sort((one, other) => other - one);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${node.className || node.tagName} "${node.textContent.slice(0, 20)}" ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
async def test_every_text_can_be_read_in_light_and_dark(browser, double, door, dark):
    for state in ("cold", "starting", "hot", "stopping", "failed"):
        double.service(state, state=state, phase="launching", last_error="boom", leases=1, waiters=2)
    double.service("held", held_until="forever")
    double.machines.append({"id": "desk", "state": "hot", "capacity": {"gpu": 2}, "used": {"gpu": 2}, "holds": ["hot"], "leases": 1, "held_until": None, "last_error": None})
    tab = await opened(browser, double, dark=dark, height=1600)
    await tab.until("document.querySelectorAll('.machine').length === 2")
    await tab.look("document.querySelectorAll('#rows details').forEach((one) => (one.open = true))")
    assert await tab.look(CONTRAST) == []
    marks = await tab.look("['hot','starting','stopping','failed'].map((state) => getComputedStyle(document.querySelector(`.is-${state}`)).fill).concat(getComputedStyle(document.querySelector('.service')).backgroundColor)")
    *fills, below = [tuple(float(part) for part in each[each.index("(") + 1 : -1].split(",")[:3]) for each in marks]
    assert all(contrast(fill, below) >= 3 for fill in fills)
    hot, failed = fills[0], fills[-1]
    assert contrast(hot, failed) >= 1.25, "told apart by how light they are too, not by their hue alone"
    await picture(tab, f"dashboard-{'dark' if dark else 'light'}")
    await press(tab, "document.getElementById('theme')")
    await press(tab, "document.getElementById('theme')")
    assert await tab.look("document.documentElement.dataset.theme") == "dark"
    assert await tab.look(CONTRAST) == []
    await press(tab, button("hot", "Hold"))
    await tab.until("!!document.querySelector('dialog[open]')")
    assert await tab.look(CONTRAST) == []


def contrast(one, other):
    def light(rgb):
        parts = [(part / 255) / 12.92 if part / 255 <= 0.03928 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


async def test_a_chosen_scheme_stays_over_a_reload_without_a_flash(browser, double, door):
    double.service("ollama")
    tab = await opened(browser, double, dark=True)
    await press(tab, "document.getElementById('theme')")
    assert await tab.look("getComputedStyle(document.body).backgroundColor") == "rgb(251, 247, 242)"
    await tab.go(f"{double.url}/dashboard/")
    await tab.until("document.documentElement.dataset.theme === 'light' && document.getElementById('theme')?.textContent === 'Theme: light'")


async def test_who_wants_no_motion_sees_none(browser, double, door):
    double.service("ollama", state="starting", phase="launching")
    tab = await opened(browser, double)
    assert await tab.look("document.getAnimations().length") > 0
    await tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    await tab.until("document.getAnimations().length === 0")


async def test_every_control_has_a_name_and_every_picture_words(browser, double, door):
    double.service("ollama", state="starting", phase="launching")
    double.machines.append({"id": "desk", "state": "hot", "capacity": {"gpu": 2}, "used": {"gpu": 1}, "holds": [], "leases": 0, "held_until": None, "last_error": None})
    double.inflight = [{"request_id": "r", "service": "ollama", "method": "GET", "path": "/x", "state": "waiting", "since": stamp(4)}]
    tab = await opened(browser, double)
    await tab.until("document.querySelectorAll('.machine').length === 2 && document.querySelector('#inflight tbody tr') !== null")
    await tab.look("document.querySelectorAll('#rows details').forEach((one) => (one.open = true))")
    nodes = (await tab.send("Accessibility.getFullAXTree"))["nodes"]
    named = {"button", "slider", "progressbar", "meter", "combobox", "searchbox", "link", "table", "region", "log"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in named and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []
    names = {(node["role"]["value"], node["name"]["value"]) for node in nodes if not node.get("ignored") and "name" in node}
    assert {("button", "Stop"), ("button", "Hold"), ("slider", "Last 24 hours of ollama"), ("progressbar", "Start of ollama"), ("meter", "gpu")} <= names


async def test_landmarks_and_headings_lead_through_the_page(browser, double, door):
    double.service("ollama")
    tab = await opened(browser, double)
    await tab.look("document.querySelectorAll('#rows details').forEach((one) => (one.open = true))")
    await tab.until("document.querySelectorAll('#rows .detail table').length === 2")
    levels = await tab.look("[...document.querySelectorAll('h1, h2, h3, h4')].filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level is left out"
    assert await tab.look("['header', 'nav[aria-label]', 'main', 'footer'].every((one) => document.querySelectorAll(`body > ${one}, header > ${one}`).length === 1)")
    regions = await tab.look("[...document.querySelectorAll('main > section')].map((one) => one.getAttribute('aria-label') ?? document.getElementById(one.getAttribute('aria-labelledby')).textContent)")
    assert regions == ["At a glance", "Services", "Machines", "In flight", "Traffic", "Savings", "Activity", "Routes and strategies"]
    links = await tab.look("[...document.querySelectorAll('nav a, .skip')].every((one) => document.querySelector(one.getAttribute('href')) !== null)")
    assert links


async def test_what_is_read_aloud_changes_with_states_and_not_with_time(browser, double, door):
    double.service("ollama", state="hot", idle_for_s=3.0, readiness="ready", hot_since=stamp(60))
    tab = await opened(browser, double)
    await tab.look(SPOKEN)
    await tab.until("window.shown >= 3")
    assert await tab.look("window.spoken") == 0
    await press(tab, button("ollama", "Stop"))
    await tab.until("document.getElementById('voice').textContent === 'ollama is cold'")


SPOKEN = """
window.spoken = window.shown = 0;
const quiet = { childList: true, characterData: true, subtree: true };
for (const one of document.querySelectorAll('[role=status], [role=alert], [aria-live=polite]')) new MutationObserver(() => (window.spoken += 1)).observe(one, quiet);
new MutationObserver(() => (window.shown += 1)).observe(document.querySelector('.why'), quiet);
"""


async def test_without_scripts_it_says_where_else_to_look(browser, double, door):
    tab = await browser.tab(scripts=False)
    await tab.go(f"{double.url}/dashboard/")
    await tab.until("document.body.innerText.includes('hestiactl status')")
