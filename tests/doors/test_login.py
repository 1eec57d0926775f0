"""The login page and its form, served on bare connections of the guest lane."""

import asyncio
import contextlib
import re
import threading
from base64 import b64encode
from contextlib import asynccontextmanager
from hashlib import sha256
from html import unescape
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.doors import guest, login
from hestia.doors.login import Login, safe_return
from hestia.doors.session import Sessions
from hestia.rules.keys import Key, KeyRing, digest_of
from hestia.rules.passwords import hash_password
from hestia.rules.tries import AT_ONCE
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.spec import Dashboard, Limits

RING = KeyRing([Key("star", digest_of("k-star"), frozenset({"*"})), Key("some", digest_of("k-some"), frozenset({"a"}))])
PLAIN = Dashboard(username="admin", password="p&ss wörd")
FORM = "Content-Type: application/x-www-form-urlencoded"
HTML = "Accept: text/html"


class Lane:
    def __init__(self, dashboard, scheme, client):
        self.lines = []
        self.ring = RING
        self.sessions = Sessions("ab12")
        self.now = 0.0
        self.log = Log(self.lines.append, level="debug")
        self.login = Login(dashboard, self.sessions, lambda: self.ring, self.log.event, lambda: self.now)
        self.server = guest.Server(self.login.answer, limits=Limits(), tally=Tally([]), log=self.log, cors=frozenset())
        self.scheme, self.client, self.port = scheme, client, 0

    async def ask(self, method, target, *lines, body=""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        data = body.encode()
        head = [f"{method} {target} HTTP/1.1", "Host: box", *lines, *([f"Content-Length: {len(data)}"] if data else [])]
        writer.write("\r\n".join([*head, "", ""]).encode() + data)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return Answer(answer)

    async def try_it(self, *lines, **fields):
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
        return await self.ask("POST", "/__login", FORM, *lines, body=body)


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.decode().partition("\r\n\r\n")
        self.status = int(head.split()[1])
        self.head = head

    def all(self, name):
        return re.findall(rf"(?im)^{name}: (.*?)\r?$", self.head)

    def get(self, name):
        return (self.all(name) or [None])[0]


@asynccontextmanager
async def serving(dashboard=PLAIN, *, scheme="http", client="192.0.2.7"):
    lane = Lane(dashboard, scheme, client)
    server = await asyncio.get_running_loop().create_server(
        lambda: lane.server.hire(None, "r-1", lane.client, lane.scheme), "127.0.0.1", 0
    )
    lane.port = server.sockets[0].getsockname()[1]
    try:
        yield lane
    finally:
        server.close()
        await lane.server.shutdown(0.1)
        lane.login.close()


# --- the page


async def test_the_page_needs_no_script_and_nobody_may_frame_it():
    async with serving() as lane:
        page = await lane.ask("GET", "/__login?next=/services/a/%3Fx%3D%22%3E%3Cb%3E")
    policy = page.get("Content-Security-Policy")
    assert page.status == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "<script" not in page.body
    assert (page.get("X-Content-Type-Options"), page.get("Cache-Control")) == ("nosniff", "no-store")
    assert page.get("Referrer-Policy") == "same-origin"  # else the form is posted with `Origin: null`
    style = re.search(r"<style>(.*?)</style>", page.body, re.DOTALL)[1]
    assert f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy


async def test_the_address_to_come_back_to_is_escaped():
    async with serving() as lane:
        page = await lane.ask("GET", "/__login?next=/x%3Fa%3D%22%3E%3Cscript%3E")
    assert '"/x?a=&quot;&gt;&lt;script&gt;"' in page.body


async def test_the_page_asks_for_name_and_password_or_for_a_key():
    async with serving() as lane:
        page = await lane.ask("GET", "/__login")
    assert ('name="username"' in page.body, 'name="password"' in page.body, 'name="key"' in page.body) == (True, True, False)
    async with serving(None) as lane:
        page = await lane.ask("GET", "/__login")
    assert ('name="password"' in page.body, 'name="key"' in page.body) == (False, True)


async def test_head_is_the_page_without_its_body_and_other_methods_are_not_taken():
    async with serving() as lane:
        head = await lane.ask("HEAD", "/__login")
        assert (head.status, head.body) == (200, "")
        other = await lane.ask("PUT", "/__login")
        assert (other.status, other.get("Allow")) == (405, "GET, HEAD, POST")


# --- logging in


async def test_the_right_password_opens_a_session_and_leads_back():
    async with serving() as lane:
        answer = await lane.try_it(HTML, username="admin", password="p&ss wörd", next="/services/a/x?y=%2F&z")
        assert (answer.status, answer.get("Location")) == (303, "/services/a/x?y=%2F&z")
        name, _, rest = answer.get("Set-Cookie").partition("=")
        assert name == "hestia_session_ab12"
        assert rest.endswith("; Path=/; HttpOnly; SameSite=Lax")
        assert lane.sessions.find([rest.partition(";")[0].encode()]).who == "admin"


async def test_under_tls_the_cookie_is_secure():
    async with serving(scheme="https") as lane:
        cookie = (await lane.try_it(username="admin", password="p&ss wörd")).get("Set-Cookie")
        assert cookie.startswith("__Host-hestia_session_ab12=")
        assert cookie.endswith("; Secure")


async def test_a_hashed_password_is_checked_in_a_thread():
    async with serving(Dashboard(password_hash=hash_password("s3cret", b"0123456789abcdef"))) as lane:
        assert (await lane.try_it(username="admin", password="s3creT")).status == 401
        assert (await lane.try_it(username="admin", password="s3cret")).status == 303


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "admin", "password": "wrong"},
        {"username": "Admin", "password": "p&ss wörd"},
        {"username": "", "password": "p&ss wörd"},
        {"password": "p&ss wörd"},
        {"username": "admin"},
        {"username": "admin", "password": ""},
        {"username": "admin", "password": "x" * 5000},
        {"key": "k-star"},  # with a password set, a key is no login
        {},
    ],
)
async def test_what_is_wrong_gets_the_page_again_and_no_session(fields):
    async with serving() as lane:
        answer = await lane.try_it(HTML, **fields, next="/back?x")
        assert (answer.status, answer.get("WWW-Authenticate"), answer.get("Set-Cookie")) == (401, "Bearer", None)
        assert 'role="alert"' in answer.body
        assert 'value="/back?x"' in answer.body
        assert len(lane.sessions) == 0


