"""Samples, or minutes of them, gathered into the steps of a chart. Pure.

A step keeps the least, the greatest and three quantiles, so that a peak never disappears by averaging. Quantiles of
steps that were gathered before come from their curves, not from their medians: each is laid out as `POINTS` points of
its own distribution, which costs at most one part in `POINTS` of rank.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil

# Points that a step is laid out as when it is merged with others.
POINTS = 20
_KNOTS = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of time: `count` probes, of which `lost` had no answer. Without an answer there are no times."""

    start_ms: int
    length_ms: int
    count: int
    lost: int
    min_s: float | None = None
    p5_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.length_ms

    @property
    def loss_ratio(self) -> float | None:
        return self.lost / self.count if self.count else None

    @property
    def times(self) -> tuple[float, float, float, float, float] | None:
        """Least, p5, median, p95, greatest; None without an answer."""
        if self.min_s is None or self.p5_s is None or self.p50_s is None or self.p95_s is None or self.max_s is None:
            return None
        return self.min_s, self.p5_s, self.p50_s, self.p95_s, self.max_s


def quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least `q` of all do not exceed (nearest rank), of values in order, at least one."""
    return ordered[max(ceil(q * len(ordered) - 1e-9), 1) - 1]


def jitter(times: Sequence[float]) -> float | None:
    """Mean difference between successive times; None with fewer than two."""
    if len(times) < 2:
        return None
    return sum(abs(b - a) for a, b in pairwise(times)) / (len(times) - 1)


def step_of(start_ms: int, length_ms: int, times: Iterable[float], *, lost: int) -> Step:
    """One step of answered probes' times and a number of lost ones."""
    ordered = sorted(times)
    if not ordered:
        return Step(start_ms=start_ms, length_ms=length_ms, count=lost, lost=lost)
    return Step(
        start_ms=start_ms, length_ms=length_ms, count=len(ordered) + lost, lost=lost,
        min_s=ordered[0], p5_s=quantile(ordered, 0.05), p50_s=quantile(ordered, 0.5),
        p95_s=quantile(ordered, 0.95), max_s=ordered[-1],
    )  # fmt: skip


def steps_of(samples: Iterable[tuple[int, float | None]], step_ms: int) -> tuple[Step, ...]:
    """Samples (when, and how long it took or None) in steps, in order of time; empty steps are left out."""
    times: dict[int, list[float]] = {}
    lost: dict[int, int] = {}
    for at_ms, rtt_s in samples:
        start = at_ms // step_ms * step_ms
        if rtt_s is None:
            lost[start] = lost.get(start, 0) + 1
        else:
            times.setdefault(start, []).append(rtt_s)
    return tuple(
        step_of(start, step_ms, times.get(start, ()), lost=lost.get(start, 0)) for start in sorted({*times, *lost})
    )


def merged(steps: Iterable[Step], step_ms: int) -> tuple[Step, ...]:
    """Shorter steps, of one target or several, in longer ones; empty steps are left out."""
    parts: dict[int, list[Step]] = {}
    for step in steps:
        if step.count:
            parts.setdefault(step.start_ms // step_ms * step_ms, []).append(step)
    return tuple(_merge(start, step_ms, parts[start]) for start in sorted(parts))


def overall(steps: Iterable[Step]) -> Step | None:
    """All of them as one; None when nothing was asked."""
    parts = [step for step in steps if step.count]
    if not parts:
        return None
    start = min(part.start_ms for part in parts)
    return _merge(start, max(part.end_ms for part in parts) - start, parts)


def _merge(start_ms: int, length_ms: int, parts: Sequence[Step]) -> Step:
    count, lost = sum(part.count for part in parts), sum(part.lost for part in parts)
    known = [(part.count - part.lost, times) for part in parts if (times := part.times) is not None]
    if not known:
        return Step(start_ms=start_ms, length_ms=length_ms, count=count, lost=lost)
    if len(known) == 1:
        least, p5, p50, p95, most = known[0][1]
    else:
        cloud = sorted((x, answered / POINTS) for answered, times in known for x in _laid_out(times))
        p5, p50, p95 = _weighted(cloud, (0.05, 0.5, 0.95))
        least, most = min(times[0] for _, times in known), max(times[4] for _, times in known)
    return Step(
        start_ms=start_ms, length_ms=length_ms, count=count, lost=lost,
        min_s=least, p5_s=p5, p50_s=p50, p95_s=p95, max_s=most,
    )  # fmt: skip


def _layout() -> tuple[tuple[int, float], ...]:
    """For each of `POINTS` ranks, evenly spaced: between which figures it lies, and how far."""
    found = []
    for n in range(POINTS):
        rank = (n + 0.5) / POINTS
        knot = max(k for k in range(len(_KNOTS) - 1) if _KNOTS[k] <= rank)
        found.append((knot, (rank - _KNOTS[knot]) / (_KNOTS[knot + 1] - _KNOTS[knot])))
    return tuple(found)


_LAYOUT = _layout()


def _laid_out(times: Sequence[float]) -> list[float]:
    """Points of the curve through the five figures."""
    return [times[knot] + (times[knot + 1] - times[knot]) * share for knot, share in _LAYOUT]


def _weighted(cloud: Sequence[tuple[float, float]], wanted: Sequence[float]) -> list[float]:
    """Quantiles of weighted values in order."""
    reached = list(accumulate(weight for _, weight in cloud))
    places = (bisect_left(reached, q * reached[-1] - 1e-9) for q in wanted)
    return [cloud[min(place, len(cloud) - 1)][0] for place in places]
