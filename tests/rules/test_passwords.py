import base64
import hashlib

import pytest

from hestia.rules.passwords import Hashed, fits, hash_password, read_hash, same

CHEAP = Hashed(1, 1, 1, b"salt", hashlib.scrypt(b"caf\xc3\xa9", salt=b"salt", n=2, r=1, p=1, dklen=16))


def test_what_was_hashed_fits_and_nothing_else_does():
    hashed = read_hash(hash_password("s3cret", b"0123456789abcdef"))
    assert fits("s3cret", hashed)
    assert not fits("s3creT", hashed)
    assert not fits("", hashed)


def test_the_line_has_no_character_that_yaml_a_shell_or_compose_reads():
    line = hash_password("s3cret", b"0123456789abcdef")
    assert line.startswith("scrypt.15.8.3.")
    assert line.replace(".", "").replace("-", "").replace("_", "").isalnum()


def test_a_letter_may_be_spelt_in_two_ways():
    assert fits("café", CHEAP)
    assert fits("cafe\u0301", CHEAP)


def test_no_text_of_a_browser_breaks_it():
    assert not fits("\ud800 \0 \U0001f525", CHEAP)


def test_the_form_of_other_programs_is_read_too():
    salt, digest = (base64.b64encode(part).decode().rstrip("=") for part in (b"0123456789", CHEAP.digest))
    assert read_hash(f"$scrypt$ln=14,r=8,p=1${salt}${digest}") == (14, 8, 1, b"0123456789", CHEAP.digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt",
        "scryptfoo",
        "hunter2",
        "scrypt.15.8.3.c2FsdHNhbHQ",
        "scrypt.0.8.3.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",
        "scrypt.15.0.3.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",
        "scrypt.15.8.0.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",
        "scrypt.25.8.1.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",  # 32 GiB
        "scrypt.15.8.999.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",  # minutes
        "scrypt.15.8.3.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA\n",
        "scrypt.１5.8.3.c2FsdHNhbHQ.c2FsdHNhbHRzYWx0c2FsdA",
        "scrypt.15.8.3.ab!.c2FsdHNhbHRzYWx0c2FsdA",
    ],
)
def test_what_is_no_hash_or_takes_for_ever_is_refused(text):
    with pytest.raises(ValueError, match="hash-password"):
        read_hash(text)


def test_texts_are_compared_whatever_they_hold():
    assert same("ä\ud800", "ä\ud800")
    assert not same("a", "b")
    assert not same("", "a")
