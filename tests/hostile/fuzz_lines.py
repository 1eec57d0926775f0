"""Header lines for the fuzzing of heads: known names with telling values, any other ones, and bad ones."""

from hypothesis import strategies as st

TRACES = tuple(b"00-%b-0123456789abcdef-01" % (digit * 32) for digit in (b"1", b"2"))
KNOWN = {
    b"Accept": (b"*/*", b"text/html", b""),
    b"User-Agent": (b"curl/8", b"prober/1"),
    b"Cookie": (b"a=1", b"a=2; hestia_session=x", b"hestia_session=x"),
    b"X-A": (b"1", b"2", b"\xe9", b"a: b"),
    b"X-B": (b"1", b"2"),
    b"X-Set": (b"ours", b"2"),
    b"X-Route": (b"c", b"d"),
    b"Content-Type": (b"text/plain", b"application/json"),
    b"Content-Length": (b"0", b"3", b"03"),
    b"Transfer-Encoding": (b"chunked", b"Chunked"),
    b"Trailer": (b"X-A",),
    b"Connection": (b"keep-alive", b"close", b"X-A", b"x-b, keep-alive", b"upgrade", b"Upgrade, X-A", b"Host, Content-Type, Cookie, X-Forwarded-For, Authorization"),
    b"Upgrade": (b"websocket", b"h2c", b"a/1, h2c"),
    b"Expect": (b"100-continue",),
    b"TE": (b"trailers",),
    b"Keep-Alive": (b"timeout=5",),
    b"Proxy-Connection": (b"keep-alive",),
    b"Proxy-Authorization": (b"Basic eA==",),
    b"HTTP2-Settings": (b"AAMAAABk",),
    b"X-Request-ID": (b"mine-1", b"mine-2", b"not sane", b""),
    b"traceparent": TRACES,
    b"CDN-Loop": (b"other", b"other; v=1"),
    b"Via": (b"1.1 up",),
    b"X-Forwarded-For": (b"1.1.1.1", b"2.2.2.2, 127.0.0.1"),
    b"X-Forwarded-Proto": (b"https", b"http"),
    b"X-Forwarded-Host": (b"localhost", b"other.lan", b"bad host"),
    b"X-Forwarded-Prefix": (b"/outer", b"/outer/"),
    b"X-Forwarded-Port": (b"81",),
    b"X-Real-IP": (b"1.1.1.1",),
    b"Forwarded": (b"for=1.1.1.1",),
    b"Origin": (b"http://localhost", b"http://else.example", b"null"),
    b"Referer": (b"http://localhost/x", b"http://else.example/x"),
    b"Authorization": (b"Bearer right", b"Bearer wrong", b"Basic eA=="),
    b"X-API-Key": (b"right", b"few", b"wrong"),
    b"Sec-Fetch-Site": (b"same-origin", b"cross-site", b"none"),
    b"Sec-Fetch-Mode": (b"navigate", b"cors"),
    b"Purpose": (b"prefetch", b"x"),
    b"Access-Control-Request-Method": (b"PUT",),
    b"X_Forwarded_For": (b"9.9.9.9",),
    b"Content_Length": (b"9",),
    b"x_request_id": (b"9",),
    b"Host": (b"localhost", b"other.lan", b"c.lan"),
}  # fmt: skip
OWS = st.sampled_from((b"", b" ", b"\t", b"  "))
CASES = st.sampled_from((bytes, bytes, bytes.lower, bytes.upper))
TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8).map(str.encode)
VALUES = st.binary(max_size=12).map(lambda raw: bytes(byte for byte in raw if byte == 9 or (byte > 31 and byte != 127)))


@st.composite
def known_lines(draw):
    name = draw(st.sampled_from(sorted(KNOWN)))
    return draw(CASES)(name) + b":" + draw(OWS) + draw(st.sampled_from(KNOWN[name])) + draw(OWS)


LINES = st.one_of(known_lines(), known_lines(), known_lines(), st.builds(lambda name, space, value: name + b":" + space + value, TOKENS, OWS, VALUES))
BAD_LINES = st.sampled_from((b"no colon", b" folded", b"X-Nul: \x00", b"X-Bare: a\rb", b"X-Bare: a\nb", b"X-Space : 1", b"", b": nameless", b"Content-Length: +1", b"Transfer-Encoding: gzip"))
HOST = b"Host: localhost"


@st.composite
def edited(draw, lines, more=LINES, table=KNOWN):
    """The lines as a client changes them from one request to the next: mostly a value, sometimes more."""
    lines = list(lines)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(lines) - 1, 0)))
        deed = draw(st.sampled_from(("value", "value", "value", "line", "gone", "twice", "swap", "more")))
        if deed == "more" or not lines:
            lines.insert(at, draw(more))
        elif deed == "value":
            name = lines[at].partition(b":")[0]
            known = next((each for each in table if each.lower() == name.lower()), None)
            lines[at] = name + b": " + draw(st.sampled_from(table[known]) if known else VALUES)
        elif deed == "line":
            lines[at] = draw(more)
        elif deed == "gone":
            del lines[at]
        elif deed == "twice":
            lines.insert(at, lines[at])
        else:
            lines.append(lines.pop(at))
    return lines


@st.composite
def sequences(draw, first, more=LINES, longest=5, table=KNOWN):
    found = [draw(first)]
    for _ in range(draw(st.integers(1, longest))):
        found.append(draw(edited(found[-1], more, table)))
    return found