async def test_a_program_gets_the_error_as_json():
    async with serving() as lane:
        answer = await lane.try_it(username="admin", password="wrong")
        assert answer.get("Content-Type") == "application/problem+json"
        assert '"code": "unauthorized"' in answer.body


async def test_without_a_password_a_key_for_everything_is_the_login_and_no_other():
    async with serving(None) as lane:
        for key in ("k-some", "k-none", "", "k-stär", "\ud83d", "*"):
            assert (await lane.try_it(key=key.encode("utf-8", "replace").decode())).status == 401
            lane.login.tries.give_back(lane.client)
        answer = await lane.try_it(key=" k-star ")
        assert answer.status == 303
        assert lane.sessions.find([re.search(r"=([^;]+)", answer.get("Set-Cookie"))[1].encode()]).who == "star"


async def test_a_new_login_ends_the_session_it_came_with():
    async with serving() as lane:
        old = lane.sessions.begin("admin", b"")
        answer = await lane.try_it(f"Cookie: a=b; hestia_session_ab12={old}", username="admin", password="p&ss wörd")
        assert answer.status == 303
        assert lane.sessions.find([old.encode()]) is None
        assert len(lane.sessions) == 1


# --- what is no form


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (["Content-Type: application/json"], "{}", 400),
        (["Content-Type: multipart/form-data; boundary=x"], "--x--", 400),
        ([], "username=admin", 400),
        ([FORM], "username=admin&password=\xff", 400),
        ([FORM], "&".join("a=b" for _ in range(50)), 400),
        ([FORM], "password=" + "x" * 20000, 413),
    ],
)
async def test_what_is_no_form_is_refused_and_is_no_try(lines, body, status):
    async with serving() as lane:
        assert (await lane.ask("POST", "/__login", *lines, body=body)).status == status
        assert lane.login.tries._by == {}


# --- tries


async def test_failed_tries_are_limited_and_told_when_to_come_back():
    async with serving() as lane:
        for _ in range(AT_ONCE):
            assert (await lane.try_it(username="admin", password="wrong")).status == 401
        answer = await lane.try_it(username="admin", password="p&ss wörd")
        assert (answer.status, answer.get("Retry-After")) == (429, "30")
        assert '"code": "too_many_tries"' in answer.body
        page = await lane.try_it(HTML, username="admin", password="p&ss wörd")
        assert page.status == 429
        assert "30 s" in page.body
        lane.now += 30
        assert (await lane.try_it(username="admin", password="p&ss wörd")).status == 303


