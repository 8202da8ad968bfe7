"""Figures for a person, alike in every language. None of them rounds towards the promise."""

from __future__ import annotations

from math import floor


def milliseconds(seconds: float) -> str:
    """A delay: two figures below 10 ms, whole ones above."""
    ms = seconds * 1000
    return f"{ms:.2g}" if 0.095 <= ms < 9.95 else f"{ms:.2f}" if ms < 9.95 else f"{ms:.0f}"


def percent(share: float) -> str:
    """A share of losses; what was lost never rounds to nothing."""
    if share == 0:
        return "0%"
    return "<0.01%" if share < 0.0001 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


def availability(share: float, promise: float | None = None) -> str:
    """An availability, cut (never rounded) after two decimals, or after one more than the promise has: 99.71%."""
    decimals = 2 if promise is None else max(2, len(promised(promise).rstrip("%").partition(".")[2]) + 1)
    cut = floor(share * 10 ** (decimals + 2) + 1e-9) / 10**decimals
    return f"{cut:.{decimals}f}%"


def promised(share: float) -> str:
    """A share as a contract writes it: 99.9%."""
    return f"{share * 100:.6f}".rstrip("0").rstrip(".") + "%"


def clock(ms: int) -> str:
    """A duration as hours, minutes and seconds: 2:09:31; a part of a second counts as one."""
    seconds = -(-ms // 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
