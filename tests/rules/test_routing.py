import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules.routing import (
    MEMO_SIZE,
    NOT_FOUND,
    OWN,
    OWN_PATHS,
    REDIRECT,
    SERVICE,
    UNKNOWN,
    Choice,
    Door,
    HostTable,
    Router,
)
from hestia.words.spec import Config, Service

FRONT = Door("127.0.0.1:8080")
WITHOUT_OWN = Door("127.0.0.1:8080", own=False)
ADMIN = Door("127.0.0.1:9090", admin=True)
CHAT_DOOR = Door("127.0.0.1:8081", service="chat")

SERVICES = {
    "ollama": Service(id="ollama"),
    "chat": Service(id="chat", hosts=("chat.lan", "*.chat.lan")),
    "whole": Service(id="whole", strip_prefix=False),
    "Mixed.Case_1": Service(id="Mixed.Case_1"),
}
LIVE = {id_: f"<{id_}>" for id_ in SERVICES}


def router(**keys):
    return Router(Config(services=SERVICES, **{"routes": (), **keys}), LIVE)


def choose(target, *, door=FRONT, host=b"localhost", **keys):
    return router(**keys).choose(door, host, target)


def served(name, target, prefix=b""):
    return Choice(SERVICE, f"<{name}>", prefix, target, "")


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/services/ollama/", b"/"),
        (b"/services/ollama/api/tags", b"/api/tags"),
        (b"/services/ollama/?", b"/?"),
        (b"/services/ollama/a?b=/c/d?e", b"/a?b=/c/d?e"),
        (b"/services/ollama//x//y", b"//x//y"),
        (b"/services/ollama//evil.example/x", b"//evil.example/x"),
        (b"/services/ollama/%2F%252F%2f%7e+%20;a=b", b"/%2F%252F%2f%7e+%20;a=b"),
        (b"/services/ollama/%0d%0a", b"/%0d%0a"),
        (b"/services/ollama/services/chat/", b"/services/chat/"),
        (b"/services/ollama/__health", b"/__health"),
    ],
)
def test_the_prefix_is_taken_off_and_the_rest_stays_byte_for_byte(target, left):
    assert choose(target) == served("ollama", left, b"/services/ollama")


@given(st.text("abc/?%&=.;:@!$'()*+,-_~", max_size=30))
def test_whatever_follows_the_prefix_reaches_the_service_unchanged(rest):
    target = b"/services/ollama/" + rest.encode()
    choice = choose(target)
    assert (choice.kind, choice.prefix + choice.target) == (SERVICE, target)


def test_an_id_keeps_its_capitals_and_dots():
    assert choose(b"/services/Mixed.Case_1/x") == served("Mixed.Case_1", b"/x", b"/services/Mixed.Case_1")


def test_with_strip_prefix_off_the_whole_path_stays():
    assert choose(b"/services/whole/x?y") == served("whole", b"/services/whole/x?y")


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/services/ollama", b"/services/ollama/"),
        (b"/services/ollama?", b"/services/ollama/?"),
        (b"/services/ollama?a=/b?c", b"/services/ollama/?a=/b?c"),
        (b"/services/whole?x", b"/services/whole/?x"),
    ],
)
def test_without_its_slash_a_service_is_redirected_to_and_keeps_the_query(target, location):
    assert choose(target) == Choice(REDIRECT, None, b"", location, "")


@pytest.mark.parametrize(
    "target",
    [
        b"/services/olama/x",
        b"/services/OLLAMA/x",
        b"/services/%6fllama/x",
        b"/services/ollama%2Fx",
        b"/services/ollama;a/x",
        b"/services/ollama@evil.example/",
        b"/services/ollama\\x/",
        b"/services/olama?x=/y",
    ],
)
def test_an_unknown_id_is_said_with_the_nearest_known_one(target):
    choice = choose(target)
    assert (choice.kind, choice.service) == (UNKNOWN, None)
    assert choice.detail.endswith("the nearest known id is 'ollama'")


@pytest.mark.parametrize("target", [b"/services/", b"/services//x", b"/services/?x", b"/services/" + b"x" * 300 + b"/"])
def test_an_empty_or_overlong_id_is_unknown_and_is_not_echoed_at_length(target):
    choice = choose(target)
    assert choice.kind == UNKNOWN
    assert "the nearest known id is" in choice.detail
    assert len(choice.detail) < 200


def test_a_wrong_id_is_repeated_in_visible_ascii_only():
    assert choose(b"/services/\xff\x07\x1b[31m/").detail.isprintable()


def test_a_default_service_gets_the_whole_target_of_an_unknown_id():
    assert choose(b"/services/nope/x?y", default_service="chat") == served("chat", b"/services/nope/x?y")
    assert choose(b"/services/nope", default_service="chat") == served("chat", b"/services/nope")
    assert choose(b"/services/ollama/x", default_service="chat").service == "<ollama>"
    assert choose(b"/nope", default_service="chat").kind == NOT_FOUND


def test_a_path_of_nobody_is_said_with_an_id_only_when_that_is_near():
    assert choose(b"/olama/x").detail.endswith("; the nearest known id is 'ollama'")
    assert choose(b"/nothing").detail == "nothing answers at this path; services answer under /services/<id>/"


@pytest.mark.parametrize("path", sorted(OWN_PATHS))
def test_own_paths_and_all_below_them_are_hestias(path):
    for target in (path, path + b"/", path + b"/a/b", path + b"?x", path + b"/?x=/services/ollama/"):
        assert choose(target) == Choice(OWN, None, b"", target, "")
        assert choose(target, door=ADMIN).kind == OWN


