"""Sessions: what begins, lasts and ends them, and their cookie."""

from hestia.doors.session import IDLE_S, LONGEST_S, MOST, Sessions


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def house():
    clock = Clock()
    return Sessions("ab12", clock), clock


def find(sessions, token):
    return sessions.find([token.encode()])


def test_a_token_is_long_random_and_opens_its_session():
    sessions, _ = house()
    tokens = {sessions.begin("me", b"c") for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43  # 256 bits
    assert all(find(sessions, token).who == "me" for token in tokens)


def test_what_lies_in_memory_opens_nothing():
    sessions, _ = house()
    token = sessions.begin("me", b"c").encode()
    assert token not in sessions._by
    assert sessions.find(list(sessions._by)) is None


def test_invented_tokens_open_nothing():
    sessions, _ = house()
    sessions.begin("me", b"c")
    assert sessions.find([b"", b"x" * 5000, b"\xff\0"]) is None


def test_the_first_token_that_has_a_session_counts():
    sessions, _ = house()
    assert sessions.find([b"stale", sessions.begin("me", b"c").encode()]) is not None


def test_a_session_that_is_used_lasts_and_one_that_is_not_ends():
    sessions, clock = house()
    token, other = sessions.begin("me", b"c"), sessions.begin("me", b"c")
    for _ in range(3):
        clock.now += IDLE_S - 1
        assert find(sessions, token)
    assert find(sessions, other) is None


def test_no_session_lasts_for_ever():
    sessions, clock = house()
    session = find(sessions, sessions.begin("me", b"c"))
    end = clock.now + LONGEST_S
    while clock.now + 3600 < end:
        clock.now += 3600
        assert session.alive(clock.now)
    clock.now = end + 1
    assert not session.alive(clock.now)


def test_logging_out_ends_it_also_where_a_connection_remembers_it():
    sessions, clock = house()
    token, other = sessions.begin("me", b"c"), sessions.begin("me", b"c")
    remembered = find(sessions, token)
    sessions.end([b"nothing", token.encode()])
    assert find(sessions, token) is None
    assert not remembered.alive(clock.now)
    assert find(sessions, other)


def test_sessions_end_with_the_credential_they_were_made_with():
    sessions, clock = house()
    old, new = sessions.begin("me", b"old"), sessions.begin("me", b"new")
    remembered = find(sessions, old)
    sessions.keep({b"new", b"newer"})
    assert find(sessions, old) is None
    assert not remembered.alive(clock.now)
    assert find(sessions, new)


def test_their_number_is_bounded_and_the_least_used_goes_first():
    sessions, clock = house()
    first = sessions.begin("me", b"c")
    idle = sessions.begin("me", b"c")
    for _ in range(MOST):
        clock.now += 1
        assert find(sessions, first)
        sessions.begin("me", b"c")
    assert len(sessions) == MOST
    assert find(sessions, first)
    assert find(sessions, idle) is None


def test_what_is_over_makes_room_first():
    sessions, clock = house()
    for _ in range(MOST):
        sessions.begin("me", b"c")
    clock.now += IDLE_S + 1
    sessions.begin("me", b"c")
    assert len(sessions) == 1


def test_the_cookie_is_for_this_host_alone_and_for_no_script():
    sessions, _ = house()
    assert sessions.cookie("T", secure=False) == "hestia_session_ab12=T; Path=/; HttpOnly; SameSite=Lax"
    assert sessions.cookie("T", secure=True) == "__Host-hestia_session_ab12=T; Path=/; HttpOnly; SameSite=Lax; Secure"


def test_an_empty_cookie_takes_it_away():
    sessions, _ = house()
    assert sessions.cookie("", secure=False).endswith("; Max-Age=0")


def test_our_cookies_are_taken_out_and_the_others_stay_byte_for_byte():
    sessions, _ = house()
    for value, tokens, others in [
        (b"a=1; b=2", [], b"a=1; b=2"),
        (b"hestia_session_ab12=T", [b"T"], b""),
        (b"hestia_session_ab12=T; a=1", [b"T"], b"a=1"),
        (b"a=1; hestia_session_ab12=T", [b"T"], b"a=1"),
        (b"a=1;hestia_session_ab12=T;b=2", [b"T"], b"a=1;b=2"),
        (b"a=1;  __Host-hestia_session_ab12=T ;  b = 2", [b"T"], b"a=1;  b = 2"),
        (b"hestia_session_ab12=T; __Host-hestia_session_ab12=U; hestia_session_ab12=V", [b"T", b"U", b"V"], b""),
        (b"hestia_session_ab1=T; hestia_session_ab123=U; xhestia_session_ab12=V", [], b"hestia_session_ab1=T; hestia_session_ab123=U; xhestia_session_ab12=V"),
        (b"a=hestia_session_ab12=T", [], b"a=hestia_session_ab12=T"),
        (b";;", [], b";;"),
        (b"", [], b""),
        (b"hestia_session_ab12", [b""], b""),
        (b"a=\xff; hestia_session_ab12=\xfe", [b"\xfe"], b"a=\xff"),
    ]:
        assert sessions.take_out(value) == (tokens, others), value
