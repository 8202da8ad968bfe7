"""A clock that moves when a test moves it."""

from __future__ import annotations


class FakeClock:
    """Both clocks start where the test says and advance together."""

    def __init__(self, *, boottime: float = 1000.0, wall_ms: int = 1_795_000_000_000) -> None:
        self._boottime = boottime
        self._wall_ms = wall_ms

    def boottime(self) -> float:
        return self._boottime

    def wall_ms(self) -> int:
        return self._wall_ms

    def advance(self, seconds: float) -> None:
        self._boottime += seconds
        self._wall_ms += round(seconds * 1000)

    def step_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock; boot time knows nothing of it."""
        self._wall_ms += round(seconds * 1000)
