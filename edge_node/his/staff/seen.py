"""When sessions were last used, and which have ended."""

from __future__ import annotations

import threading

from edge_node.his.staff.rules import SESSION_LONGEST_MS


class Seen:
    """When sessions were last used, and which have ended: exact in memory, whatever can be written.

    A full disk must neither lock everybody out nor keep a desk open.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def last(self, session_id: str, stored: int) -> int | None:
        """When it was last used; None when it has ended."""
        with self._lock:
            return None if session_id in self._ended else max(self._at.get(session_id, stored), stored)

    def touch(self, session_id: str, now: int, *, every_ms: float) -> bool:
        """Note a use; true when the database is to hear of it."""
        with self._lock:
            if session_id not in self._at:
                self._forget_old(now)
            self._at[session_id] = now
            due = now - self._written.get(session_id, 0) >= every_ms
            if due:
                self._written[session_id] = now
            return due

    def end(self, session_id: str, now: int) -> None:
        with self._lock:
            self._ended[session_id] = now

    def _forget_old(self, now: int) -> None:
        for times in (self._at, self._written, self._ended):
            for session_id in [known for known, at in times.items() if now - at > SESSION_LONGEST_MS]:
                del times[session_id]
