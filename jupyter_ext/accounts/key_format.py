"""What an API key looks like, and what is kept of it."""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

PREFIX = "jx_"

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET = 43
_CHECKSUM = 6


def new_key() -> str:
    """Return a key: a prefix that scanners recognise, 256 random bits, a checksum."""
    secret = secrets.token_urlsafe(32)
    return f"{PREFIX}{secret}{_checksum(secret)}"


def well_formed(key: str) -> bool:
    """Whether a text can be a key at all; a mistyped one is refused without asking the store."""
    if not key.startswith(PREFIX) or len(key) != len(PREFIX) + _SECRET + _CHECKSUM:
        return False
    secret = key[len(PREFIX) : -_CHECKSUM]
    return secrets.compare_digest(_checksum(secret).encode(), key[-_CHECKSUM:].encode())


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    letters = []
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, 62)
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))


def digest_of(key: str) -> bytes:
    """Return what is kept of a key: one SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
