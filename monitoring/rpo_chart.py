"""How far one destination was behind, as a small chart with a logarithmic axis. Pure; all are drawn to one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

from monitoring.charts import SMALL, Canvas
from monitoring.smoke import Span
from monitoring.svg import LEFT, Frame, element, group, hatches, number, text, x_axis

_BOTTOM, _TOP = 57.0, 3.0
_PER_60 = 21.8  # pixels from 1 s to 1 min, and from there to 1 h


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpo:
    """A destination's RPO in a window: `points` are (when, seconds), in order, each true until the next one.

    Where the next one is further than `gap_ms` away, nothing is known after the first of the two.
    """

    window: Span
    points: tuple[tuple[int, float], ...]
    goal_s: float | None = None
    gap_ms: int = 15 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RpoWords:
    """The words of the chart in one language. `told` has places `worst`, `at` and `over`."""

    name: str
    second: str
    minute: str
    hour: str
    now: str
    told: str
    told_nothing: str
    spoken: Callable[[float], str]
    local: Callable[[int], datetime]


def rpo_svg(rpo: Rpo, words: RpoWords, *, canvas: Canvas = SMALL, key: str = "rpo", now_ms: int | None = None) -> str:
    """The chart: a step line, thick and red above the goal, hatched where nothing is known."""
    frame = Frame(
        width=canvas.width, height=canvas.height, start_ms=rpo.window.start_ms, end_ms=rpo.window.end_ms, top_value=1.0
    )  # fmt: skip
    is_now = now_ms is not None and now_ms - rpo.window.end_ms < 60_000
    parts = [hatches(key)]
    for label, seconds in ((words.second, 1.0), (words.minute, 60.0), (words.hour, 3600.0)):
        parts.append(element("line", "c-grid", x1=LEFT, x2=frame.right, y1=_y(seconds), y2=_y(seconds)))
        parts.append(text("c-tick", LEFT - 6, _y(seconds) + 4, label, "end"))
    now = words.now if is_now else None
    parts += x_axis(frame, words.local, now=now, foot=_BOTTOM, per_tick_px=90.0)
    pieces = list(_pieces(rpo))
    for run in _runs(pieces):
        parts.append(element("path", "c-fill", d=_steps(frame, run, closed=True)))
    for hole in _holes(rpo, pieces):
        x, width = frame.x(hole.start_ms), max(frame.x(hole.end_ms) - frame.x(hole.start_ms), 2.0)
        parts.append(
            element("rect", "c-blind", x=x, y=_TOP, width=width, height=_BOTTOM - _TOP, fill=f"url(#{key}-blind)")
        )
    if rpo.goal_s is not None:
        parts.append(element("line", "c-limit", x1=LEFT, x2=frame.right, y1=_y(rpo.goal_s), y2=_y(rpo.goal_s)))
    for run in _runs(pieces):
        parts.append(element("path", "c-step", d=_steps(frame, run)))
    if rpo.goal_s is not None:
        over = [piece for piece in pieces if piece[2] > rpo.goal_s]
        parts += [element("path", "c-over", d=_steps(frame, run)) for run in _runs(over)]
    return group("chart chart--s", canvas.width, canvas.height, words.name, parts)


def rpo_sentence(rpo: Rpo, words: RpoWords) -> str:
    """What the chart shows, in words."""
    pieces = list(_pieces(rpo))
    if not pieces:
        return words.told_nothing
    start, _, worst = max(pieces, key=lambda piece: piece[2])
    over = sum(end - start for start, end, seconds in pieces if rpo.goal_s is not None and seconds > rpo.goal_s)
    return words.told % {
        "worst": words.spoken(worst), "at": f"{words.local(start):%H:%M}", "over": words.spoken(over / 1000),
    }  # fmt: skip


def _pieces(rpo: Rpo) -> Iterator[tuple[int, int, float]]:
    """(from, to, seconds) within the window."""
    for n, (at, seconds) in enumerate(rpo.points):
        end = rpo.points[n + 1][0] if n + 1 < len(rpo.points) else rpo.window.end_ms
        start, end = max(at, rpo.window.start_ms), min(end if end - at <= rpo.gap_ms else at, rpo.window.end_ms)
        if start < end:
            yield start, end, seconds


def _runs(pieces: Sequence[tuple[int, int, float]]) -> Iterator[list[tuple[int, int, float]]]:
    run: list[tuple[int, int, float]] = []
    for piece in pieces:
        if run and run[-1][1] != piece[0]:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _holes(rpo: Rpo, pieces: Sequence[tuple[int, int, float]]) -> Iterator[Span]:
    reached = rpo.window.start_ms
    for start, end in [*((start, end) for start, end, _ in pieces), (rpo.window.end_ms, rpo.window.end_ms)]:
        if start > reached:
            yield Span(start_ms=reached, end_ms=start)
        reached = max(reached, end)


def _y(seconds: float) -> float:
    return max(_BOTTOM - _PER_60 * log(max(seconds, 1.0), 60), _TOP)


def _steps(frame: Frame, run: Sequence[tuple[int, int, float]], *, closed: bool = False) -> str:
    path = [f"M{number(frame.x(run[0][0]))} {number(_y(run[0][2]))}"]
    for start, end, seconds in run:
        path.append(f"H{number(frame.x(start))}V{number(_y(seconds))}H{number(frame.x(end))}")
    if closed:
        path.append(f"V{number(_BOTTOM)}H{number(frame.x(run[0][0]))}Z")
    return "".join(path)
