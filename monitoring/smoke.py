"""What is known of a line in a window of time: the value that its chart is drawn from. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitoring.steps import Step

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
# The newest minutes may not have been gathered yet.
LAG_MS = 3 * MINUTE_MS
_STEPS_MS = ((6, MINUTE_MS), (30, 5 * MINUTE_MS), (24 * 10, 30 * MINUTE_MS))  # up to so many hours: so long a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From a start to just before an end, in UTC milliseconds."""

    start_ms: int
    end_ms: int

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """What is known of a line in a window. `no_data`: nobody looked. `uses`: traffic went this way; `holds`: it was
    good again and had to prove it. `limit_s`: slower is degraded. `promise_s`: what the carrier agreed to for 95 in 100
    answers."""

    window: Span
    steps: tuple[Step, ...] = ()
    outages: tuple[Span, ...] = ()
    no_data: tuple[Span, ...] = ()
    uses: tuple[Span, ...] = ()
    holds: tuple[Span, ...] = ()
    limit_s: float | None = None
    promise_s: float | None = None
    has_targets: bool = True


def step_length_ms(window: Span) -> int:
    """How long a step of a chart is: 1 minute in 6 hours, 5 in a day, 30 in a week."""
    hours = window.length_s / 3600
    return next((step for limit, step in _STEPS_MS if hours <= limit), DAY_MS // 4)


def blind_spans(smoke: Smoke) -> tuple[Span, ...]:
    """Where nothing is known: as told, and where steps are missing that no outage explains."""
    if not smoke.has_targets:
        return joined(smoke.no_data)
    holes: list[Span] = []
    known = sorted([(s.start_ms, s.end_ms) for s in smoke.steps] + [(s.start_ms, s.end_ms) for s in smoke.outages])
    least = smoke.steps[0].length_ms if smoke.steps else 1
    reached = smoke.window.start_ms
    for start, end in [*known, (smoke.window.end_ms, smoke.window.end_ms)]:
        if start - reached >= (least if start < smoke.window.end_ms else max(least, LAG_MS)):
            holes.append(Span(start_ms=reached, end_ms=start))
        reached = max(reached, end)
    return joined([*smoke.no_data, *holes])


def seconds_within(spans: Iterable[Span], window: Span) -> float:
    """How much of the window they cover, where they do not overlap."""
    return sum(max(0, min(s.end_ms, window.end_ms) - max(s.start_ms, window.start_ms)) for s in spans) / 1000


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in spans that neither touch nor overlap, in order."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start_ms, s.end_ms)):
        if found and span.start_ms <= found[-1].end_ms:
            found[-1] = Span(start_ms=found[-1].start_ms, end_ms=max(found[-1].end_ms, span.end_ms))
        elif span.end_ms > span.start_ms:
            found.append(span)
    return tuple(found)
