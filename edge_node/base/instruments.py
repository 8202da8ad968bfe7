"""Counters and histograms that travel in a service's status file; only the monitor speaks Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import TypedDict


class CounterSample(TypedDict):
    labels: list[str]
    value: float


class HistogramSample(TypedDict):
    """`counts` has one entry per bound and a last one for what lies above; they are not cumulative."""

    labels: list[str]
    bounds: list[float]
    counts: list[int]
    sum: float


class Counter:
    """Counts by label values, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1.0) -> None:
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + by

    def samples(self) -> list[CounterSample]:
        with self._lock:
            return [{"labels": list(labels), "value": value} for labels, value in sorted(self._values.items())]


class Histogram:
    """Counts of values by upper bound and label values, from any thread."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = sorted(bounds)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *labels: str) -> None:
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def samples(self) -> list[HistogramSample]:
        with self._lock:
            return [
                {
                    "labels": list(labels),
                    "bounds": list(self._bounds),
                    "counts": list(counts),
                    "sum": self._sums[labels],
                }
                for labels, counts in sorted(self._counts.items())
            ]
