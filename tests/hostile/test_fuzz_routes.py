"""Any configuration of routes and any request: the answer is the one that a plain reading of the rules gives."""

import json
from itertools import pairwise

from hypothesis import assume, example, given
from hypothesis import strategies as st

from hestia.doors.chooser import Chooser, Step
from hestia.h1.grammar import BadMessage
from hestia.h1.request import read_request_head
from hestia.h1.target import check_target
from hestia.roof.config import load_text
from hestia.rules.content import Rule
from hestia.rules.marks import ConfigError
from hestia.rules.routing import NOT_FOUND, OWN, REDIRECT, ROUTE, SERVICE, UNKNOWN, Door, Router
from hestia.words.spec import Route, RouteMatch
from tests.hostile.fuzz import tries

IDS = ("a", "b", "ab", "A.b_1-c", "services", "v1", "123", "null")
LABELS = ("a", "b", "lan", "x-1", "*")
HOSTS = st.lists(st.sampled_from(LABELS), min_size=2, max_size=4).map(".".join).filter(lambda host: not host.endswith("*"))
PIECES = st.sampled_from(("/", "/services/", "services", "a", "b", "ab", "v1", "models", "__health", "dashboard", "?", "=", "//", "%41", "[", "]", "!", "*", "A.b_1-c", "-", "x", "metrics", "123", ";"))
OWN_PATHS = ("/__health", "/metrics", "/dashboard", "/v1/services", "/v1/requests", "/v1/metrics", "/v1/activity", "/v1/events", "/v1/machines", "/v1/report", "/v1/inflight", "/v1/openapi.json")
TARGETS = st.one_of(
    st.lists(PIECES, max_size=7).map(lambda parts: "/" + "".join(parts)),
    st.builds(lambda id_, rest: f"/services/{id_}{rest}", st.sampled_from((*IDS, "nope", "")), st.lists(PIECES, max_size=3).map("".join)),
    st.builds(lambda path, rest: path + rest, st.sampled_from(OWN_PATHS), st.sampled_from(("", "/", "/x", "x", "?x", "/?x"))),
)
GLOB_PIECES = st.sampled_from(("*", "*", "?", "[ab]", "[!a]", "[a-c]", "[", "]", "a", "b", "/", "x", "v1", "-", "!", ".", "\\", "+", "(", "services", "ab", "[]]"))
PATHS = st.lists(GLOB_PIECES, max_size=5).map(lambda parts: "/" + "".join(parts))
WORDS = st.lists(GLOB_PIECES, max_size=4).map("".join)
METHODS = ("GET", "HEAD", "POST", "PUT")
NAMES = ("X-Team", "x-b", "Accept")
FIELDS = ("model", "options.a", "stream", "deep")
PLAIN = st.one_of(st.sampled_from(("a", "b", "ab", "x-a", "", "v1")), st.booleans(), st.integers(-1, 10), st.none())
BODIES = st.dictionaries(st.sampled_from(("model", "options", "stream", "deep", "x")), st.one_of(PLAIN, st.lists(PLAIN, max_size=2), st.dictionaries(st.sampled_from(("a", "model")), PLAIN, max_size=2)), max_size=4)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "host": HOSTS,
        "path": PATHS,
        "method": st.lists(st.sampled_from(METHODS), min_size=1, max_size=2, unique=True),
        "header": st.dictionaries(st.sampled_from(NAMES), WORDS, min_size=1, max_size=2),
        "json": st.dictionaries(st.sampled_from(FIELDS), WORDS, min_size=1, max_size=2),
    },
)


@st.composite
def configurations(draw):
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=True))
    services = {id_: {"base_url": "http://127.0.0.1:9", "strip_prefix": draw(st.booleans()), "hosts": draw(st.lists(HOSTS, max_size=2))} for id_ in ids}
    routes = [{"match": match, "service": draw(st.sampled_from(ids))} for match in draw(st.lists(MATCHES, max_size=4))]
    top = {"services": {"ollama": None, **services}, "routes": routes}
    if draw(st.integers(0, 3)) == 0:
        top["default_service"] = draw(st.sampled_from(ids))
    return top


