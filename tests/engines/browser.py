"""A real Chromium, headless, driven over its DevTools websocket."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import time
from base64 import b64decode
from contextlib import asynccontextmanager

import aiohttp

PATIENCE = 30


def program():
    """Its path; an engines test fails where it is missing, it never skips."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is not installed: apt-get install chromium"
    return found


@asynccontextmanager
async def chromium(home, **environment):
    """A browser with a profile of its own in `home`. It reaches no other host than this one; `*.home.test` are names of it."""
    process = await asyncio.create_subprocess_exec(
        program(),
        "--headless=new",
        "--no-sandbox",  # as root there is none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-features=Translate,OptimizationHints,MediaRouter",
        "--no-first-run",
        "--host-resolver-rules=MAP *.home.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
        f"--user-data-dir={home}",
        "--remote-debugging-port=0",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    reader = None
    try:
        url = await asyncio.wait_for(_address(process.stderr), PATIENCE)
        reader = asyncio.ensure_future(_drain(process.stderr))
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            browser = Browser(socket)
            listening = asyncio.ensure_future(browser.listen())
            try:
                yield browser
            finally:
                listening.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()
        if reader is not None:
            reader.cancel()


async def _address(stream):
    while line := await stream.readline():
        if line.startswith(b"DevTools listening on "):
            return line.split()[-1].decode()
    raise AssertionError("chromium ended before it listened")


async def _drain(stream):
    while await stream.read(65536):
        pass


class Browser:
    def __init__(self, socket):
        self.socket = socket
        self.numbers = itertools.count(1)
        self.waiting = {}
        self.tabs = {}

    async def listen(self):
        async for message in self.socket:
            told = json.loads(message.data)
            if "id" in told:
                self.waiting.pop(told["id"]).set_result(told)
            elif told.get("sessionId") in self.tabs:
                self.tabs[told["sessionId"]].heard(told["method"], told["params"])

    async def send(self, method, session=None, **params):
        number = next(self.numbers)
        done = self.waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params} | _session(session))
        told = await asyncio.wait_for(done, PATIENCE)
        assert "error" not in told, f"{method}: {told['error']}"
        return told["result"]

    async def tab(self, *, scripts=True, width=1000, height=800, dark=False):
        """A new tab in a context of its own: no cookies, no cache."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = (await self.send("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.send(f"{domain}.enable")
        await tab.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        await tab.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await tab.send("Emulation.setEmulatedMedia", features=scheme)
        return tab


def _session(session):
    return {"sessionId": session} if session else {}


class Tab:
    """One page, and all that it said and asked for."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.said = []
        self.requests = []
        self.documents = []  # (status, header fields) of each page

    def heard(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.responseReceived" and params["type"] == "Document":
            fields = {name.lower(): value for name, value in params["response"]["headers"].items()}
            self.documents.append((params["response"]["status"], fields))
        elif method == "Runtime.exceptionThrown":
            self.said.append(params["exceptionDetails"].get("text", "") + str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.said.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.said.append(params["entry"]["text"])

    async def send(self, method, **params):
        return await self.browser.send(method, self.session, **params)

    async def go(self, url):
        await self.send("Page.navigate", url=url)

    async def look(self, expression):
        """The value of an expression in the page."""
        told = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression):
        """Waits until the expression holds, over navigations too."""
        deadline = time.monotonic() + PATIENCE
        last = None
        while time.monotonic() < deadline:
            try:
                last = await self.look(expression)
            except AssertionError as problem:  # the page is just being replaced
                last = problem
            if last is True:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{expression} never held: {last}; the page shows: {await self.text()}")

    async def text(self):
        return await self.look("document.body.innerText")

    async def key(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    async def picture(self, path):
        told = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(b64decode(told["data"]))
