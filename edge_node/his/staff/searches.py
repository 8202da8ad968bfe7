"""What was searched for in a session, kept apart from the addresses of its pages.

A name, a phone number or a diagnosis in an address stays in the browser's history, in the log of whatever stands
between and on every picture of the screen. The address holds a key instead, which says nothing by itself, opens nothing
in another session and nothing after a while. Kept in memory only: a node that starts again asks for the words again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

# Whoever goes back in the browser finds what was found; a list that is older is looked for anew.
KEPT_MS = 30 * 60 * 1000
# The newest ones of a session: as many as anybody goes back.
MOST = 50
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Search:
    typed: Mapping[str, str]
    at: int


@dataclass(slots=True)
class _Session:
    """Whose session it is, and its searches, the oldest first."""

    staff_id: str
    by_key: dict[str, _Search] = field(default_factory=dict)


class Searches:
    """By session. Used by every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    def keep(self, session_id: str, staff_id: str, typed: Mapping[str, str], *, now: int) -> str:
        """Keep what was typed, by field; returns the key for the address."""
        key = secrets.token_urlsafe(_KEY_BYTES)
        with self._lock:
            self._forget_old(now)
            mine = self._sessions.setdefault(session_id, _Session(staff_id)).by_key
            mine[key] = _Search(dict(typed), now)
            for oldest in list(mine)[:-MOST]:
                del mine[oldest]
        return key

    def of(self, session_id: str, key: str, *, now: int) -> Mapping[str, str] | None:
        """What was typed; None for a key that this session does not have, or no longer."""
        with self._lock:
            session = self._sessions.get(session_id)
            found = session.by_key.get(key) if session is not None else None
        return found.typed if found is not None and _holds(found, now) else None

    def hand_over(self, before: str, after: str, staff_id: str) -> None:
        """A browser's session got another id, or was followed by a new one: the same person goes on where they were,
        and nobody else learns anything."""
        with self._lock:
            session = self._sessions.pop(before, None)
            if session is not None and session.staff_id == staff_id:
                self._sessions[after] = session

    def end(self, session_id: str) -> None:
        """The session is over."""
        with self._lock:
            self._sessions.pop(session_id, None)

    def _forget_old(self, now: int) -> None:
        for session_id, session in list(self._sessions.items()):
            session.by_key = {key: one for key, one in session.by_key.items() if _holds(one, now)}
            if not session.by_key:
                del self._sessions[session_id]


def _holds(search: _Search, now: int) -> bool:
    # A clock that was set makes no search hold longer.
    return abs(now - search.at) <= KEPT_MS
