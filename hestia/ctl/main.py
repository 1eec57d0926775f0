"""`hestiactl`: there so that scripts find it; the control socket that it speaks to comes with a later version."""

import sys

from hestia import __version__
from hestia.wire import DONE, UNREACHABLE

USAGE = f"""usage: hestiactl [--help | --version] COMMAND ...

hestiactl {__version__} has no commands yet: the gateway's control socket comes with a later version.
Until then, ask the gateway over HTTP: GET /v1/services, GET /v1/services/ID/status.
"""


def main(argv: list[str] | None = None) -> int:
    """The exit code says what is true: there is no gateway that this program could reach."""
    words = sys.argv[1:] if argv is None else argv
    if "--version" in words:
        print(f"hestiactl {__version__}")
        return DONE
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return DONE
    print(USAGE, end="", file=sys.stderr)
    return UNREACHABLE
