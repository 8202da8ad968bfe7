"""How many answers took how long, in few bytes, so that the quantiles of hours can be told for a month. Pure.

A value is counted in a step of two parts in a hundred and told as the middle of its step: wrong by one part in a
hundred at most, however many hours are added up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from math import ceil, log, sqrt

_LEAST_S = 1e-6
_STEP = 1.02
_LOG = log(_STEP)
_PAIR = struct.Struct("<HI")

Spread = Mapping[int, int]


def spread_of(times: Iterable[float]) -> dict[int, int]:
    """Counts by step."""
    counts: dict[int, int] = {}
    for seconds in times:
        step = int(log(max(seconds, _LEAST_S) / _LEAST_S) / _LOG)
        counts[step] = counts.get(step, 0) + 1
    return counts


def packed(counts: Spread) -> bytes:
    return b"".join(_PAIR.pack(min(step, 0xFFFF), min(counts[step], 0xFFFF_FFFF)) for step in sorted(counts))


def unpacked(data: bytes) -> dict[int, int]:
    """Raises struct.error for what `packed` did not make."""
    return dict(_PAIR.iter_unpack(data))


def added(spreads: Iterable[Spread]) -> dict[int, int]:
    whole: dict[int, int] = {}
    for counts in spreads:
        for step, count in counts.items():
            whole[step] = whole.get(step, 0) + count
    return whole


def quantile(counts: Spread, q: float) -> float | None:
    """The time in seconds that a share of `q` did not exceed; None without a count."""
    wanted = max(ceil(q * sum(counts.values()) - 1e-9), 1)
    reached = 0
    for step in sorted(counts):
        reached += counts[step]
        if reached >= wanted:
            return _LEAST_S * _STEP**step * sqrt(_STEP)
    return None
