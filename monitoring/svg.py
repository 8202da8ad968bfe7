"""The few things that the charts are drawn with: elements as text, a frame with its axes, hatches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import log10

LEFT, RIGHT, TOP = 44.0, 8.0, 8.0
_FOOT = 55.0  # beneath the zero line: losses, ribbon, times
_MINUTE_MS = 60_000
_TICKS_MIN = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def element(tag: str, name: str, **attributes: float | str) -> str:
    """An element with a class; numbers are rounded to what can be seen."""
    pairs = (
        f'{key.replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    return f'<{tag} class="{name}" {" ".join(pairs)}/>'


def text(name: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{name}" x="{number(x)}" y="{number(y)}"{where}>{escape(words, quote=False)}</text>'


def group(name: str, width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """A whole picture with its name."""
    return (
        f'<svg class="{name}" viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def hatches(key: str) -> str:
    """The patterns of this picture: dense and dark for an outage, wide, pale and the other way for no data.

    Their colours are attributes, since a pattern is seen in print too, where a page's style sheet may be missing.
    """
    key = escape(key)
    return (
        f'<defs><pattern id="{key}-out" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" fill="#f6d3d0"/>'
        '<rect width="2.2" height="6" fill="#a51f1b"/></pattern>'
        f'<pattern id="{key}-blind" width="9" height="9" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(-45)"><rect width="9" height="9" fill="#f1f3f6"/>'
        '<rect width="1.3" height="9" fill="#9aa5af"/></pattern></defs>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a time and a value lie. The value axis begins at 0 and ends with `top_value`."""

    width: float
    height: float
    start_ms: int
    end_ms: int
    top_value: float

    left = LEFT
    top = TOP

    @property
    def right(self) -> float:
        return self.width - RIGHT

    @property
    def bottom(self) -> float:
        return self.height - _FOOT

    @property
    def loss_base(self) -> float:
        return self.bottom + 20

    @property
    def ribbon(self) -> float:
        return self.bottom + 24

    def x(self, at_ms: float) -> float:
        """Times outside the window lie on its edges."""
        share = (at_ms - self.start_ms) / max(self.end_ms - self.start_ms, 1)
        return LEFT + (self.right - LEFT) * min(max(share, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Values beyond the top lie on it."""
        return self.bottom - (self.bottom - TOP) * min(max(value / self.top_value, 0.0), 1.0)

    def nice_values(self) -> list[float]:
        """Grid lines at round values: three to five, fewer where they would lie closer than 24 px."""
        most = 4 if self.bottom - TOP > 120 else 3
        rough = self.top_value / most
        power = 10 ** (len(str(int(rough))) - 1) if rough >= 1 else 10 ** _floor_log(rough)
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
        if self.top_value < 2 * step:
            step /= 2
        return [round(step * n, 9) for n in range(int(self.top_value / step + 1e-9) + 1)]


def _floor_log(value: float) -> int:
    return int(log10(value) // 1) if value > 0 else 0


def x_axis(
    frame: Frame,
    local: Callable[[int], datetime],
    *,
    now: str | None,
    foot: float | None = None,
    per_tick_px: float = 62.0,
) -> Iterator[str]:
    """Lines and labels at round local times; `now` at the right edge. Days by their date, where a day is a tick."""
    span_min = (frame.end_ms - frame.start_ms) / _MINUTE_MS
    ticks = (frame.right - LEFT) / per_tick_px
    # Over more than two days the time of day says nothing without its date.
    fitting = (m for m in _TICKS_MIN if span_min / m <= ticks and (m >= 1440 or span_min <= 2 * 1440))
    every = next(fitting, _TICKS_MIN[-1])
    y = frame.height - 5
    base = frame.ribbon + 9 if foot is None else foot
    for at_ms in _round_times(frame.start_ms, frame.end_ms, every, local):
        x = frame.x(at_ms)
        yield element("line", "c-grid", x1=x, x2=x, y1=TOP, y2=base)
        room = 16 if every < 1440 else 18
        if x - room >= LEFT - 6 and x + room <= frame.right - (34 if now else -4):
            at = local(at_ms)
            yield text("c-tick", x, y, f"{at:%H:%M}" if every < 1440 else f"{at:%m-%d}", "middle")
    if now:
        yield text("c-tick", frame.right, y, now, "end")


def _round_times(start_ms: int, end_ms: int, every_min: int, local: Callable[[int], datetime]) -> Iterator[int]:
    """Local times whose minute of the day is a multiple of `every_min`; whole days at midnight.

    Tried every quarter of an hour, since a zone may be off by one, and a day may have 23 hours.
    """
    stride = (15 if every_min % 15 == 0 else 5) * _MINUTE_MS
    first = -(-start_ms // stride) * stride
    for at_ms in range(first, end_ms + 1, stride):
        at = local(at_ms)
        if every_min >= 1440:
            if at.hour == at.minute == 0 and at.toordinal() % (every_min // 1440) == 0:
                yield at_ms
        elif (at.hour * 60 + at.minute) % every_min == 0:
            yield at_ms
