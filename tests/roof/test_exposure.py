import json

import pytest

from hestia.roof.config import load_text
from hestia.roof.exposure import beyond_loopback, warn_of_no_auth
from hestia.telemetry.log import Log

FAR = 'listen: ["0.0.0.0:8080"]'


@pytest.mark.parametrize(
    ("listen", "beyond"),
    [
        (["127.0.0.1:8080", "[::1]:8080"], False),
        (["localhost:8080"], False),
        (["unix:/tmp/x.sock"], False),
        (["0.0.0.0:8080"], True),
        (["127.0.0.1:8080", "192.168.1.5:8080"], True),
        (["[::]:8080"], True),
    ],
)
def test_what_other_machines_can_reach_is_known(listen, beyond):
    assert beyond_loopback(load_text(f"listen: {json.dumps(listen)}").config) is beyond


@pytest.mark.parametrize(
    ("text", "level"),
    [("", "warning"), (FAR, "error"), (f"{FAR}\nauth: {{required: true}}", None), ("auth: {dashboard: {password: pw}}", None)],
)
def test_who_could_use_everything_is_warned_of_while_auth_is_off(text, level):
    lines = []
    warn_of_no_auth(load_text(text).config, Log(lines.append))
    assert [json.loads(line)["level"] for line in lines] == ([level] if level else [])
