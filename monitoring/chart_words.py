"""What a line's chart shows, said in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.figures import milliseconds, percent
from monitoring.smoke import DAY_MS, MINUTE_MS, Smoke, Span, blind_spans, seconds_within
from monitoring.steps import Step, overall

# Loss of a step from which the sentence names the worst one: where its colour begins to differ.
TOLD_LOSS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartWords:
    """The words of a chart in one language; `%(name)s` places are filled here. `spoken` says a duration in seconds,
    `local` turns UTC milliseconds into local time."""

    name: str
    loss: str
    use: str
    outage: str  # for_
    no_data: str
    no_targets: str
    limit: str  # ms
    promise: str  # ms
    now: str
    told: str  # p50, p95, max, at, loss
    told_nothing: str
    told_worst: str  # loss, at
    told_promise: str  # ms
    told_outages: str  # count, total
    told_no_outage: str
    told_no_data: str  # total
    told_use: str  # total
    told_no_use: str
    stop: str  # between two sentences
    spoken: Callable[[float], str]
    local: Callable[[int], datetime]


def smoke_sentence(smoke: Smoke, words: ChartWords) -> str:
    """What the chart shows, in words: for who cannot see it, and for figures that the scale cuts off.

    Delay and loss are those of the time outside the outages, which have their own figures.
    """
    said: list[str] = []
    whole = overall(good := _outside(smoke.steps, smoke.outages))
    if whole is not None and (times := whole.times) is not None:
        _, _, p50, p95, most = times
        at = next(step.start_ms for step in good if step.max_s == most)
        said.append(
            words.told
            % {
                "p50": milliseconds(p50), "p95": milliseconds(p95), "max": milliseconds(most),
                "at": _at(at, smoke, words), "loss": percent(whole.loss_ratio or 0.0),
            }
        )  # fmt: skip
        worst = max(good, key=lambda step: step.loss_ratio or 0.0)
        if (loss := worst.loss_ratio or 0.0) >= TOLD_LOSS:
            said.append(words.told_worst % {"loss": percent(loss), "at": _at(worst.start_ms, smoke, words)})
    elif not smoke.has_targets:
        said.append(words.no_targets)
    elif smoke.steps:
        said.append(words.told_nothing)
    if smoke.promise_s is not None:
        said.append(words.told_promise % {"ms": f"{smoke.promise_s * 1000:g}"})
    holes = blind_spans(smoke)
    if smoke.outages:
        total = sum(span.length_s for span in smoke.outages)
        said.append(words.told_outages % {"count": len(smoke.outages), "total": words.spoken(total)})
    elif sum(span.length_s for span in holes) < smoke.window.length_s:
        said.append(words.told_no_outage)
    if seconds_within(smoke.uses, smoke.window):
        said.append(words.told_use % {"total": words.spoken(seconds_within(smoke.uses, smoke.window))})
    elif smoke.steps:
        said.append(words.told_no_use)
    if holes:
        said.append(words.told_no_data % {"total": words.spoken(sum(span.length_s for span in holes))})
    return words.stop.join(said)


def _at(at_ms: int, smoke: Smoke, words: ChartWords) -> str:
    """A time of day, with its date where the window has several days."""
    is_long = smoke.window.end_ms - smoke.window.start_ms > DAY_MS + 60 * MINUTE_MS
    return f"{words.local(at_ms):%m-%d %H:%M}" if is_long else f"{words.local(at_ms):%H:%M}"


def _outside(steps: Sequence[Step], spans: Sequence[Span]) -> list[Step]:
    """The steps that none of the spans touches."""
    ordered = sorted(spans, key=lambda span: span.start_ms)
    found, n = [], 0
    for step in sorted(steps, key=lambda step: step.start_ms):
        while n < len(ordered) and ordered[n].end_ms <= step.start_ms:
            n += 1
        if n == len(ordered) or ordered[n].start_ms >= step.end_ms:
            found.append(step)
    return found
