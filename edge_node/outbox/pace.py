"""How fast a drain goes at the most. Pure; time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

# A message costs 2 ms of a core that the pages need too. Unbounded, a receiver next door was sent 400 a second, and a
# desk's slowest writes took up to five times as long; ten thousand messages go in a little over a minute like this.
MESSAGES_PER_S = 150.0
# What may start together after a rest, and what starts together at the least: to wake for each one costs as much again.
BURST, STEP = 8.0, 4.0


@dataclass(slots=True)
class Pace:
    """An allowance that fills with time: each start takes one from it."""

    per_s: float = MESSAGES_PER_S
    burst: float = BURST
    _allowance: float = BURST
    _at: float = float("-inf")

    def allows(self, now: float) -> int:
        """How many may start now."""
        # A clock that stood still or a machine that slept: never more than a burst.
        gained = min(self.burst, max(0.0, now - self._at) * self.per_s)
        self._allowance, self._at = min(self.burst, self._allowance + gained), now
        # The last bit of a sum of small times is lost: without this it would be asked once more for nothing.
        return int(self._allowance + 1e-6) if self._allowance + 1e-6 >= STEP else 0

    def take(self) -> None:
        """One starts."""
        self._allowance -= 1.0

    def next_at(self, now: float) -> float:
        """When more may start."""
        return now + max(0.0, STEP - self._allowance) / self.per_s
