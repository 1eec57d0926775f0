"""The pictures of the README: `make shots` writes them anew, from the pages' real files and a day that is made up.

Clock, zone, language and data stand still, and nothing moves: the same pages give the same pictures, to the byte, with
the same browser and fonts. It wants chromium, and Debian's fonts-inter to look as it does on most people's screens.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.engines.browser import chromium
from tests.engines.shots_day import NOW, day, requests_go_on
from tests.engines.test_waiting_page import gateway as waiting_gateway
from tests.support.dashboard_double import serving

PICTURES = Path(__file__).parents[2] / "hestia" / "docs" / "pictures"
LARGEST = 150_000
"""Bytes of one picture: everybody who opens the README loads them all."""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<match target="pattern"><test qual="all" name="family" compare="not_contains"><string>mono</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<cachedir>{home}/fonts</cachedir>
</fontconfig>
"""
CLOCK = """
(() => {
  const now = %d, Real = Date;
  const steps = performance.now.bind(performance);
  performance.now = () => Math.round(steps() / 5000) * 5000 + 1;  // a pace that no machine's speed changes
  window.Date = class extends Real { constructor(...of) { super(...(of.length ? of : [now])); } static now() { return now; } };
})();
"""


async def still(browser, **kw):
    """A tab in which it is always the same moment."""
    tab = await browser.tab(**kw)
    scheme = "dark" if kw.get("dark") else "light"
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    await tab.send("Emulation.setEmulatedMedia", features=features)
    await tab.send("Emulation.setScrollbarsHidden", hidden=True)
    await tab.send("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
    await tab.send("Emulation.setLocaleOverride", locale="en-GB")
    await tab.send("Page.addScriptToEvaluateOnNewDocument", source=CLOCK % (NOW * 1000))
    return tab


async def dashboard(browser, name, **kw):
    double = day()
    async with serving(double):
        tab = await still(browser, **kw)
        await tab.go(f"{double.url}/dashboard/")
        await tab.until("document.getElementById('link')?.dataset.link === 'live' && document.querySelector('#traffic tbody tr') !== null")
        requests_go_on(double)
        await tab.until(
            "document.querySelectorAll('.strip rect').length > 40"
            " && document.querySelector('.tile:nth-child(3) strong').textContent !== '–'"
            " && document.querySelector('#savings tbody tr') !== null && document.querySelector('.machine .meter') !== null"
        )
        await tab.picture(PICTURES / f"{name}.png")


async def waiting(browser, picture, **view):
    async with waiting_gateway() as door:
        door.becomes(**view)
        tab = await still(browser, width=760, height=560)
        await tab.go(f"{door.url}/")
        await tab.until("document.getElementById('lead')?.textContent.length > 0")
        await tab.picture(PICTURES / f"{picture}.png")


async def all_of_them(browser):
    await dashboard(browser, "dashboard", width=1200, height=880)
    await dashboard(browser, "dashboard-dark", width=1200, height=880, dark=True)
    await dashboard(browser, "phone", width=390, height=844)
    await waiting(browser, "waiting", name="comfyui", phase="probing", started_s=14.0, expected_s=40.0, waiters=2)
    error = "exited with code 1: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.40 GiB"
    await waiting(browser, "failed", name="immich-ml", state="failed", phase=None, waiters=0, error=error)


def smaller(png):
    """The same picture, packed harder than a browser that is in a hurry does."""
    out, data, at = [png[:8]], b"", 8
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        elif kind == b"IEND":
            out += [chunk(b"IDAT", zlib.compress(zlib.decompress(data), 9)), chunk(b"IEND", b"")]
        else:
            out.append(png[at : at + 12 + length])
        at += 12 + length
    return b"".join(out)


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@asynccontextmanager
async def photographer():
    with TemporaryDirectory() as home:
        fonts = Path(home) / "fonts.conf"
        fonts.write_text(FONTS.format(home=home))
        async with chromium(Path(home) / "profile", FONTCONFIG_FILE=str(fonts)) as browser:
            yield browser


async def main():
    PICTURES.mkdir(exist_ok=True)
    async with photographer() as browser:
        await all_of_them(browser)
    for each in sorted(PICTURES.glob("*.png")):
        each.write_bytes(smaller(each.read_bytes()))
        print(f"{each.name}: {each.stat().st_size:,} bytes")
        assert each.stat().st_size < LARGEST, f"{each.name} is too large"


if __name__ == "__main__":
    asyncio.run(main())