def glob_fits(pattern, text):
    """`*`, `?` and `[...]`, one letter after the other."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return glob_fits(pattern[1:], text) or (text != "" and glob_fits(pattern, text[1:]))
    if pattern[0] == "[":
        negated = pattern[1:2] == "!"
        begin = 2 if negated else 1
        end = pattern.find("]", begin + 1)
        if end > 0:
            return text != "" and (text[0] in letters(pattern[begin:end])) is not negated and glob_fits(pattern[end + 1 :], text[1:])
    return text != "" and pattern[0] in {"?", text[0]} and glob_fits(pattern[1:], text[1:])


def letters(inside):
    found, at = set(), 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            found |= {chr(code) for code in range(ord(inside[at]), ord(inside[at + 2]) + 1)}
            at += 3
        else:
            found.add(inside[at])
            at += 1
    return found


def host_fits(pattern, host):
    wanted, labels = pattern.lower().split("."), host.split(".")
    return len(wanted) == len(labels) and all(want == label or (want == "*" and label != "") for want, label in zip(wanted, labels, strict=True))


def host_of(services, host):
    named = [(name.lower(), id_) for id_, keys in services.items() if keys is not None for name in keys["hosts"]]
    exact = [id_ for name, id_ in named if name == host]
    wild = [(name, id_) for name, id_ in named if "*" in name and host_fits(name, host)]
    longest = max((len(name) for name, _ in wild), default=0)
    return exact[0] if exact else next((id_ for name, id_ in wild if len(name) == longest), None)


def field_of(body, name):
    value = body
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    if isinstance(value, dict | list):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def route_fits(match, method, path, host, headers, body):
    methods = match.get("method", ())
    if methods and method not in methods and not (method == "HEAD" and "GET" in methods):
        return False
    if "path" in match and not glob_fits(match["path"], path):
        return False
    if "host" in match and not host_fits(match["host"], host):
        return False
    for name, pattern in match.get("header", {}).items():
        value = next((value for each, value in headers if each.lower() == name.lower()), None)
        if value is None or not glob_fits(pattern, value):
            return False
    for name, pattern in match.get("json", {}).items():
        value = field_of(body, name) if body is not None else None
        if value is None or not glob_fits(pattern, value):
            return False
    return True


def plain_reading(top, door, method, target, host, headers, body):
    """(kind, service, prefix, the rest of the target), as the contract says it, rule by rule."""
    services = {id_: keys for id_, keys in top["services"].items() if keys is not None}
    path = target.partition("?")[0]
    if door.service is not None:
        return (SERVICE, door.service, "", target) if door.service in services else (NOT_FOUND, None, "", target)
    own = path == "/" or any(path == each or path.startswith(each + "/") for each in OWN_PATHS)
    if door.admin:
        return (OWN if own else NOT_FOUND, None, "", target)
    named = host_of(services, host)
    if named is not None:
        return SERVICE, named, "", target
    health = path == "/__health" or path.startswith("/__health/")
    if own and (door.own or health):
        return OWN, None, "", target
    if target.startswith("/services/"):
        id_, slash, _ = path.removeprefix("/services/").partition("/")
        if id_ in services and not slash:
            return REDIRECT, None, "", path + "/" + target[len(path) :]
        prefix = f"/services/{id_}" if id_ in services and services[id_]["strip_prefix"] else ""
        if id_ in services:
            return SERVICE, id_, prefix, target[len(prefix) :]
        default = top.get("default_service")
        return (SERVICE, default, "", target) if default is not None else (UNKNOWN, None, "", target)
    for route in top["routes"]:
        if route_fits(route["match"], method, path, host, headers, body):
            return SERVICE, route["service"], "", target
    return NOT_FOUND, None, "", target


class Named:
    """Stands for a service that can be relayed to."""

    def __init__(self, id_):
        self.id = id_


def chosen(config, door, method, target, head, pieces):
    """The same as the gateway's own parts say it, the body coming in these pieces."""
    live = {id_: Named(id_) for id_ in config.services}
    choice = Router(config, live).choose(door, head.name, target)
    if choice.kind == ROUTE:
        question = Chooser(config, {}, live, {}, None).ask(method, target, head, None)
        step, left = question.go_on(), list(pieces)
        while step is Step.BODY:
            if left:
                question.reading.feed(left.pop(0))
            else:
                question.reading.end()
            step = question.go_on()
        if step is Step.CHOSEN:
            return SERVICE, question.relayed.id, "", target.decode()
        assert step is Step.NOWHERE
        choice = Router(config, live).nowhere(target)
    named = choice.service.id if choice.service is not None else None
    assert bool(choice.detail) == (choice.kind in {NOT_FOUND, UNKNOWN})
    return choice.kind, named, choice.prefix.decode(), choice.target.decode()


REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "target": TARGETS,
        "host": HOSTS.map(lambda host: host.replace("*", "q")),
        "headers": st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("", "a", "b", "ab", "v1", "a-b", "x"))), max_size=3),
        "body": st.one_of(st.none(), BODIES),
        "cuts": st.lists(st.integers(0, 80), max_size=4),
    }
)
DOORS = st.sampled_from((Door("d"), Door("d"), Door("d"), Door("d", own=False), Door("d", admin=True), Door("d", service="a")))
PLAIN_REQUEST = {"method": "GET", "target": "/", "host": "a.lan", "headers": [], "body": None, "cuts": []}


@tries(60)
@given(top=configurations(), door=DOORS, requests=st.lists(REQUESTS, min_size=1, max_size=5))
@example(top={"services": {"ollama": None, "a": {"base_url": "http://127.0.0.1:9", "strip_prefix": True, "hosts": []}}, "routes": [{"match": {"json": {"options.a": "x*"}}, "service": "a"}]}, door=Door("d"), requests=[{**PLAIN_REQUEST, "target": "/x", "body": {"options": {"a": "x-a"}}, "cuts": [12]}])  # fmt: skip
def test_the_answer_is_what_a_plain_reading_of_the_rules_says(top, door, requests):
    try:
        config = load_text(json.dumps(top)).config
    except ConfigError:  # such as one host name for two services
        assume(False)
    for asked in requests:
        judge(top, config, door, **asked)


def judge(top, config, door, method, target, host, headers, body, cuts):
    data = json.dumps(body).encode() if body is not None else b""
    lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {len(data)}"] if data else []
    head = read_request_head(("".join(line + "\r\n" for line in lines) + "\r\n").encode(), b"1")
    head.name = host.encode()
    try:
        raw, _ = check_target(target.encode(), method.encode())
    except BadMessage:
        return
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    expected = plain_reading(top, door, method, target, host, headers, body if data else None)
    assert chosen(config, door, method.encode(), raw, head, pieces) == expected, (method, target, host, headers, body)


@tries(100)
@given(pattern=st.lists(GLOB_PIECES, max_size=6).map("".join), text=st.lists(st.sampled_from("ab/x-!.[]\\+v1"), max_size=7).map("".join))
def test_a_glob_is_read_letter_by_letter(pattern, text):
    head = read_request_head(f"Host: h\r\nX-Team: {text}\r\n\r\n".encode(), b"1")
    rule = Rule(0, Route(match=RouteMatch(header={"X-Team": pattern}), service="a"))
    assert rule.fits(b"GET", b"/x", head) is glob_fits(pattern, text)
