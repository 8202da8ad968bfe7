"""argon2id with the cost of one hash known, and at most two of them at once."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# 19 MiB, two passes, one lane: 46 ms on a clinic's machine; the least that OWASP recommends.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Sixteen sign-ins at once would take 300 MB and both cores from everybody else.
_AT_ONCE = threading.BoundedSemaphore(2)
# Where a posted form takes a hash from whoever sends it: the server answers these one after the other.
HASHED_AT = frozenset({"/login", "/password"})
# Without the letters and digits that are mistaken for each other when read from paper.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
# Verified when there is no such person, so that the answer takes as long as for a wrong password.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Jb4ALqVZ2jRzF3cBUuFR1RcAIjSqPdv+bcKq+xtzJmk"


def hash_password(password: str) -> str:
    """The hash to store."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Does the password belong to the hash? Takes as long for None (nobody has this code)."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(stored or NOBODYS_HASH, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(stored: str) -> bool:
    """Was the hash made with other costs than today's?"""
    return _HASHER.check_needs_rehash(stored)


def first_password() -> str:
    """A password to read out once: three groups of four, 59 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))
