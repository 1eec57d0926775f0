"""`hestia hash-password`: the line for `auth.dashboard.password_hash`, from the terminal or from standard input."""

import os
import sys
from getpass import getpass

from hestia.rules.passwords import LONGEST, SALT, hash_password
from hestia.wire import DONE, FAILED


def run_hash_password() -> int:
    """Print the hash of a password: typed twice on a terminal, else the first line of standard input."""
    try:
        password = _typed() if sys.stdin.isatty() else _piped()
    except ValueError as mistake:
        print(f"hestia: {mistake}", file=sys.stderr)
        return FAILED
    print(hash_password(password, os.urandom(SALT)))
    return DONE


def _typed() -> str:
    password = _checked(getpass("Password: "))
    if getpass("Again: ") != password:
        raise ValueError("the two passwords differ")
    return password


def _piped() -> str:
    return _checked(sys.stdin.readline().removesuffix("\n").removesuffix("\r"))


def _checked(password: str) -> str:
    if not password:
        raise ValueError("an empty password opens nothing")
    if len(password) > LONGEST:
        raise ValueError(f"a password has at most {LONGEST} characters")
    return password
