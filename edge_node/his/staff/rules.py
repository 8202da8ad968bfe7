"""Rules of signing in, pure: how long sessions and proofs hold, when a code is locked, what a password must be."""

from __future__ import annotations

from collections.abc import Sequence

from edge_node.i18n import Text, text

# Five wrong passwords in a row lock a staff code for a quarter of an hour, whether or not there is such a person. At a
# computer where the person has signed in lately only failures made there count: nobody is locked out from elsewhere.
FAILURES_PER_CODE = 5
ADDRESS_KNOWN_MS = 30 * 24 * 3600 * 1000
LOCK_MS = 15 * 60 * 1000
# A whole clinic may sit behind one address, so its limit is wider; it slows the trying of many codes.
FAILURES_PER_ADDRESS = 30
# Nobody works longer than this; the next day begins with a sign-in. The settings may say otherwise, up to a day.
SESSION_MAX_MS = 12 * 3600 * 1000
SESSION_LONGEST_MS = 24 * 3600 * 1000
# What is signed stands for good: who proved it long ago proves once more who it is.
PROOF_MS = 30 * 60 * 1000
PASSWORD_MIN_LENGTH = 10
# argon2 reads all of it; a megabyte of password is an attack.
PASSWORD_MAX_LENGTH = 200


def locked_until(failures_at: Sequence[int], limit: int, now: int) -> int | None:
    """When the lock ends, or None when there is none.

    `failures_at` are the failures since the last success, newest first, in UTC milliseconds; the lock runs from the
    failure that reached the limit.
    """
    recent = [at for at in failures_at if now - LOCK_MS < at <= now]
    return recent[0] + LOCK_MS if len(recent) >= limit else None


def session_holds(
    *, created_at: int, last_seen_at: int, now: int, idle_lock_s: float, longest_ms: int = SESSION_MAX_MS
) -> bool:
    """Is the session still good: used lately, begun not longer ago than a session may last?

    A session from further ahead than the idle time has ended as well: after a clock was set back it would hold until
    the clock has caught up, on a desk that nobody sits at. A smaller correction ends nothing.
    """
    idle_ms = idle_lock_s * 1000
    return abs(now - last_seen_at) <= idle_ms and -idle_ms <= now - created_at <= longest_ms


def proof_counts(*, confirmed_at: int, now: int, for_ms: int) -> bool:
    """Is the last proof of who somebody is young enough? Never with `for_ms` 0: then each act asks for its own.

    One from further ahead than it would count is of a clock that was set back since.
    """
    return for_ms > 0 and abs(now - confirmed_at) <= for_ms


def password_problem(password: str, *, code: str) -> Text | None:
    """Why a new password will not do, or None."""
    if len(password) < PASSWORD_MIN_LENGTH:
        return text(
            "%(length)d characters are too few; use at least %(least)d",
            length=len(password), least=PASSWORD_MIN_LENGTH,
        )  # fmt: skip
    if len(password) > PASSWORD_MAX_LENGTH:
        return text("Longer than %(most)d characters", most=PASSWORD_MAX_LENGTH)
    if len(set(password)) < 5:
        return text("Too few different characters; three words that do not belong together are good")
    if code.lower() in password.lower():
        return text("It contains the staff code, which everybody knows")
    return None