@pytest.mark.parametrize("target", [b"/", b"/?", b"/?x=/y"])
def test_the_root_is_hestias(target):
    assert choose(target).kind == OWN
    assert choose(target, door=WITHOUT_OWN).kind == NOT_FOUND


@pytest.mark.parametrize(
    "target",
    [
        b"/dashboardx",
        b"/__healthy",
        b"//dashboard",
        b"/DASHBOARD",
        b"/%64ashboard",
        b"/v1",
        b"/v1/",
        b"/v1/servicesx/ollama",
        b"/v1//services",
        b"/v2/services",
        b"/x/v1/services",
        b"/v1/models",
        b"/v1/chat/completions",
        b"/services",
        b"/services?x",
        b"/SERVICES/ollama/",
        b"/%73ervices/ollama/",
        b"//services/ollama/",
        b"/x?y=/dashboard",
        b"*",
    ],
)
def test_nothing_else_is_and_what_nobody_answers_is_not_found(target):
    for door in (FRONT, WITHOUT_OWN, ADMIN):
        choice = choose(target, door=door)
        assert (choice.kind, choice.service) == (NOT_FOUND, None)
        assert choice.detail


def test_not_found_names_the_nearest_id_for_who_forgot_the_prefix():
    assert choose(b"/olama/api/tags").detail.endswith("'ollama'")


def test_with_admin_listen_own_paths_leave_the_other_doors_but_for_health():
    assert choose(b"/v1/services", door=WITHOUT_OWN).kind == NOT_FOUND
    assert choose(b"/__health", door=WITHOUT_OWN).kind == OWN
    assert choose(b"/__health?x", door=WITHOUT_OWN).kind == OWN
    assert choose(b"/__healthy", door=WITHOUT_OWN).kind == NOT_FOUND
    assert choose(b"/services/ollama/x", door=WITHOUT_OWN).kind == SERVICE


def test_an_admin_door_relays_nothing():
    assert choose(b"/services/ollama/x", door=ADMIN).kind == NOT_FOUND
    assert choose(b"/x", door=ADMIN, host=b"chat.lan").kind == NOT_FOUND
    assert "admin_listen" in choose(b"/services/ollama/x", door=ADMIN).detail


@pytest.mark.parametrize("target", [b"/", b"/dashboard/", b"/__health", b"/services/ollama/x", b"/v1/services", b"*"])
def test_on_a_services_own_address_and_host_every_path_is_the_services(target):
    assert choose(target, door=CHAT_DOOR, host=b"ollama") == served("chat", target)
    assert choose(target, host=b"chat.lan") == served("chat", target)
    assert choose(target, host=b"web.chat.lan") == served("chat", target)


def test_the_own_address_comes_before_the_host():
    assert choose(b"/", door=Door("x", service="ollama"), host=b"chat.lan").service == "<ollama>"


def test_other_hosts_and_no_host_go_by_path():
    for host in (b"", b"localhost", b"a.b.chat.lan", b"xchat.lan"):
        assert choose(b"/services/ollama/x", host=host).service == "<ollama>"


def test_a_service_that_is_gone_is_not_found_at_its_own_address():
    choice = Router(Config(services={}, routes=()), {}).choose(CHAT_DOOR, b"", b"/")
    assert choice.kind == NOT_FOUND
    assert "'chat'" in choice.detail


def test_without_any_service_the_detail_says_so():
    choice = Router(Config(services={}, routes=()), {}).choose(FRONT, b"", b"/services/ollama/")
    assert choice.detail == "no service is called 'ollama'; no service is configured"


def test_hosts_go_exact_first_then_the_longest_pattern():
    table = HostTable(
        [("*.lan", 1), ("*.chat.lan", 2), ("web.chat.lan", 3), ("*.*.lan", 4), ("chat.*", 5), ("*.much-longer", 6)]
    )
    found = {
        host: table.find(host.encode())
        for host in ("web.chat.lan", "api.chat.lan", "a.b.lan", "x.lan", "chat.lan", "chat.home", "a.b.c.lan", "lan")
    }
    assert found == {
        "web.chat.lan": 3,
        "api.chat.lan": 2,
        "a.b.lan": 4,
        "x.lan": 1,
        "chat.lan": 5,  # longer than *.lan
        "chat.home": 5,
        "a.b.c.lan": None,
        "lan": None,
    }


def test_a_configured_name_matches_in_any_spelling_of_case_and_final_dot():
    table = HostTable([("Chat.LAN.", 1), ("[FE80::A]", 2)])
    assert (table.find(b"chat.lan"), table.find(b"fe80::a")) == (1, 2)


def test_a_stars_label_is_never_empty():
    assert HostTable([("*.lan", 1)]).find(b".lan") is None


def test_the_memory_of_hosts_is_bounded():
    table = HostTable([("*.lan", 1)])
    for number in range(3 * MEMO_SIZE):
        assert table.find(f"h{number}.lan".encode()) == 1
        assert table.find(f"h{number}.other".encode()) is None
    assert len(table._memo) <= MEMO_SIZE


@given(st.text("/servicolamd.%?*x", max_size=40))
def test_every_target_gets_exactly_one_whole_answer(rest):
    target = b"/" + rest.encode()
    for door in (FRONT, WITHOUT_OWN, ADMIN, CHAT_DOOR):
        choice = choose(target, door=door)
        assert (choice.service is not None) == (choice.kind == SERVICE)
        assert bool(choice.detail) == (choice.kind in {NOT_FOUND, UNKNOWN})
        if choice.kind == SERVICE:
            assert choice.prefix + choice.target == target
