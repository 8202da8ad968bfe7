"""Samples become minutes and hours, each of them once. Pure.

A minute or an hour is *closed* when a sample is seen that is `GRACE_MS` younger than its end: what comes later for it
is left out, and whether it is depends on the order of the samples alone, never on when somebody looked. Reading may
therefore stop anywhere, begin again at the place of the oldest sample of what is still open, and end in the same rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from edge_node.journal.spread import packed, spread_of
from edge_node.journal.traces import Direction, Sample
from monitoring.steps import jitter, step_of

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
STEPS_MS = (MINUTE_MS, HOUR_MS)
# An answer may be written this much later than one that was asked after it.
GRACE_MS = 15_000
# No younger sample for this long: the watcher has stopped, and what is open is closed as it is.
ABANDONED_MS = 10 * MINUTE_MS
# A sample that is further ahead of our own clock was timed by a clock that was wrong.
AHEAD_MS = 2 * MINUTE_MS
# A watcher that is silent for longer was not there.
SILENT_MS = 10_000

Place = tuple[str, int]  # a day, and a place in its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One closed minute or hour of a target as asked through a line; times in microseconds."""

    line: str
    target: str
    step_ms: int
    start_ms: int
    count: int
    lost: int
    lost_out: int
    lost_back: int
    times_us: tuple[int, int, int, int, int] | None
    jitter_us: int | None
    spread: bytes


class _Bucket:
    """A minute or an hour that is still open, and where its first sample stands."""

    __slots__ = ("lost", "place", "times")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.times = array("d")
        self.lost: dict[int, Direction | None] = {}

    def add(self, sample: Sample) -> None:
        if sample.rtt_s is None:
            self.lost[sample.at_ms] = sample.lost
            return
        if sample.is_late:
            self.lost.pop(sample.at_ms, None)
        self.times.append(sample.rtt_s)

    def row(self, line: str, target: str, step_ms: int, start_ms: int) -> Row:
        step = step_of(start_ms, step_ms, self.times, lost=len(self.lost))
        drift = jitter(self.times)
        ways = list(self.lost.values())
        return Row(
            line=line,
            target=target,
            step_ms=step_ms,
            start_ms=start_ms,
            count=step.count,
            lost=step.lost,
            lost_out=ways.count(Direction.OUT),
            lost_back=ways.count(Direction.BACK),
            times_us=None if step.times is None else tuple(_us(seconds) for seconds in step.times),  # type: ignore[arg-type]
            jitter_us=None if drift is None else _us(drift),
            spread=packed(spread_of(self.times)) if step_ms == HOUR_MS else b"",
        )


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


class Rollup:
    """Takes samples in the order in which they were written; gives each minute and hour when it is closed."""

    def __init__(self, *, closed_until_ms: int) -> None:
        self._closed_until_ms = closed_until_ms
        self._newest_ms = closed_until_ms + GRACE_MS
        self._open: dict[tuple[int, int, str, str], _Bucket] = {}

    @property
    def closed_until_ms(self) -> int:
        """Whatever ended before this is closed."""
        return self._closed_until_ms

    def feed(self, place: Place, samples: Iterable[Sample], *, now_ms: int) -> None:
        """Samples that stand at a place. Those of closed time, and those from the future, are left out."""
        for sample in samples:
            if sample.at_ms > now_ms + AHEAD_MS:
                continue
            self._newest_ms = max(self._newest_ms, sample.at_ms)
            horizon = max(self._newest_ms - GRACE_MS, self._closed_until_ms)
            for step_ms in STEPS_MS:
                start = sample.at_ms // step_ms * step_ms
                if start + step_ms <= horizon:
                    continue
                key = (step_ms, start, sample.line, sample.target)
                bucket = self._open.get(key)
                if bucket is None:
                    bucket = self._open[key] = _Bucket(place)
                bucket.add(sample)

    def close(self, *, drained_at_ms: int | None = None) -> list[Row]:
        """What is closed by now. `drained_at_ms`: it is this late, and everything that was written has been fed."""
        horizon = max(self._newest_ms - GRACE_MS, self._closed_until_ms)
        if drained_at_ms is not None:
            left_ms = drained_at_ms - ABANDONED_MS
            if any(start + step <= left_ms for step, start, _, _ in self._open):
                horizon = max(horizon, left_ms)
        self._closed_until_ms = horizon
        done = sorted(key for key in self._open if key[1] + key[0] <= horizon)
        return [self._open.pop(key).row(key[2], key[3], key[0], key[1]) for key in done]

    def begin_again_at(self, reached: Place) -> Place:
        """Where to read from after a fresh start: behind `reached` nothing has been read."""
        return min((bucket.place for bucket in self._open.values()), default=reached)


class Presence:
    """Spans in which samples were seen, so that a gap in them is known as a gap."""

    def __init__(self, newest: tuple[int, int] | None) -> None:
        """`newest`: the span that was recorded last."""
        self._spans: list[tuple[int, int]] = [newest] if newest else []
        self._told = newest

    def feed(self, samples: Iterable[Sample], *, now_ms: int) -> None:
        for sample in samples:
            at_ms = sample.at_ms
            if at_ms > now_ms + AHEAD_MS:
                continue
            if not self._spans or at_ms > self._spans[-1][1] + SILENT_MS:
                self._spans.append((at_ms, at_ms))
            elif at_ms > self._spans[-1][1]:
                self._spans[-1] = (self._spans[-1][0], at_ms)

    def changed(self) -> list[tuple[int, int]]:
        """Spans that are new or longer since this was asked last."""
        changed = [span for span in self._spans if span != self._told]
        self._spans = self._spans[-1:]
        self._told = self._spans[-1] if self._spans else None
        return changed
