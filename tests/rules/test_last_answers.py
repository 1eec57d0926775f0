import pytest

from hestia.rules.last_answers import LONGEST, MOST, ROOM, LastAnswers

KEY = (b"http", b"home", b"/services/a", b"/health?full=1")
ASKED = (b"User-Agent: kuma", b"Accept: */*")


def kept(request=ASKED, answer=(b"Content-Type: text/plain",), *, status=200, body=b"ok", again=None, key=KEY):
    answers = LastAnswers()
    answers.keep(KEY, request, status, answer, body, 100.0)
    return answers.find(key, request if again is None else again)


def test_the_same_get_finds_what_it_got():
    found = kept()
    assert found.body == b"ok"
    assert found.lines == (b"Content-Type: text/plain",)
    assert found.age_at(100.9) == 0
    assert found.age_at(160.0) == 60
    assert found.age_at(90.0) == 0


def test_an_age_that_came_goes_on():
    found = kept(answer=(b"Age: 30",))
    assert found.lines == ()
    assert found.age_at(110.0) == 40


def test_another_query_or_host_is_another_get():
    assert kept(key=(b"http", b"home", b"/services/a", b"/health")) is None
    assert kept(key=(b"http", b"else", b"/services/a", b"/health?full=1")) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer x",
        b"Cookie: a=b",
        b"X-Api-Key: x",
        b"X-API-Key: x",
        b"ApiKey: x",
        b"Key: x",
        b"X-Emby-Token: x",
        b"X-Plex-Token: x",
        b"X-Auth-User: me",
        b"Remote-Password: x",
    ],
)
def test_what_a_credential_got_is_neither_kept_nor_given_to_it(line):
    assert kept((*ASKED, line)) is None
    assert kept((*ASKED, line), again=ASKED) is None
    assert kept(ASKED, again=(*ASKED, line)) is None


def test_headers_that_only_sound_so_do_no_harm():
    assert kept((*ASKED, b"X-Keyboard: de", b"X-Monkey: 1", b"Upgrade-Insecure-Requests: 1")) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"Set-Cookie: a=b",
        b"Cache-Control: max-age=5, Private",
        b'Cache-Control: private="x"',
        b"cache-control:no-store",
        b"Vary: Accept, *",
        b"Content-Range: bytes 0-1/2",
    ],
)
def test_an_answer_that_is_somebodys_own_is_not_kept(line):
    assert kept(answer=(line,)) is None


@pytest.mark.parametrize("status", [199, 204, 206, 301, 304, 404, 500])
def test_only_a_plain_200_is_good(status):
    assert kept(status=status) is None


def test_vary_is_honoured():
    vary = (b"Vary: X-Theme",)
    dark = (*ASKED, b"X-Theme: dark")
    assert kept(dark, vary) is not None
    assert kept(dark, vary, again=ASKED) is None
    assert kept(ASKED, vary, again=dark) is None
    assert kept(ASKED, again=dark) is not None


def test_codings_and_types_are_told_apart_without_vary():
    assert kept((b"Accept: text/html",), again=(b"Accept: application/json",)) is None
    assert kept((b"Accept-Encoding: gzip",), (b"Content-Encoding: gzip",), again=()) is None


def test_the_latest_answer_counts_and_a_bad_one_does_not_replace_it():
    answers = LastAnswers()
    answers.keep(KEY, ASKED, 200, (), b"one", 1.0)
    answers.keep(KEY, ASKED, 200, (), b"two", 2.0)
    answers.keep(KEY, ASKED, 500, (), b"bad", 3.0)
    assert answers.find(KEY, ASKED).body == b"two"
    assert len(answers) == 1


def test_what_belongs_to_the_connection_is_left_out():
    lines = (b"Transfer-Encoding: chunked", b"Content-Length: 2", b"Connection: close", b"X-Request-ID: a", b"ETag: x")
    assert kept(answer=lines).lines == (b"ETag: x",)


def test_what_is_kept_is_bounded():
    answers = LastAnswers()
    assert not answers.keep(KEY, ASKED, 200, (), b"x" * (LONGEST + 1), 0.0)
    for number in range(MOST + 5):
        answers.keep((b"%d" % number,), ASKED, 200, (), b"x", 0.0)
    assert len(answers) == MOST
    assert answers.find((b"4",), ASKED) is None
    assert answers.find((b"5",), ASKED) is not None
    for number in range(MOST):
        answers.keep((b"%d" % number,), ASKED, 200, (), b"x" * LONGEST, 0.0)
    assert len(answers) == ROOM // LONGEST - 1
    assert answers.size <= ROOM
    for number in range(MOST):
        answers.keep((b"%d" % number,), ASKED, 200, (), b"", 0.0)
    assert answers.size < 10_000
