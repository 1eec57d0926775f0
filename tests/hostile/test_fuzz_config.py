"""Whatever a configuration file or the environment says: a configuration, or mistakes with their places. Never anything else."""

import functools
import json
import re
import time
from pathlib import Path
from typing import get_args, get_origin

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from hestia.roof.config import load, load_text
from hestia.rules.marks import ConfigError
from hestia.rules.shape import is_struct, keys_of, kind_of, unwrap
from hestia.words import launch_spec, spec
from hestia.words.spec import Document
from tests.hostile.fuzz import tries

LONGEST_S = 5.0
NAME = "fuzzed.yml"
EXAMPLE = (Path(__file__).parents[2] / "etc" / "hestia_config.yml").read_text(encoding="utf-8")
WHOLE = re.sub(r"(?m)^( *)#(?! )", r"\1", EXAMPLE)  # with every example in it switched on
BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
STRUCTS = [each for room in (spec, launch_spec) for each in vars(room).values() if isinstance(each, type) and issubclass(each, Struct) and each is not Struct]
KEYS = sorted({name for each in STRUCTS for name in keys_of(each)} | {f"{name}_ms" for name in ("idle_timeout", "retention", "start_timeout", "warmup")})
TOP = sorted(keys_of(Document))
SCALARS = (
    "", "null", "~", "true", "off", "yes", "0", "-1", "1e400", "0x10", "012", ".inf", ".nan", "22:30", "500ms", "15m", "1.5h", "99999999999d", "64KiB", "9" * 400, "-0", "1_000", "3 GiB",
    "http://127.0.0.1:9", "https://u:p@h:0/x?y#z", "http+unix:///run/a.sock", "http://[::1", "http://é/", "tcp://h:99999", "http://127.0.0.1:8080", "{port}", "http://127.0.0.1:{port}", "{socket}", "{data_dir}/x", "{nope}",
    "127.0.0.1:8080", "[::1]:8080", "unix:/tmp/x", "unix:", ":0", "a:b", "10.0.0.0/8", "::/0", "1.2.3.4/99", "*", "*.lan", "a..b", "x" * 300, "local", "a", "b", "ollama", "least_busy", "by_model", "in_order", "[ab", "**",
    "${HOME}", "${NOPE}", "${NOPE:-x}", "${", "$${x}", "${A:-${B}}", "mon-fri 08:00-18:00", "mo 25:00-26:00", "Europe/Berlin", "../../x", "/etc", "/dev/null", "\x1b[31m", "\u2028", "\ud800", "a\nb", "é", "200-399", "399-200", "scrypt$x", "aa:bb:cc:dd:ee:ff",
    "process", "docker", "command", "http", "wake_on_lan", "semaphore", "swarm", "kubernetes", "ssh", "systemd", "<<", "auto", "page", "refuse", "last", "same_origin", "SIGTERM", "GET", "json",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(SCALARS), st.text(max_size=6))
PLAIN = st.one_of(TEXTS, TEXTS, st.integers(), st.floats(), st.booleans(), st.none())
NAMES = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), TEXTS)
TREES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)


def likely(hint, depth):
    """What could stand where this is wanted, or nearly so."""
    return st.one_of(*[member_of(member, depth) for member in hint.members], PLAIN)


def member_of(member, depth):
    arguments = [each for each in get_args(member) if each is not ...]
    if is_struct(member):
        return tree_of(member, depth + 1) if depth < 3 else TREES
    if get_origin(member) is tuple:
        return st.lists(likely(unwrap(arguments[0]), depth), max_size=2)
    if get_origin(member) is dict:
        return st.dictionaries(NAMES, likely(unwrap(arguments[1]), depth), max_size=2)
    return PLAIN


@functools.cache
def tree_of(kind, depth=0):
    known = {name: likely(key.hint, depth) for name, key in keys_of(kind).items()}
    tag = kind_of(kind)
    fixed = {"kind": st.just(tag)} if tag is not None else {}
    if not known:
        return st.just(fixed)
    return st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True).flatmap(lambda names: st.fixed_dictionaries(fixed | {name: known[name] for name in names}))


SERVICES = st.dictionaries(st.one_of(st.sampled_from(("a", "b", "ollama", "A.b")), TEXTS), st.one_of(tree_of(spec.Service), TREES), max_size=3)
LAUNCHES = st.one_of(*[tree_of(each) for each in vars(launch_spec).values() if isinstance(each, type) and issubclass(each, Struct) and each is not Struct])
SERVICE = st.builds(lambda keys, launch: {"base_url": "http://127.0.0.1:9", **keys, "launch": launch}, tree_of(spec.Service), LAUNCHES)
DOCUMENTS = st.builds(
    lambda top, services, more: {**top, "services": {**services, **({"c": more} if more else {})}},
    tree_of(Document), SERVICES, st.one_of(st.none(), SERVICE),
)  # fmt: skip


def written(tree, how):
    """JSON is YAML; and as YAML is written by people."""
    if how == "json":
        return json.dumps(tree, ensure_ascii=False)
    try:
        return yaml.safe_dump(tree, allow_unicode=True, default_flow_style=how == "flow")
    except yaml.YAMLError:
        return json.dumps(tree)


