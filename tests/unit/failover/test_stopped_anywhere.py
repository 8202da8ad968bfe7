"""The process is stopped for two seconds between any two readings of the clock: nobody is condemned for it."""

from __future__ import annotations

import pytest

from failover.core.model import Verdict
from tests.support.watching import PROBED, Desk

STOPPED_S = 2.0
# Before each of the readings of several looks and ticks.
READINGS = range(40)


class Stopped(Desk):
    """A desk whose clock, read for the n-th time from some moment on, has gone on without it."""

    _now, _left = 0.0, -1

    def stop_before(self, reading: int) -> None:
        self._left = reading

    @property
    def now(self) -> float:
        self._left -= 1
        if self._left == -1:
            self._now += STOPPED_S
        return self._now

    @now.setter
    def now(self, at: float) -> None:
        self._now = at


@pytest.mark.parametrize("reading", READINGS)
def test_stopped_at_any_reading(reading: int) -> None:
    desk = Stopped(PROBED)
    desk.run(2)
    assert [judged.after for judged in desk.verdicts] == [Verdict.UP, Verdict.UP]
    desk.stop_before(reading)
    desk.run(STOPPED_S + 1.5)
    assert desk._left < 0, "the clock was not read so often"
    assert [judged.after for judged in desk.verdicts] == [Verdict.UP, Verdict.UP]
    assert len(desk.moves) == 1
    assert desk.engine.blind_s > 0 or reading == 0
