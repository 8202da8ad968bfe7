"""How much of a line a destination may take: a token bucket with two classes. Pure; the time is an argument.

The frontier's bytes go first: they wait only for the frontier's own, while everything else waits for both. What is on
its way already cannot be called back, so the sum may exceed the rate for the length of one piece; everything else then
stands still until that is made good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

# Of silence, so much is saved up: a capture every second goes out at once.
BURST_S = 1.0


class Lane(StrEnum):
    """For what something is sent; the frontier is the only lane that others wait for."""

    FRONTIER = "frontier"
    HISTORY = "history"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What may be sent at the time `at`: `left_bytes` by everybody, `first_left_bytes` by the frontier.

    Below zero is what was sent ahead of its time.
    """

    bytes_per_s: float
    left_bytes: float
    first_left_bytes: float
    at: float

    @classmethod
    def full(cls, bytes_per_s: float, now: float) -> Bucket:
        burst = bytes_per_s * BURST_S
        return cls(bytes_per_s=bytes_per_s, left_bytes=burst, first_left_bytes=burst, at=now)

    def wait_s(self, now: float, lane: Lane) -> float:
        """How long until this lane may send its next piece; 0.0 when it may now."""
        filled = self._filled(now)
        left = filled.first_left_bytes if lane is Lane.FRONTIER else filled.left_bytes
        return -left / self.bytes_per_s if left < -0.5 else 0.0

    def taken(self, size_bytes: int, now: float, lane: Lane) -> Bucket:
        """The bucket after this lane has sent a piece."""
        filled = self._filled(now)
        first = size_bytes if lane is Lane.FRONTIER else 0
        return replace(
            filled, left_bytes=filled.left_bytes - size_bytes, first_left_bytes=filled.first_left_bytes - first
        )

    def _filled(self, now: float) -> Bucket:
        gained, burst = max(0.0, now - self.at) * self.bytes_per_s, self.bytes_per_s * BURST_S
        return replace(
            self,
            left_bytes=min(burst, self.left_bytes + gained),
            first_left_bytes=min(burst, self.first_left_bytes + gained),
            at=max(now, self.at),
        )
