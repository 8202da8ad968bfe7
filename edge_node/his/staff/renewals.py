"""Sessions that got a new id because their person proved who it is: who still comes with the old one.

A second click, or another tab, posts before the browser has the new cookie. For a moment the old id therefore leads to
the same session, without what the proof was for: whoever knew the old id gains nothing. The same password typed with it
again is the same proof, and a code that works once is not asked for twice.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from dataclasses import dataclass, field

# Longer than an answer takes on a busy machine.
GRACE_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The new id of a session, and a digest of what was typed to prove it; `at` is UTC milliseconds."""

    new_id: str
    typed: bytes
    at: int


@dataclass(slots=True)
class Renewals:
    """Kept in memory only, under a key that nobody else has. Used by every thread."""

    _key: bytes = field(default_factory=lambda: os.urandom(32))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _by_old: dict[str, Renewal] = field(default_factory=dict)

    def note(self, old_id: str, new_id: str, typed: str, *, now: int) -> None:
        """A session was renewed."""
        with self._lock:
            self._by_old = {old: one for old, one in self._by_old.items() if abs(now - one.at) <= GRACE_MS}
            self._by_old[old_id] = Renewal(new_id=new_id, typed=self._digest(typed), at=now)

    def of(self, old_id: str, *, now: int) -> str | None:
        """The id that this session has by now; None when it was not renewed a moment ago."""
        with self._lock:
            found = self._by_old.get(old_id)
        return found.new_id if found is not None and abs(now - found.at) <= GRACE_MS else None

    def is_same_proof(self, old_id: str, typed: str, *, now: int) -> bool:
        """Was this session renewed a moment ago by the very same?"""
        with self._lock:
            found = self._by_old.get(old_id)
        return (
            found is not None
            and abs(now - found.at) <= GRACE_MS
            and hmac.compare_digest(found.typed, self._digest(typed))
        )

    def _digest(self, typed: str) -> bytes:
        return hmac.digest(self._key, typed.encode(), hashlib.sha256)
