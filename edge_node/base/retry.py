"""Backoff arithmetic: full jitter, with the randomness as an argument."""

from __future__ import annotations


def backoff_s(attempt: int, *, base_s: float, cap_s: float, jitter: float) -> float:
    """Seconds to wait before the next try after `attempt` failures in a row (1 for the first).

    `jitter` in [0, 1) is drawn by the caller; full jitter spreads many nodes that lost the same server.
    """
    ceiling = min(cap_s, base_s * 2.0 ** min(attempt - 1, 32))
    return float(ceiling * (0.5 + jitter / 2))
