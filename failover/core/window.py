"""Samples of one target: silence, loss, quantiles.

A probe is *asked* at a time and *answered* by a round trip, or it stays open; an open probe older than
`lost_after_s` counts as lost until its answer comes. A stretch in which the program itself did not run is *blind*:
nothing within it is evidence, so open probes of that time are forgotten and silence does not count it.

`Window` is the one thing in the core that changes in place: it takes a sample ten times a second for months, and
copying it each time would buy nothing. It holds no clock and does nothing but remember.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

_TRIM_EVERY = 64  # samples that may be older than the window before they are cut off together


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a stretch of samples says. Quantiles are `None` while nothing was answered."""

    samples: int
    lost: int
    rtt_min_s: float | None = None
    rtt_p50_s: float | None = None
    rtt_p95_s: float | None = None

    @property
    def loss_ratio(self) -> float:
        return self.lost / self.samples if self.samples else 0.0


class Window:
    """The samples of one target through one line, oldest first."""

    __slots__ = ("_asked_at", "_keep_s", "_quiet_from", "_rtt_s", "heard_at")

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._asked_at: list[float] = []
        self._rtt_s: list[float | None] = []
        self._quiet_from: float | None = (
            None  # silence counts from here: last answer or first question, less blind time
        )
        self.heard_at: float | None = None  # when the last answer arrived

    def __len__(self) -> int:
        return len(self._asked_at)

    def asked(self, at: float) -> None:
        """A probe leaves. Times must not go back; an answer names the probe by this time."""
        if self._quiet_from is None:
            self._quiet_from = at
        self._asked_at.append(at)
        self._rtt_s.append(None)
        if self._asked_at[0] < at - self._keep_s and len(self._asked_at) > _TRIM_EVERY:
            self._trim(at - self._keep_s)

    def answered(self, asked_at: float, rtt_s: float) -> None:
        """Its answer came, also out of order, late, or a second time (the first counts).

        An answer to a probe that a blind stretch made us forget is evidence again; one older than the window is not.
        """
        if rtt_s < 0 or not math.isfinite(rtt_s):
            return
        place = bisect_left(self._asked_at, asked_at)
        if place < len(self._asked_at) and self._asked_at[place] == asked_at:
            if self._rtt_s[place] is not None:
                return
            self._rtt_s[place] = rtt_s
        elif self._asked_at and asked_at >= self._asked_at[-1] - self._keep_s:
            self._asked_at.insert(place, asked_at)
            self._rtt_s.insert(place, rtt_s)
        else:
            return
        arrived = asked_at + rtt_s
        if self.heard_at is None or arrived > self.heard_at:
            self.heard_at = arrived
        if self._quiet_from is None or arrived > self._quiet_from:
            self._quiet_from = arrived

    def blind(self, since: float, until: float, lost_after_s: float) -> None:
        """Nobody listened from `since` to `until`: open probes whose answer may have come then prove nothing."""
        first = bisect_left(self._asked_at, since - lost_after_s)
        last = bisect_left(self._asked_at, until)
        kept = [i for i in range(first, last) if self._rtt_s[i] is not None]
        self._asked_at[first:last] = [self._asked_at[i] for i in kept]
        self._rtt_s[first:last] = [self._rtt_s[i] for i in kept]
        if self._quiet_from is not None:
            self._quiet_from = min(until, self._quiet_from + max(0.0, until - max(since, self._quiet_from)))

    def silence_s(self, now: float) -> float | None:
        """How long nothing has been heard; `None` if nothing was ever asked."""
        return None if self._quiet_from is None else max(0.0, now - self._quiet_from)

    def summary(self, now: float, *, since: float, lost_after_s: float) -> Summary:
        """The samples asked at or after `since`. Open probes that may still be answered are not counted."""
        asked_at = self._asked_at
        rtts = self._rtt_s[bisect_left(asked_at, since) :]
        answered = sorted(rtt for rtt in rtts if rtt is not None)
        young = bisect_left(asked_at, now - lost_after_s, lo=len(asked_at) - len(rtts))
        open_yet = sum(1 for rtt in self._rtt_s[young:] if rtt is None)
        samples = len(rtts) - open_yet
        if not answered:
            return Summary(samples=samples, lost=samples)
        return Summary(
            samples=samples,
            lost=samples - len(answered),
            rtt_min_s=answered[0],
            rtt_p50_s=quantile(answered, 0.50),
            rtt_p95_s=quantile(answered, 0.95),
        )

    def _trim(self, oldest: float) -> None:
        cut = bisect_left(self._asked_at, oldest)
        if cut >= _TRIM_EVERY:
            del self._asked_at[:cut]
            del self._rtt_s[:cut]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank). `ordered` is not empty."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