async def test_another_address_may_still_try():
    async with serving() as lane:
        for _ in range(AT_ONCE + 1):
            await lane.try_it(username="admin", password="wrong")
        lane.client = "192.0.2.8"
        assert (await lane.try_it(username="admin", password="p&ss wörd")).status == 303


async def test_many_at_once_are_checked_two_at_a_time_and_only_as_many_as_may(monkeypatch):
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def slow(password, hashed):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(login, "fits", slow)
    async with serving(Dashboard(password_hash=hash_password("x", b"0123456789abcdef"))) as lane:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(lane.try_it(username="admin", password="x")) for _ in range(20)]
        assert sorted(task.result().status for task in tasks) == [401] * AT_ONCE + [429] * (20 - AT_ONCE)
        assert most == 2


# --- logging out, and what else ends sessions


async def test_logging_out_ends_the_session_and_takes_the_cookie_away():
    async with serving(scheme="https") as lane:
        token = lane.sessions.begin("admin", b"")
        answer = await lane.ask("POST", "/__logout", f"Cookie: __Host-hestia_session_ab12={token}")
        assert (answer.status, answer.get("Location")) == (303, "/__login")
        assert len(answer.all("Set-Cookie")) == 2
        assert all("Max-Age=0" in cookie for cookie in answer.all("Set-Cookie"))
        assert len(lane.sessions) == 0


async def test_looking_at_the_logout_page_ends_nothing():
    async with serving() as lane:
        token = lane.sessions.begin("admin", b"")
        page = await lane.ask("GET", "/__logout", f"Cookie: hestia_session_ab12={token}")
        assert (page.status, 'action="/__logout"' in page.body) == (200, True)
        assert lane.sessions.find([token.encode()])


async def test_logging_out_without_a_session_is_no_mistake():
    async with serving() as lane:
        assert (await lane.ask("POST", "/__logout")).status == 303


async def test_sessions_end_with_their_password_or_key():
    async with serving() as lane:
        await lane.try_it(username="admin", password="p&ss wörd")
        lane.login.changed(PLAIN)
        assert len(lane.sessions) == 1
        lane.login.changed(Dashboard(username="admin", password="another"))
        assert len(lane.sessions) == 0
    async with serving(None) as lane:
        await lane.try_it(key="k-star")
        lane.login.changed(None)
        assert len(lane.sessions) == 1
        lane.ring = KeyRing([Key("star", digest_of("k-star"), frozenset({"a"}))])
        lane.login.changed(None)
        assert len(lane.sessions) == 0


async def test_the_log_says_who_came_and_who_was_refused_and_nothing_secret():
    async with serving() as lane:
        await lane.try_it(username="admin", password="p&ss wörd")
        await lane.try_it(username="admin", password="hunter2")
        text = b"".join(lane.lines).decode()
    assert '"event":"auth.accepted"' in text
    assert '"event":"auth.refused"' in text
    assert "192.0.2.7" in text
    assert not [word for word in ("hunter2", "wörd", "p&ss", "hestia_session") if word in text]


# --- where a login leads


@pytest.mark.parametrize("address", ["/", "/x", "/services/a/?x=/y&z=%2F", "/?next=//evil.example", "/./..//x", "/x:y@z"])
def test_a_path_of_this_host_is_kept_with_its_query(address):
    assert safe_return(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "", "x", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil", "http://evil.example/", "javascript:alert(1)",
        "/x\\y", "/x\r\nSet-Cookie: a=b", "/\t/evil.example", "/x y", "/é", " /x", "/" + "x" * 5000, "/__login", "/__login?next=/x", "/__logout",
    ],
)  # fmt: skip
def test_everything_else_leads_to_the_front_page(address):
    assert safe_return(address) == "/"


@given(st.text(max_size=30).map(lambda text: "/" + text))
def test_whatever_comes_no_other_host_is_named(address):
    kept = safe_return(address)
    assert re.match(r"/(?![/\\])", kept)
    assert kept.isascii()
    assert kept.isprintable()


def test_the_page_keeps_the_address_as_it_was_asked_for():
    house = Login(PLAIN, Sessions("x"), lambda: RING, lambda *_, **__: None)
    page = house.page("/services/a/?q='\"&<>%41").decode()
    house.close()
    assert unescape(re.search(r'name="next" value="([^"]*)"', page)[1]) == "/services/a/?q='\"&<>%41"