def judge(make, text=None, variables=()):
    """A configuration, or mistakes whose places exist and whose words are lines for a terminal."""
    begun = time.process_time()
    loaded, mistakes = None, []
    try:
        loaded = make()
    except ConfigError as error:
        mistakes = error.mistakes
    assert time.process_time() - begun < LONGEST_S
    assert (loaded is None) is bool(mistakes)
    for mistake in mistakes:
        judge_place(mistake, text, variables)
    for line in loaded.warnings if loaded is not None else ():
        assert line.isprintable(), line


def judge_place(mistake, text, variables):
    line = str(mistake)
    assert line.isprintable(), line
    assert len(line) < 2000, line
    assert mistake.words, line
    source, row, column = mistake.mark
    if row == 0:
        assert source in variables, line
        return
    assert source.endswith(NAME), line
    # where the text ends is a place too; and what some take for a line's end others pass over
    readings = (BREAKS.split(text + "\n"), (text + "\n").split("\n"))
    assert any(1 <= row <= len(rows) and 1 <= column <= len(rows[row - 1]) + 1 for rows in readings), line


@tries(80)
@given(tree=DOCUMENTS, how=st.sampled_from(("json", "flow", "block")))
@example(tree={"control_group": "\x1b[31m", "services": {}}, how="json")
def test_a_tree_of_known_keys_with_anything_in_them(tree, how):
    text = written(tree, how)
    judge(lambda: load_text(text, name=NAME), text)


@tries(60)
@given(tree=TREES, how=st.sampled_from(("json", "flow", "block")))
def test_any_tree(tree, how):
    text = written(tree, how)
    judge(lambda: load_text(text, name=NAME), text)


SPARKS = ("\n", "\t", " ", "  ", ": ", "- ", "[", "]", "{", "}", "#", "&a ", "*a", "!x ", "|\n", ">\n", "'", '"', "---\n", "...\n", "<<: *a\n", "%YAML 1.1\n", "\0", "\x85", "\u2028", "\ufeff", "\r", "? ", "@", "`", ",")


@st.composite
def mutated(draw, text):
    begin = draw(st.integers(0, len(text)))
    text = text[begin:] if draw(st.integers(0, 5)) == 0 else text
    for _ in range(draw(st.integers(1, 5))):
        at, gone = draw(st.integers(0, len(text))), draw(st.sampled_from((0, 0, 1, 5, 40, 400)))
        put = draw(st.one_of(st.sampled_from(SPARKS), st.sampled_from(SCALARS), st.sampled_from(TOP), st.just(text[at : at + gone] * 2)))
        text = text[:at] + put + text[at + gone :]
    return text


@tries(50)
@given(text=mutated(WHOLE))
def test_a_good_file_with_a_few_places_changed(text):
    judge(lambda: load_text(text, name=NAME), text)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("config") / NAME


@tries(100)
@given(data=st.one_of(st.binary(max_size=60), mutated(EXAMPLE[:400]).map(lambda text: text.encode("utf-8", "surrogatepass")), st.tuples(st.binary(max_size=3), st.sampled_from((b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\x80"))).map(lambda two: b"services: {}\n" + two[0] + two[1])))  # fmt: skip
@example(data=b"\xef\xbb\xbflissten: 1\n")
def test_a_file_of_any_bytes(file, data):
    file.write_bytes(data)
    text = data.decode("utf-8-sig", "replace")
    # a place in bytes that are no UTF-8 is counted in bytes
    judge(lambda: load(str(file), {}), text if "\ufffd" not in text else data.decode("latin-1"), (str(file),))


VARIABLES = st.one_of(
    st.sampled_from(("OLLAMA_BASE_URL", "OLLAMA_HEALTH_URL", "OLLAMA_WARMUP_MS", "OLLAMA_IDLE_TIMEOUT_MS", "A_BASE_URL", "A_SEMAPHORE_ENABLED", "NEW_SEMAPHORE_ENABLED", "_SEMAPHORE_ENABLED", "SEMAPHORE_BASE_URL", "SEMAPHORE_API_TOKEN", "HESTIA_DASHBOARD_USERNAME", "HESTIA_DASHBOARD_PASSWORD", "HESTIA__", "HESTIA____", "HESTIA__LISTEN", "HESTIA__SERVICES", "HESTIA__SERVICES__A", "HESTIA__AUTH__API_KEYS", "HESTIA__ROUTES", "TZ", "HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")),
    st.lists(st.sampled_from(sorted({key.upper() for key in KEYS} | {"A", "SERVICES", "MACHINES", "0", "", "x"})), min_size=1, max_size=4).map(lambda words: "HESTIA__" + "__".join(words)),
    st.builds(lambda name: f"HESTIA__SERVICES__A__{name.upper()}", st.sampled_from(KEYS)),
    st.text(st.characters(exclude_characters="=", exclude_categories=["C", "Z"]), min_size=1, max_size=8).map(lambda text: "HESTIA__" + text),
).flatmap(lambda name: st.sampled_from((name, name, name, name + "_FILE")))  # fmt: skip
SAID = st.one_of(TEXTS, TREES.map(json.dumps), st.sampled_from(("/dev/null", "/", "/nope", "/etc/hostname"))).map(lambda text: text.replace("\0", "0"))


@tries(60)
@given(environ=st.dictionaries(VARIABLES, SAID, max_size=4), text=st.sampled_from(("", "services: {a: {base_url: 'http://127.0.0.1:9'}}\n", WHOLE)))
def test_any_environment_over_a_good_file(environ, text):
    judge(lambda: load_text(text, name=NAME, environ=environ), text, {*environ, *(name.removesuffix("_FILE") for name in environ)})
