import pytest

from hestia.rules.scalars import READERS
from hestia.words.spec import Window

ALL_DAYS = tuple(range(7))
GOOD = [
    ("duration", "500ms", 0.5),
    ("duration", "30s", 30.0),
    ("duration", "15m", 900.0),
    ("duration", "2h", 7200.0),
    ("duration", "90d", 90 * 86400.0),
    ("duration", "1.5h", 5400.0),
    ("duration", "12", 12.0),
    ("duration", "0.25", 0.25),
    ("duration", "0", 0.0),
    ("auto_duration", "auto", None),
    ("auto_positive", "1s", 1.0),
    ("size", "64KiB", 65536),
    ("size", "1.5 MiB", 1572864),
    ("size", "2GB", 2_000_000_000),
    ("size", "512", 512),
    ("size", "512b", 512),
    ("switch", "on", True),
    ("switch", "Yes", True),
    ("switch", "TRUE", True),
    ("switch", "off", False),
    ("switch", "no", False),
    ("count", "012", 12),
    ("count", "0", 0),
    ("positive", "1", 1),
    ("amount", "0.12", 0.12),
    ("amount", "1e3", 1000.0),
    ("port", "65535", 65535),
    ("status_range", "200", (200, 200)),
    ("status_range", "200-399", (200, 399)),
    ("text", "22:30", "22:30"),
    ("text", "on", "on"),
    ("signal", "term", "SIGTERM"),
    ("signal", "SIGINT", "SIGINT"),
    ("signal", "9", "SIGKILL"),
    ("mac", "AA-BB-CC-DD-EE-FF", "aa:bb:cc:dd:ee:ff"),
    ("sha256", "AB" * 32, "ab" * 32),
    ("tls_verify", "false", False),
    ("tls_verify", "ca.pem", "ca.pem"),
    ("window", "always", Window(ALL_DAYS, 0, 1440)),
    ("window", "Mon-Fri 08:00-18:00", Window((0, 1, 2, 3, 4), 480, 1080)),
    ("window", "sat,sun", Window((5, 6), 0, 1440)),
    ("window", "Fri-Mon 9:00-24:00", Window((0, 4, 5, 6), 540, 1440)),
    ("window", "22:00-06:00", Window(ALL_DAYS, 1320, 360)),
    ("window", "Mon-Wed,Sat 08:00 - 09:30", Window((0, 1, 2, 5), 480, 570)),
]
BAD = [
    (
        "duration",
        ["", "s", "-1", "-5s", "5 s", "5sec", "1h30m", "nan", "inf", "1e5", "1_000", "٣s", "1" * 40, "99999d"],
    ),
    ("positive_duration", ["0", "0s", "0ms"]),
    ("auto_duration", ["automatic", "AUTO"]),
    ("size", ["", "-1", "0", "1XiB", "KiB", "0.1", "nan"]),
    ("switch", ["", "2", "enabled", "tru", "y"]),
    ("integer", ["", "1.0", "0x10", "٣", "9" * 16, "one"]),
    ("count", ["-1"]),
    ("positive", ["0", "-1"]),
    ("amount", ["", "nan", "inf", "-1", "1e999", "."]),
    ("port", ["0", "65536", "http"]),
    ("status", ["101", "600", "ok"]),
    ("status_range", ["", "99", "600", "399-200", "2xx", "200-", "200,201"]),
    ("header_name", ["", "a b", "a:", "é", "a\n"]),
    ("header_value", ["a\nb", "a\0", " a", "a "]),
    ("secret", ["", " a", "a\n", "a\x00b"]),
    ("method", ["get", "", "GET POST"]),
    ("regex", ["(", "[", "*"]),
    ("path_glob", ["", "v1"]),
    ("service_id", ["", "-a", "a/b", "../x", "__health", "é", "a" * 65, "a\n"]),
    ("mac", ["", "aa:bb", "aa:bb:cc:dd:ee:gg", "aa:bb-cc:dd:ee:ff"]),
    ("signal", ["", "SIG", "SIGX", "0", "999"]),
    ("window", ["", "never", "Mon-Fri 8-18", "Mon 25:00-26:00", "Mon 08:60-09:00", "24:00-25:00", "Mo 08:00-09:00"]),
    ("sha256", ["", "ab", "zz" * 32]),
    ("password_hash", ["", "hunter2"]),
    ("timezone", ["", "../etc/passwd", "a/b/c/d", "Europe Berlin"]),
]


@pytest.mark.parametrize(("reader", "text", "value"), GOOD)
def test_a_text_is_what_people_mean_by_it(reader, text, value):
    read = READERS[reader].read(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("reader", "text"), [(reader, text) for reader, texts in BAD for text in texts])
def test_what_is_none_is_refused_in_words_that_do_not_repeat_it(reader, text):
    with pytest.raises(ValueError, match=r"^(is|must|has)") as caught:
        READERS[reader].read(text)
    assert len(text) < 6 or text not in str(caught.value)


@pytest.mark.parametrize("reader", sorted(READERS))
def test_a_reader_raises_nothing_but_value_errors(reader):
    for text in (
        "",
        " ",
        "\0",
        "a" * 100_000,
        "9" * 100_000,
        "\ud800",
        "٣",
        "[",
        "(?P<",
        "a{99999999999}",
        "::",
        "://",
    ):
        try:
            READERS[reader].read(text)
        except ValueError:
            continue
