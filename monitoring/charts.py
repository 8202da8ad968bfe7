"""The smoke chart of a line as inline SVG. Pure.

Classes only, so that a strict content policy holds and the page's own style sheet colours them (`CHART_CSS` in
`chart_style.py` has the rules). What a chart shows, `chart_words.py` says in words; hatch, bars and labels carry it in
black and white. A line that gave no answer is interrupted: it neither falls to zero nor is drawn straight across.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10

from monitoring.chart_words import ChartWords
from monitoring.smoke import MINUTE_MS, Smoke, Span, blind_spans, joined
from monitoring.steps import Step, quantile
from monitoring.svg import LEFT, Frame, element, group, hatches, number, text, x_axis

# Loss from which the median is coloured. A long step has nearly always lost something: its bar says so, its median
# stays calm below one in a thousand.
LITTLE, SOME, MUCH = 0.001, 0.02, 0.10
LEAST_OUTAGE_PX = 4.0
# A limit so far above the line would press the line flat: then it stands in words only.
LIMIT_IN_SIGHT = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """How large a chart is drawn. It is never scaled by more than 15 %, so each place has its own."""

    width: int
    height: int
    labels: bool = True  # lengths of outages are written at their strips


WIDE = Canvas(width=930, height=270)  # the page of a line
MEDIUM = Canvas(width=690, height=230)  # the same on a tablet
ROW = Canvas(width=690, height=150, labels=False)  # a line among others
NARROW = Canvas(width=440, height=170, labels=False)  # a tablet, a phone
PAPER = Canvas(width=680, height=150)  # the report: as wide as A4 between its margins, so that ticks are 9 pt
SMALL = Canvas(width=440, height=74, labels=False)  # RPO; its style has a greatest width


def scale_s(charts: Iterable[Smoke]) -> float:
    """The height of the delay axis in seconds, the same for all charts of a line on a page.

    One step in a hundred may stick out at the top, and one peak in twenty (the greatest stands in the sentence): a
    single stray answer of two seconds would otherwise press a line of 4 ms flat.
    """
    charts = list(charts)
    highs = sorted(step.p95_s for chart in charts for step in chart.steps if step.p95_s is not None)
    mids = [step.p50_s for chart in charts for step in chart.steps if step.p50_s is not None]
    if not highs:
        return 0.010
    peaks = sorted(step.max_s for chart in charts for step in chart.steps if step.max_s is not None)
    high = quantile(highs, 0.99)
    top = 1.1 * max(high, max(mids), min(quantile(peaks, 0.95), 3 * high), 0.001)
    limits = [limit for chart in charts for limit in (chart.limit_s, chart.promise_s) if limit is not None]
    return max([top, *(limit * 1.12 for limit in limits if limit <= top * LIMIT_IN_SIGHT)])


def smoke_svg(
    smoke: Smoke, words: ChartWords, *, canvas: Canvas = WIDE, key: str = "line", top_s: float | None = None,
    now_ms: int | None = None,
) -> str:  # fmt: skip
    """The smoke chart of a line. `key` makes its ids unique in the page; `now_ms`: the right edge, if there, is now."""
    frame = Frame(
        width=canvas.width, height=canvas.height, start_ms=smoke.window.start_ms, end_ms=smoke.window.end_ms,
        top_value=(top_s or scale_s((smoke,))) * 1000,
    )  # fmt: skip
    holes = blind_spans(smoke)
    runs = list(_runs(smoke.steps, [*smoke.outages, *holes]))
    is_now = now_ms is not None and now_ms - smoke.window.end_ms < MINUTE_MS
    parts = [
        hatches(key),
        *(_delay_axis(frame, words) if smoke.has_targets else ()),
        text("c-tick", LEFT - 6, frame.ribbon + 8, words.use, "end"),
        *x_axis(frame, words.local, now=words.now if is_now else None),
        *(part for run in runs for part in _band(frame, run)),
        *(_peaks(frame, smoke.steps)),
        *_limits(frame, smoke),
        *(part for run in runs for part in _median(frame, run)),
        *_losses(frame, smoke.steps),
        *_strips(frame, smoke.outages, "c-out", f"{key}-out", least=LEAST_OUTAGE_PX),
        *_strips(frame, holes, "c-blind", f"{key}-blind", least=2.0),
        *_ribbon(frame, smoke, holes),
    ]
    parts += _limit_labels(frame, smoke, words)
    if canvas.labels:
        parts += _labels(frame, smoke.outages, holes, words)
    if not smoke.has_targets:
        parts.append(text("c-lab", (frame.left + frame.right) / 2, frame.bottom / 2, words.no_targets, "middle"))
    return group("chart", canvas.width, canvas.height, words.name, parts)


def loss_class(ratio: float | None) -> int:
    """0 below one in a thousand, 1 from there, 2 from 2 %, 3 from 10 %."""
    return 0 if ratio is None or ratio < LITTLE else 1 if ratio < SOME else 2 if ratio < MUCH else 3


def _runs(steps: Sequence[Step], breaks: Sequence[Span]) -> Iterator[list[Step]]:
    """Stretches of steps with answers, interrupted by every outage and every gap."""
    run: list[Step] = []
    for step in sorted(steps, key=lambda s: s.start_ms):
        is_torn = bool(run) and (run[-1].end_ms < step.start_ms or _breaks(breaks, run[-1], step))
        if run and (step.times is None or is_torn):
            yield run
            run = []
        if step.times is not None and not any(_covers(span, step) for span in breaks):
            run.append(step)
    if run:
        yield run


def _middle(step: Step) -> float:
    return step.start_ms + step.length_ms / 2


def _breaks(breaks: Sequence[Span], a: Step, b: Step) -> bool:
    return any(span.start_ms < _middle(b) and span.end_ms > _middle(a) for span in breaks)


def _covers(span: Span, step: Step) -> bool:
    return span.start_ms <= step.start_ms and span.end_ms >= step.end_ms


def _ends(frame: Frame, run: Sequence[Step]) -> list[float]:
    """x of the points of a run. One step alone is drawn as wide as it is, or it would not be seen."""
    if len(run) == 1:
        return [frame.x(run[0].start_ms), frame.x(run[0].end_ms)]
    return [frame.x(_middle(step)) for step in run]


def _band(frame: Frame, run: Sequence[Step]) -> Iterator[str]:
    """p5 to p95, and a darker core halfway to the median that leads the eye."""
    times = [step.times for step in run if step.times is not None]
    if len(run) == 1:
        times *= 2
    xs = _ends(frame, run)
    for name, share in (("c-smoke", 1.0), ("c-smoke2", 0.5)):
        upper = [(x, frame.y((t[2] + (t[3] - t[2]) * share) * 1000)) for x, t in zip(xs, times, strict=True)]
        lower = [(x, frame.y((t[2] + (t[1] - t[2]) * share) * 1000)) for x, t in zip(xs, times, strict=True)]
        yield element("polygon", name, points=_points([*upper, *reversed(lower)]))


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in pairs)


def _peaks(frame: Frame, steps: Sequence[Step]) -> Iterator[str]:
    """The greatest answer of a step as a hairline above its band; a mark at the top where it goes beyond."""
    lines, marks = [], []
    for step in steps:
        if (times := step.times) is None:
            continue
        x, high, low = frame.x(_middle(step)), frame.y(times[4] * 1000), frame.y(times[3] * 1000)
        if low - high >= 1:
            lines.append(f"M{number(x)} {number(low)}V{number(high)}")
        if times[4] * 1000 > frame.top_value:
            marks.append(f"M{number(x - 2.5)} {number(frame.top + 4)}L{number(x)} {number(frame.top)}l2.5 4z")
    if lines:
        yield element("path", "c-peak", d="".join(lines))
    if marks:
        yield element("path", "c-over-top", d="".join(marks))


def _median(frame: Frame, run: Sequence[Step]) -> Iterator[str]:
    """The median, each step in the colour of its loss: from halfway before its middle to halfway after."""
    ys = [frame.y(step.times[2] * 1000) for step in run if step.times is not None]
    xs = _ends(frame, run)
    if len(run) == 1:
        yield _stroke(run[0], [(xs[0], ys[0]), (xs[1], ys[0])])
        return
    halves = [((xa + xb) / 2, (ya + yb) / 2) for (xa, xb), (ya, yb) in zip(pairwise(xs), pairwise(ys), strict=True)]
    points: list[tuple[float, float]] = []
    for n, step in enumerate(run):
        points += [halves[n - 1]] if n and not points else []
        points.append((xs[n], ys[n]))
        is_last = n == len(run) - 1
        if is_last or loss_class(run[n + 1].loss_ratio) != loss_class(step.loss_ratio):
            yield _stroke(step, points if is_last else [*points, halves[n]])
            points = []


def _stroke(step: Step, points: Sequence[tuple[float, float]]) -> str:
    return element("polyline", f"c-med c-l{loss_class(step.loss_ratio)}", points=_points(points))


def _losses(frame: Frame, steps: Sequence[Step]) -> Iterator[str]:
    yield element("line", "c-axis", x1=LEFT, x2=frame.right, y1=frame.loss_base, y2=frame.loss_base)
    for step in steps:
        ratio = step.loss_ratio
        if not ratio:
            continue
        # From 0.1 % to all, over three powers of ten.
        height = 3 + 14 * max(0.0, min(1.0, (log10(ratio) + 3) / 3))
        x = frame.x(step.start_ms)
        width = max(frame.x(step.end_ms) - x - 0.4, 1.2)
        yield element(
            "rect", f"c-b{max(loss_class(ratio), 1)}", x=x, y=frame.loss_base - height, width=width, height=height
        )  # fmt: skip


def _in_sight(frame: Frame, *limits: tuple[float | None, str]) -> Iterator[tuple[float, float, str]]:
    """Of limits with something about each: those that the chart is high enough for, and how high they lie."""
    for limit_s, about in limits:
        if limit_s is not None and limit_s * 1000 <= frame.top_value:
            yield limit_s, frame.y(limit_s * 1000), about


def _limits(frame: Frame, smoke: Smoke) -> Iterator[str]:
    """Where the watcher calls it degraded, and what the carrier agreed to."""
    for _, y, name in _in_sight(frame, (smoke.limit_s, "c-limit"), (smoke.promise_s, "c-promise")):
        yield element("line", name, x1=LEFT, x2=frame.right, y1=y, y2=y)


def _limit_labels(frame: Frame, smoke: Smoke, words: ChartWords) -> Iterator[str]:
    """Over everything else and above their lines; beneath, where another label or those of the outages are too near."""
    taken: list[float] = []
    for limit_s, y, said in _in_sight(frame, (smoke.limit_s, words.limit), (smoke.promise_s, words.promise)):
        places = (y - 4, y + 13, y + 27)
        free = (at for at in places if at >= frame.top + 26 and all(abs(at - other) >= 14 for other in taken))
        at = next(free, places[-1])
        taken.append(at)
        yield text("c-note", LEFT + 4, at, said % {"ms": f"{limit_s * 1000:g}"})


def _delay_axis(frame: Frame, words: ChartWords) -> Iterator[str]:
    for value in frame.nice_values():
        y = frame.y(value)
        yield element("line", "c-grid", x1=LEFT, x2=frame.right, y1=y, y2=y)
        yield text("c-tick", LEFT - 6, y + 4, f"{value:g}", "end")
    yield text("c-tick", LEFT - 6, frame.loss_base - 1, words.loss, "end")


def _strips(frame: Frame, spans: Iterable[Span], name: str, pattern: str, *, least: float) -> Iterator[str]:
    for x, width in (_place(frame, span, least) for span in spans):
        yield element(
            "rect", name, x=x, y=frame.top, width=width, height=frame.loss_base - frame.top, fill=f"url(#{pattern})"
        )


def _place(frame: Frame, span: Span, least: float) -> tuple[float, float]:
    """Left edge and width of a strip, at least so wide and within the chart."""
    start, end = frame.x(span.start_ms), frame.x(span.end_ms)
    width = max(end - start, least)
    return min(max(start, LEFT), frame.right - width), width


def _ribbon(frame: Frame, smoke: Smoke, holes: Sequence[Span]) -> Iterator[str]:
    """Which line was in use: nothing where it is not known, pale while another was."""
    reached = smoke.window.start_ms
    known: list[Span] = []
    for hole in [*(joined(smoke.no_data) if smoke.uses else holes), Span(start_ms=smoke.window.end_ms, end_ms=0)]:
        if hole.start_ms > reached:
            known.append(Span(start_ms=reached, end_ms=hole.start_ms))
        reached = max(reached, hole.end_ms)
    for name, spans, y, height in (
        ("c-noact", known, frame.ribbon + 1, 6.0),
        ("c-act", smoke.uses, frame.ribbon, 8.0),
        ("c-hold", smoke.holds, frame.ribbon, 8.0),
    ):
        for x, width in (_place(frame, span, 1.5) for span in spans):
            yield element("rect", name, x=x, y=y, width=width, height=height)


def _labels(frame: Frame, outages: Iterable[Span], holes: Iterable[Span], words: ChartWords) -> list[str]:
    """Lengths at their strips, the longest first; one that would lie on another is left to the table."""
    wanted = [(span, words.outage % {"for_": words.spoken(span.length_s)}) for span in outages]
    wanted += [(span, words.no_data) for span in holes]
    wanted.sort(key=lambda entry: entry[0].start_ms - entry[0].end_ms)
    strips = [_place(frame, span, LEAST_OUTAGE_PX) for span, _ in wanted]
    taken = [(x - 1, x + width + 1) for x, width in strips]
    drawn = []
    for (x, width), (_, label) in zip(strips, wanted, strict=True):
        room = 13.0 * sum(1 if char > "\u2e80" else 0.58 for char in label)
        if width > room + 10:
            drawn.append(text("c-lab", x + width / 2, frame.top + 15, label, "middle"))
            continue
        for start, anchor_x, anchor in ((x + width + 5, x + width + 5, "start"), (x - 5 - room, x - 5, "end")):
            if start >= LEFT and start + room <= frame.right and not _meets(taken, start, start + room):
                taken.append((start, start + room))
                drawn.append(text("c-lab", anchor_x, frame.top + 11, label, anchor))
                break
    return drawn


def _meets(taken: Iterable[tuple[float, float]], start: float, end: float) -> bool:
    return any(start < b and end > a for a, b in taken)
