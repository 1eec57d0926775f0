"""What a request may ask for: the target, checked but never changed (contract, section 4: byte for byte)."""

import re

from hestia.h1.grammar import BadMessage

# the path: visible ASCII but no "#", "%" only before two hex digits that are not 00; the query: any visible ASCII
TARGET = re.compile(rb"/(?:[!\"$&-.0->@-~/]++|%(?!00)[0-9A-Fa-f]{2})*(?:\?[!-~]*+)?")
# "." and ".." between any of the separators that some server takes for one
DOTS = re.compile(rb"(?:/|\\|%2f|%5c)(?:\.|%2e){1,2}(?=/|\\|;|%2f|%5c|%3b|\Z)", re.IGNORECASE)
ABSOLUTE = re.compile(rb"(https?)://([^/?#]*+)(.*+)", re.IGNORECASE)


def check_target(target: bytes, method: bytes) -> tuple[bytes, bytes | None]:
    """The origin-form of a target and, for an absolute-form, its authority. Raises BadMessage."""
    authority = None
    if target[:1] != b"/":
        if target == b"*" and method == b"OPTIONS":
            return target, None
        found = ABSOLUTE.fullmatch(target)
        if found is None:
            raise BadMessage("the request target is no path")
        authority = found[2]
        target = found[3]
        if target[:1] != b"/":
            target = b"/" + target
    if TARGET.fullmatch(target) is None:
        raise BadMessage("the request target has a character or a percent-encoding that is not allowed")
    if b"/." in target or b"%" in target or b"\\" in target:
        path = target.partition(b"?")[0]
        if DOTS.search(path) is not None:
            raise BadMessage("the request target has a . or .. segment")
    return target, authority
