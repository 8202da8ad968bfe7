"""One password or code posted several times at once: it counts once.

Whoever leans on Enter, or clicks five times at a slow moment, posts the same five times before the first is answered.
That tells an attacker nothing that the first did not, and must not lock somebody out for a quarter of an hour; what is
typed again after an answer counts again. Kept in memory only, under a key that nobody else has: a digest of a wrong
password is half a password.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field

# An answer takes no longer, even on a busy machine; what is older was broken off.
UNANSWERED_MS = 30_000


@dataclass(slots=True)
class Tries:
    """Which attempts have no answer yet. Used by the writing thread alone."""

    _key: bytes = field(default_factory=lambda: os.urandom(32))
    _unanswered: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def unanswered(self, code: str, typed: str, *, now: int) -> int | None:
        """The id of the attempt noted for the same that has no answer yet."""
        attempt_id, at = self._unanswered.get(self._digest(code, typed), (0, 0))
        return attempt_id if attempt_id and abs(now - at) < UNANSWERED_MS else None

    def begin(self, code: str, typed: str, attempt_id: int, *, now: int) -> None:
        """An attempt was noted."""
        self._unanswered = {
            digest: (other, at) for digest, (other, at) in self._unanswered.items() if abs(now - at) < UNANSWERED_MS
        }
        self._unanswered[self._digest(code, typed)] = (attempt_id, now)

    def answer(self, code: str, typed: str) -> None:
        """It failed, and is about to be told."""
        self._unanswered.pop(self._digest(code, typed), None)

    def _digest(self, code: str, typed: str) -> bytes:
        # With its length before it, no pair reads like another.
        return hmac.digest(self._key, f"{len(code)}:{code}:{typed}".encode(), hashlib.sha256)
