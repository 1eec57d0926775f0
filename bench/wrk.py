"""wrk: its scripts, its call, and what it said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.figures import Sample

FIGURES: Final = re.compile(r"^FIGURES ([\d. ]+)$", re.MULTILINE)
SAY: Final = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\\nFIGURES %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""
# What a client of a web API sends: ten headers with Host, of which `traceparent` is another one each time.
HEADERS: Final = (
    ("Host", "127.0.0.1:{port}"),
    ("User-Agent", "OpenAI/Python 1.109.1"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Content-Type", "application/json"),
    ("X-Stainless-Lang", "python"),
    ("X-Stainless-Package-Version", "1.109.1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d{varies}-00f067aa0ba902b7-01"),
    ("X-Stainless-Retry-Count", "0"),
    ("Accept-Language", "en-GB,en;q=0.9"),
)
CONSTANT: Final = "0e0e4736"


def get_script(port: int, path: str, *, varied: bool, delay_ms: float = 0.0) -> str:
    """A GET with ten headers; after each answer a pause of about `delay_ms` when that is given."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in HEADERS), "", ""]
    text = "\\r\\n".join(lines).replace("{port}", str(port))
    before, after = text.split("{varies}")
    if varied:
        script = (
            f'local a, b, n = "{before}", "{after}", 0\n'
            'request = function() n = n + 1; return a .. string.format("%08x", n) .. b end\n'
        )
    else:
        script = f'local all = "{before}{CONSTANT}{after}"\nrequest = function() return all end\n'
    if delay_ms:
        script += f"delay = function() return math.random(0, {round(2 * delay_ms)}) end\n"
    return script + SAY


def post_script(size: int) -> str:
    return (
        f'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\n'
        f'wrk.headers["Content-Type"] = "application/octet-stream"\n{SAY}'
    )


def read_figures(text: str) -> Sample:
    """Raises ValueError where wrk did not come to an end of its own."""
    found = FIGURES.search(text)
    if found is None:
        raise ValueError(f"wrk said {text.strip()[-200:]!r}")
    requests, duration_us, p50, p95, p99, errors = map(float, found[1].split())
    if not requests:
        raise ValueError(f"no request was answered, {errors:g} errors")
    return {
        "rps": requests / (duration_us / 1e6),
        "p50_us": p50,
        "p95_us": p95,
        "p99_us": p99,
        "requests": requests,
        "errors": errors,
    }


def find() -> str | None:
    return shutil.which("wrk")


def run(
    folder: Path, script: str, url: str, *, connections: int, seconds: int, cores: frozenset[int], aside: bool = False
) -> subprocess.Popen[str]:
    """Begins a run. `aside`: it is the background of another measurement, and gets a file of its own."""
    file = folder / ("aside.lua" if aside else "load.lua")
    file.write_text(script)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(file), url]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 - the bench has no threads
    )


def finish(process: subprocess.Popen[str], seconds: float) -> Sample:
    """Its figures. Raises ValueError."""
    try:
        text, _ = process.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ValueError("wrk did not end") from None
    return read_figures(text)
