"""Raw samples around the edges of an incident, from the day files while they are there.

Edges are compared by boot time where they have one: a wall clock that was set meanwhile moves no sample.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from edge_node.journal.incidents import Edge
from edge_node.journal.rollup import HOUR_MS
from edge_node.journal.traces import TraceFolder, check_fits

RADIUS_S = 60.0
DAY_MS = 24 * HOUR_MS
# Samples wait this long at most for a disk that takes nothing; their batch is stamped when it is written.
_WRITTEN_WITHIN_S = 900.0
# A batch is written this often, and a little later on a busy machine.
_BATCH_S = 15.0
# Between two batches the two clocks part by less than this, unless somebody sets one of them.
STEP_MS = 500


class Stopped(Exception):
    """The service is to stop: the reading is given up, and is done again after the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One question as it was recorded; `boottime` is when it was asked."""

    at_ms: int
    boot_id: str
    boottime: float
    line: str
    target: str
    outcome: str
    rtt_s: float | None
    lost: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Time from which samples are wanted, in boot time of one boot, or by the wall where that is not known."""

    boot_id: str | None
    start: float
    end: float

    def holds(self, sample: Raw) -> bool:
        at = sample.at_ms / 1000 if self.boot_id is None else sample.boottime
        return self.boot_id in (None, sample.boot_id) and self.start <= at <= self.end

    def may_hold(self, boot_id: str, boottime: float, wall_ms: int) -> bool:
        """Can a batch that was written then have something of it?"""
        written = wall_ms / 1000 if self.boot_id is None else boottime
        return self.boot_id in (None, boot_id) and self.start <= written <= self.end + _WRITTEN_WITHIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSamples:
    """What was found: the samples in order, days without a file, and where the wall clock was set."""

    samples: tuple[Raw, ...] = ()
    days_missing: tuple[str, ...] = ()
    clock_steps: tuple[tuple[int, float], ...] = ()  # (when by the new time, by how many seconds)
    is_cut: bool = False


@dataclass(slots=True)
class _Reading:
    samples: list[Raw] = field(default_factory=list)
    heads: list[tuple[str, float, int]] = field(default_factory=list)


def around(start: Edge, end: Edge, *, radius_s: float = RADIUS_S) -> tuple[Span, ...]:
    """From a minute before the start to a minute after the end; of a long incident a minute around each."""
    first, last = _around(start, radius_s), _around(end, radius_s)
    if first.boot_id == last.boot_id and first.end >= last.start:
        return (Span(boot_id=first.boot_id, start=first.start, end=max(first.end, last.end)),)
    return (first, last)


def _around(edge: Edge, radius_s: float) -> Span:
    at = edge.at_ms / 1000 if edge.boottime is None else edge.boottime
    return Span(boot_id=edge.boot_id if edge.boottime is not None else None, start=at - radius_s, end=at + radius_s)


def read_around(
    traces: TraceFolder,
    edges: Sequence[Edge],
    spans: Sequence[Span],
    *,
    first_line: str,
    most: int,
    check: Callable[[], None] = lambda: None,
) -> RawSamples:
    """Samples of these spans. Above `most` those of other lines go first; `check` may raise Stopped. Raises OSError."""
    there = set(traces.days())
    wanted = {_day(edge.at_ms + sign * round(RADIUS_S * 1000)) for edge in edges for sign in (-1, 1)}
    # The days beside them too: where the clock was set, a batch stands in the file of the day that it showed.
    beside = {_day(edge.at_ms + sign * DAY_MS) for edge in edges for sign in (-1, 1)}
    reading = _Reading()
    for day in sorted((wanted | beside) & there):
        for _, content in traces.members(day):
            check()
            _read(reading, content, spans)
    samples = sorted(reading.samples, key=lambda one: (one.boot_id, one.boottime, one.line, one.target))
    is_cut = len(samples) > most
    if is_cut:
        own = [one for one in samples if one.line == first_line]
        samples = sorted([*own, *(one for one in samples if one.line != first_line)][:most],
                         key=lambda one: (one.boot_id, one.boottime, one.line, one.target))  # fmt: skip
    return RawSamples(
        samples=tuple(sorted(samples, key=lambda one: _order(one, edges))),
        days_missing=tuple(sorted(wanted - there)),
        clock_steps=tuple(_steps(reading.heads, spans)),
        is_cut=is_cut,
    )


def _order(sample: Raw, edges: Iterable[Edge]) -> tuple[int, float]:
    """Boots in the order of the edges; within one, by boot time."""
    boots = [edge.boot_id for edge in edges]
    return (boots.index(sample.boot_id) if sample.boot_id in boots else 0, sample.boottime)


def _read(reading: _Reading, content: bytes, spans: Sequence[Span]) -> None:
    head, _, rest = content.partition(b"\n")
    try:
        moment = json.loads(head)
        boot_id, boottime, wall_ms = str(moment["boot_id"]), float(moment["boottime"]), int(moment["wall_ms"])
    except (ValueError, KeyError, TypeError):
        return
    reading.heads.append((boot_id, boottime, wall_ms))
    offset_ms = wall_ms - boottime * 1000
    if not any(span.may_hold(boot_id, boottime, wall_ms) for span in spans):
        return
    for line in rest.splitlines():
        try:
            row = json.loads(line)
            sample = _sample(row, boot_id, offset_ms) if row[0] == "p" else None
        except (ValueError, KeyError, TypeError, IndexError, OverflowError):
            continue
        if sample is not None and any(span.holds(sample) for span in spans):
            reading.samples.append(sample)


def _steps(heads: Iterable[tuple[str, float, int]], spans: Sequence[Span]) -> Iterator[tuple[int, float]]:
    """Where the two clocks parted. In order of boot time: a clock that is set back writes into the day before."""
    for (boot, before, before_ms), (boot_id, boottime, wall_ms) in pairwise(sorted(heads)):
        by_ms = (wall_ms - before_ms) - (boottime - before) * 1000
        if boot == boot_id and abs(by_ms) >= STEP_MS and _is_within(spans, boot_id, boottime, wall_ms):
            yield wall_ms, round(by_ms / 1000, 3)


def _is_within(spans: Sequence[Span], boot_id: str, boottime: float, wall_ms: int) -> bool:
    """Between the first edge and the last, as far as that can be said of another boot; a batch tells it late."""
    first, last = spans[0], spans[-1]
    at = {None: wall_ms / 1000, boot_id: boottime}
    is_after = first.boot_id not in at or at[first.boot_id] >= first.start
    return is_after and (last.boot_id not in at or at[last.boot_id] <= last.end + _BATCH_S)


def _sample(row: list[Any], boot_id: str, offset_ms: float) -> Raw:
    _, asked_at, line, target, outcome, rtt_s = row[:6]
    check_fits(round(float(asked_at) * 1000 + offset_ms), f"{line}{target}{outcome}", rtt_s)
    return Raw(
        at_ms=round(float(asked_at) * 1000 + offset_ms),
        boot_id=boot_id,
        boottime=float(asked_at),
        line=str(line),
        target=str(target),
        outcome=str(outcome),
        rtt_s=None if rtt_s is None else float(rtt_s),
        lost=str(row[6]) if len(row) > 6 and row[6] in ("out", "back") else None,
    )


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
