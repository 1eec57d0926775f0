"""The operator's password: kept as its scrypt hash, in one line of plain characters.

    scrypt.15.8.3.<salt>.<hash>          log2 of N, r and p; salt and hash in base64url without padding

No character of it means anything to YAML (not in `{flow, mappings}` either), to a shell or to a compose file. The form
that other programs print, `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`, is read too.
"""

import re
import unicodedata
from base64 import b64decode, urlsafe_b64encode
from hashlib import scrypt, sha256
from hmac import compare_digest
from typing import Final, NamedTuple

LOG_N: Final = 15
R: Final = 8
P: Final = 3
LENGTH: Final = 32
SALT: Final = 16
MOST_MEMORY: Final = 256 * 1024 * 1024
MOST_WORK: Final = 2**24
LONGEST: Final = 1024
"""Of a password, in bytes."""

_OURS: Final = re.compile(r"scrypt\.(\d{1,2})\.(\d{1,3})\.(\d{1,3})\.([\w-]{8,128})\.([\w-]{16,128})", re.ASCII)
_PHC: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([\w+/-]{8,128})\$([\w+/-]{16,128})", re.ASCII
)


class Hashed(NamedTuple):
    """A password hash that was read."""

    log_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def read_hash(text: str) -> Hashed:
    """Raises ValueError."""
    found = _OURS.fullmatch(text) or _PHC.fullmatch(text.rstrip("="))
    if found is None:
        raise ValueError("is not a scrypt hash: `hestia hash-password` makes one")
    log_n, r, p = int(found[1]), int(found[2]), int(found[3])
    if not (log_n and r and p) or 128 * r << log_n > MOST_MEMORY or r * p << log_n > MOST_WORK:
        raise ValueError("is a scrypt hash that takes too much work: `hestia hash-password` makes one")
    return Hashed(log_n, r, p, _bytes(found[4]), _bytes(found[5]))


def _bytes(text: str) -> bytes:
    plain = text.replace("-", "+").replace("_", "/")
    return b64decode(plain + "=" * (-len(plain) % 4))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def hash_password(password: str, salt: bytes) -> str:
    """The line for `password_hash`. Takes a few tenths of a second and 32 MiB."""
    hashed = Hashed(LOG_N, R, P, salt, b"")
    return f"scrypt.{LOG_N}.{R}.{P}.{_text(salt)}.{_text(_scrypt(password, hashed, LENGTH))}"


def fits(password: str, hashed: Hashed) -> bool:
    """Is it this password? Takes as long as hashing one, right or wrong: to be called in a thread."""
    return compare_digest(_scrypt(password, hashed, len(hashed.digest)), hashed.digest)


def same(one: str, other: str) -> bool:
    """Are two secret texts the same? In constant time, whatever characters they have."""
    return compare_digest(*(sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (one, other)))


def _scrypt(password: str, how: Hashed, length: int) -> bytes:
    memory = 128 * how.r * ((1 << how.log_n) + how.p + 2)
    # A terminal and a browser may spell one letter differently (é, or e and its accent).
    raw = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return scrypt(raw, salt=how.salt, n=1 << how.log_n, r=how.r, p=how.p, maxmem=memory + 1024 * 1024, dklen=length)
