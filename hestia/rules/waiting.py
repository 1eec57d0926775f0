"""What a request gets while its service is cold, and what the header `Hestia-Wait` asks for.

Pure: the door knows the request, the keeper knows the service, here stands what follows.
"""

from typing import Final, Literal

from hestia.words.refusal import Refusal
from hestia.words.status import State

Waiting = Literal["auto", "hold", "page", "refuse"]
Course = Literal["hold", "page", "frame", "refuse"]
"""Wait in line; the waiting page; the same as plain text, for a frame may not show the page; 503 `cold`."""
Wish = Literal["look", "retry", "cancel"]
Deed = Literal["start", "stop", "nothing"]

READS: Final = frozenset((b"GET", b"HEAD"))
FRAMES: Final = frozenset((b"iframe", b"frame", b"embed", b"object", b"fencedframe"))
WISHES: Final[dict[bytes, Wish]] = {b"1": "look", b"retry": "retry", b"cancel": "cancel"}
RETRY_FORM: Final = b"hestia_wait=retry"
FORM: Final = b"application/x-www-form-urlencoded"
PAGE_LASTS: Final = 10.0
"""A page counts as one waiter for so many seconds after it last asked."""


def course(waiting: Waiting, method: bytes, *, navigation: bool, upgrade: bool = False, dest: bytes | None) -> Course:
    """What a request that would wake the service gets. `dest` is its `Sec-Fetch-Dest`."""
    if waiting == "refuse":
        return "refuse"
    if waiting == "page" and method in READS and not upgrade:
        return "frame" if dest in FRAMES else "page"
    if waiting == "auto" and navigation and method == b"GET" and not upgrade:
        return "page"
    return "hold"


def wish(value: bytes, method: bytes) -> Wish:
    """What the header `Hestia-Wait` asks for. Raises the refusal of any other value, and of a GET that would act."""
    found = WISHES.get(value.strip(b" \t").lower())
    if found is None:
        raise Refusal("bad_request", "`Hestia-Wait` is 1, retry or cancel")
    if found == "look" and method not in READS:
        raise Refusal("method_not_allowed", "`Hestia-Wait: 1` looks: ask with GET", allow="GET, HEAD")
    if found != "look" and method != b"POST":
        raise Refusal("method_not_allowed", f"`Hestia-Wait: {found}` does something: send it with POST", allow="POST")
    return found


def deed(wish: Wish, state: State, *, held: bool = False, waiters: int = 0) -> Deed:
    """What a wish does to a service in this state; `waiters` counts the page that asks.

    A hold is ended by `start` only. A start is the keeper's `start`: it ends a cool-down, and one of a service that
    stops comes after the stop.
    """
    if wish == "retry" and not held and state in ("cold", "failed", "stopping"):
        return "start"
    if wish == "cancel" and state == "starting" and waiters <= 1:
        return "stop"
    return "nothing"


def may_be_retry_form(method: bytes, length: int, content_type: bytes | None) -> bool:
    """Whether this may be the page's own form, so that its body is to be looked at before anything is relayed.

    `length` is the Content-Length; a chunked body is none of the page's.
    """
    return (
        length == len(RETRY_FORM)
        and method == b"POST"
        and content_type is not None
        and content_type.partition(b";")[0].strip(b" \t").lower() == FORM
    )


def is_retry_form(body: bytes) -> bool:
    """Whether the body is that of the page's Retry without scripts."""
    return body == RETRY_FORM
