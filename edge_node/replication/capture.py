"""How far the local replica itself is behind the database, and what that means for every copy of it. Pure.

The WAL's file time tells when it was written last, and the header of a capture when Litestream had read it to its end
(0.5.17 takes the time after that). A WAL that was written later holds something that no copy has, whatever Litestream
says of itself. (Pages of a large transaction that was taken back count as well, until the next commit.)
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_node.replication.lag import IN_TRANSIT_S, Lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """`uncaptured_s` is the age of the oldest change that the local replica lacks, at the most; 0.0 when it has all.

    None while it holds nothing at all. `every_s` is how often changes are captured: what one capture holds was
    committed so long before it, at the earliest.
    """

    every_s: float
    uncaptured_s: float | None

    @property
    def is_late(self) -> bool:
        """Is something missing for longer than from one capture to the next?"""
        return self.uncaptured_s is not None and self.uncaptured_s > self.every_s + IN_TRANSIT_S

    def rpo_s(self, lag: Lag) -> float | None:
        """The age of the oldest change that a destination with this lag lacks: never shorter than the truth."""
        if lag.rpo_s is None or self.uncaptured_s is None:
            return lag.rpo_s
        return max(lag.rpo_s + self.every_s if lag.txids else 0.0, self.uncaptured_s)


class CaptureWatch:
    """Asked every second or so; remembers since when something is missing."""

    def __init__(self, *, every_s: float) -> None:
        self._every_s = every_s
        self._since_ms: int | None = None
        self._looked_ms: int | None = None

    def look(self, *, written_ms: int, captured_ms: int | None, now_ms: int) -> Capture:
        """`written_ms` is when the WAL was written last, `captured_ms` the time of the newest capture; wall time."""
        if captured_ms is None:
            self._since_ms = self._looked_ms = None
            return Capture(every_s=self._every_s, uncaptured_s=None)
        self._since_ms = _since(
            self._since_ms, written_ms=written_ms, captured_ms=captured_ms, looked_ms=self._looked_ms
        )
        self._looked_ms = now_ms
        age_s = 0.0 if self._since_ms is None else max(0.0, (now_ms - self._since_ms) / 1000)
        return Capture(every_s=self._every_s, uncaptured_s=age_s)


def _since(before_ms: int | None, *, written_ms: int, captured_ms: int, looked_ms: int | None) -> int | None:
    """Since when something is missing, at the earliest; None when nothing is. `before_ms` is the answer before."""
    if written_ms <= captured_ms:
        return None
    if before_ms is not None:
        # What was missing then still is, or was captured, and then all that is missing came after that capture.
        return max(before_ms, captured_ms)
    # It was written after the last look, at which nothing was missing.
    return max(captured_ms, looked_ms or 0)
