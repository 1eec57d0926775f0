"""The grammar of HTTP/1.1 heads, as strict as we can be: each rule is one possessive expression that runs in C.

Strictness is the defence against request smuggling: what two parsers could read differently is refused, never repaired.
Possessive quantifiers keep every expression linear. RFC 9112 is quoted over each rule.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""tchar of RFC 9110, 5.6.2."""
TEXT = rb"[\t -~\x80-\xff]"
"""field-vchar, obs-text, SP and HTAB: no CR, LF, NUL or other control byte."""

# request-line = method SP request-target SP HTTP-version CRLF; one SP, nothing but 1.0 and 1.1
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb"{1,32}+) ([!-~]++) HTTP/1\.([01])\r\n")
# what may still become a request line: everything else is refused before its line end comes
VERSION_BEGUN = rb"(?:H(?:T(?:T(?:P(?:/(?:1(?:\.(?:[01]\r?)?)?)?)?)?)?)?)?"
REQUEST_LINE_BEGUN = re.compile(rb"(?:" + TOKEN + rb"{1,32}+(?: (?:[!-~]++(?: " + VERSION_BEGUN + rb")?)?)?)?")
# status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (" + TEXT + rb"*+))?\r\n")
# field-line = field-name ":" OWS field-value OWS; no obs-fold, no space before the colon
FIELDS = re.compile(rb"(?:" + TOKEN + rb"++:" + TEXT + rb"*+\r\n)*\r\n")
FIELD = re.compile(TOKEN + rb"++:" + TEXT + rb"*+")
FIELD_LINES = re.compile(rb"(?:" + TOKEN + rb"++:" + TEXT + rb"*+\r\n)*")
FIELD_BEGUN = re.compile(rb"(?:" + TOKEN + rb"++(?::" + TEXT + rb"*+)?)?\r?")
# chunk = chunk-size [ chunk-ext ] CRLF; 15 digits stay below 2**60
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)([ \t]*+;" + TEXT + rb"*+)?\r\n")
CHUNK_LINE_BEGUN = re.compile(rb"(?:[0-9A-Fa-f]{1,15}+(?:[ \t]*+(?:;" + TEXT + rb"*+)?)?\r?)?")
# Content-Length = 1*DIGIT; 18 digits stay below 2**63
LENGTH = re.compile(rb"[0-9]{1,18}+")
# a CR or LF that is not a line end
LONE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
# a request id of a client that we keep: 1 to 128 visible ASCII characters
REQUEST_ID = re.compile(rb"[!-~]{1,128}+")
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")  # Trace Context, 3.2
UPGRADE = re.compile(TOKEN + rb"++(?:/" + TOKEN + rb"++)?")

LONGEST_CHUNK_LINE = 4096
LONGEST_TRAILERS = 16384
MOST_TRAILERS = 128

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)
ROUTING = frozenset((b"host", b"expect", b"max-forwards", b"cdn-loop", b"forwarded", b"x-real-ip", b"x-request-id"))
AUTH = frozenset((b"authorization", b"cookie", b"set-cookie", b"x-api-key", b"proxy-authenticate", b"www-authenticate"))
CONTENT = (b"content-encoding", b"content-length", b"content-range", b"content-type")
FRAMING = frozenset((*CONTENT, b"trailer", b"transfer-encoding"))
NEVER_TRAILERS = HOP_BY_HOP | ROUTING | AUTH | FRAMING


class BadMessage(Exception):
    """A message that breaks the grammar; the caller knows whose fault that is."""


def values(value: bytes) -> set[bytes]:
    """The members of a comma-separated list, in lower case."""
    return {member.strip(b" \t").lower() for member in value.split(b",")} - {b""}


def forbidden_in_trailers(name: bytes) -> bool:
    """Framing, routing, auth and forwarding fields act before the body: in a trailer they mislead (RFC 9110, 6.5.1)."""
    name = name.replace(b"_", b"-")
    return name in NEVER_TRAILERS or name.startswith((b"x-forwarded-", b"hestia-"))
