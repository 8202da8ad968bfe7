"""Reads the history: intervals, incidents, and what the probes measured.

A verdict holds from its transition to the next one, and no longer than somebody was there to see: where neither the
watcher's status nor its samples tell that it ran, and from every new start of it until its first verdict, nothing is
known. What is not in these answers is unknown, and `monitoring.sla` counts it so.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge_node.journal.rollup import HOUR_MS, MINUTE_MS
from edge_node.journal.spread import Spread, added, unpacked
from edge_node.orders import Maintenance
from edge_node.store.connection import Connection, Row
from monitoring.sla import LINE, SERVICE, Excluded, Exclusion, Incident, Interval, Reason, Window, incidents, timeline
from monitoring.steps import Step

# The recorder writes once a minute that the watcher is there; a reader of this very moment trusts it for so long.
TRUSTED_MS = 90_000
# A transition and the first status of the same run may be told in either order.
SLACK_MS = 2_000
# Verdicts that the far end has to answer for, not the line.
CLOUD_REASONS = frozenset({"cloud-silent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """Traffic went through a line."""

    start_ms: int
    end_ms: int
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the probes of a line's targets say of a time. Shares are of all questions; times are in seconds."""

    count: int
    lost: int
    lost_out: int
    lost_back: int
    spread: Spread

    @property
    def loss_ratio(self) -> float | None:
        return self.lost / self.count if self.count else None


def heard_spans(conn: Connection, window: Window, *, now_ms: int) -> tuple[tuple[int, int], ...]:
    """When somebody was there to see, as spans that do not touch, in order."""
    rows = conn.execute(
        "SELECT start, until FROM heard WHERE until >= ? AND start < ? ORDER BY start",
        (window.start_ms - TRUSTED_MS, window.end_ms),
    ).fetchall()
    found: list[tuple[int, int]] = []
    for start, until in rows:
        end = max(until, now_ms) if now_ms - TRUSTED_MS <= until <= now_ms else until
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return tuple(found)


def line_intervals(conn: Connection, line: str, window: Window, *, now_ms: int) -> tuple[Interval, ...]:
    """What was believed of a line."""
    rows = _transitions(conn, "verdict", line, window)
    return tuple(_known(conn, rows, window, now_ms=now_ms))


def mode_intervals(conn: Connection, window: Window, *, now_ms: int) -> tuple[Interval, ...]:
    """What the node did."""
    rows = _transitions(conn, "mode", None, window)
    return tuple(_known(conn, rows, window, now_ms=now_ms))


def in_use(conn: Connection, window: Window, *, now_ms: int) -> tuple[InUse, ...]:
    """Which line traffic went through, and when."""
    rows = _transitions(conn, "mode", None, window)
    lines = {_ref(row): row["to_line"] for row in rows}
    return tuple(
        InUse(start_ms=i.start_ms, end_ms=i.end_ms, line=line)
        for i in _known(conn, rows, window, now_ms=now_ms)
        if (line := lines[i.ref]) is not None
    )


def switches(conn: Connection, window: Window) -> int:
    """How often traffic was moved from one line to another, also by way of having none."""
    count, line = 0, None
    for row in _transitions(conn, "mode", None, window):
        if row["at"] >= window.end_ms:
            break
        after = row["to_line"]
        if after is not None and after != line:
            count += line is not None and row["at"] >= window.start_ms
            line = after
    return count


def line_excluded(conn: Connection, line: str, window: Window, intervals: Iterable[Interval]) -> tuple[Excluded, ...]:
    """Time of a line that is not counted: announced work, blindness, and what the cloud has to answer for."""
    span = (line, window.start_ms, window.end_ms)
    rows = conn.execute("SELECT why, start, until FROM uncounted WHERE line IN (?, '') AND until > ? AND start < ?",
                        span).fetchall()  # fmt: skip
    rows += conn.execute(
        "SELECT 'maintenance', start, until FROM maintenance WHERE line = ? AND until > ? AND start < ? "
        "AND until > start",
        span,
    ).fetchall()
    told = [Excluded(start_ms=start, end_ms=until, why=Exclusion(why)) for why, start, until in rows]
    return (
        *told,
        *(
            Excluded(start_ms=i.start_ms, end_ms=i.end_ms, why=Exclusion.CLOUD)
            for i in intervals
            if i.reason.code in CLOUD_REASONS
        ),
    )


def maintenance(conn: Connection, line: str, window: Window) -> tuple[Maintenance, ...]:
    """Work that was announced for a line in a window, what was taken back included, oldest first."""
    rows = conn.execute(
        "SELECT * FROM maintenance WHERE line = ? AND max(until, start + 1) > ? AND start < ? ORDER BY start, id",
        (line, window.start_ms, window.end_ms),
    ).fetchall()
    return tuple(
        Maintenance(
            id=row["id"], line=row["line"], start_ms=row["start"], until_ms=row["until"],
            announced_ms=row["announced"], by=row["given_by"], why=row["reason"], cancelled_ms=row["cancelled"],
            cancelled_by=row["cancelled_by"],
        )
        for row in rows
    )  # fmt: skip


def service_excluded(conn: Connection, window: Window) -> tuple[Excluded, ...]:
    """For the clinic only blindness is left out: works or not, it was offline."""
    rows = conn.execute(
        "SELECT start, until FROM uncounted WHERE why = 'blind' AND line = '' AND until > ? AND start < ?",
        (window.start_ms, window.end_ms),
    )
    return tuple(Excluded(start_ms=start, end_ms=until, why=Exclusion.BLIND) for start, until in rows)


def line_incidents(
    conn: Connection, line: str, window: Window, *, now_ms: int, states: Collection[str] = ("down",)
) -> tuple[Incident, ...]:
    """The incidents of a line, oldest first; `ref` names the transition that began each."""
    intervals = line_intervals(conn, line, window, now_ms=now_ms)
    pieces = timeline(intervals, window, line_excluded(conn, line, window, intervals), kinds=LINE)
    return incidents(pieces, window, states=states)


def service_incidents(conn: Connection, window: Window, *, now_ms: int) -> tuple[Incident, ...]:
    """When the clinic was offline."""
    intervals = mode_intervals(conn, window, now_ms=now_ms)
    pieces = timeline(intervals, window, service_excluded(conn, window), kinds=SERVICE)
    return incidents(pieces, window, states=("offline",))


def minutes(conn: Connection, line: str, window: Window, *, targets: Collection[str] | None = None) -> tuple[Step, ...]:
    """The minutes of a line, one step per target that was asked; `targets`: of these only."""
    return tuple(_step(row, MINUTE_MS) for row in _rows(conn, "minute", line, window, targets))


def hours(conn: Connection, line: str, window: Window, *, targets: Collection[str] | None = None) -> tuple[Step, ...]:
    """The same by hours, for long windows."""
    return tuple(_step(row, HOUR_MS) for row in _rows(conn, "hour", line, window, targets))


def minute_jitters(
    conn: Connection, line: str, window: Window, *, targets: Collection[str] | None = None
) -> tuple[float, ...]:
    """The jitter of each minute, in seconds, in order of size."""
    rows = _rows(conn, "minute", line, window, targets)
    return tuple(sorted(row["jitter_us"] / 1e6 for row in rows if row["jitter_us"] is not None))


def measured(
    conn: Connection,
    line: str,
    window: Window,
    *,
    targets: Collection[str] | None = None,
    without: Sequence[tuple[int, int]] = (),
) -> Measured:
    """Loss by the minute, outside the spans `without`; times by the hour."""
    count = lost = out = back = 0
    spans = iter(sorted(without))
    span = next(spans, None)
    # Both are in order of time: the spans are walked through once.
    for row in _rows(conn, "minute", line, window, targets):
        at = int(row["at"])
        while span is not None and span[1] <= at:
            span = next(spans, None)
        if span is not None and span[0] < at + MINUTE_MS:
            continue
        count, lost = count + row["count"], lost + row["lost"]
        out, back = out + row["lost_out"], back + row["lost_back"]
    spreads = added(unpacked(row["spread"]) for row in _rows(conn, "hour", line, window, targets))
    return Measured(count=count, lost=lost, lost_out=out, lost_back=back, spread=spreads)


def _transitions(conn: Connection, kind: str, subject: str | None, window: Window) -> list[Row]:
    """Those of the window and the one before, in the order in which they were told."""
    which = "kind = ?" + (" AND subject = ?" if subject is not None else "")
    values = (kind, subject) if subject is not None else (kind,)
    before = conn.execute(
        f"SELECT era, seq FROM transition WHERE {which} AND at <= ? ORDER BY era DESC, seq DESC LIMIT 1",
        (*values, window.start_ms),
    ).fetchone()
    era, seq = before or (0, 0)
    rows: list[Row] = conn.execute(
        f"SELECT * FROM transition WHERE {which} AND (era, seq) >= (?, ?) ORDER BY era, seq", (*values, era, seq)
    ).fetchall()
    return rows


def _ref(row: Row) -> str:
    return f"{row['era']}.{row['seq']}"


def reason_of(row: Row) -> Reason:
    """Why a transition came."""
    return Reason(code=row["reason"], args=json.loads(row["args"]))


def _known(conn: Connection, rows: Sequence[Row], window: Window, *, now_ms: int) -> Iterator[Interval]:
    """States from one transition to the next, as far as somebody was there.

    Where a clock was set back, a later transition has an earlier time: the span between the two is told of twice, and
    whoever adds up finds two states there.
    """
    spans = heard_spans(conn, Window(start_ms=_first_at(rows, window), end_ms=window.end_ms), now_ms=now_ms)
    starts = [
        int(row[0])
        for row in conn.execute("SELECT start FROM heard WHERE source = 'status' AND start < ? ORDER BY start",
                                (window.end_ms,))
    ]  # fmt: skip
    for n, row in enumerate(rows):
        at = int(row["at"])
        until = int(rows[n + 1]["at"]) if n + 1 < len(rows) else window.end_ms
        interval = Interval(
            start_ms=min(at, until),
            end_ms=max(at, until),
            state=row["to_state"],
            reason=reason_of(row),
            ref=_ref(row),
        )
        if until < at:
            # Also where nothing else is told of it: what was before held in a part of it, and nobody can say in which.
            yield interval
            yield replace(interval, state=row["from_state"])
            continue
        # The last span that begins by then, and the first new start after it.
        nth = bisect_right(spans, at + SLACK_MS, key=lambda span: span[0]) - 1
        if nth < 0:
            continue
        later = bisect_right(starts, at + SLACK_MS)
        begin = max(at, spans[nth][0])
        end = min(until, spans[nth][1], starts[later] if later < len(starts) else until)
        if max(begin, window.start_ms) < end:
            yield replace(interval, start_ms=begin, end_ms=end)


def _first_at(rows: Sequence[Row], window: Window) -> int:
    return min((int(row["at"]) for row in rows), default=window.start_ms)


def _rows(conn: Connection, table: str, line: str, window: Window, targets: Collection[str] | None) -> Iterator[Row]:
    """In order of time."""
    series = [
        number
        for number, target in conn.execute("SELECT id, target FROM series WHERE line = ?", (line,))
        if targets is None or target in targets
    ]
    places = ", ".join("?" * len(series))
    return conn.execute(
        f"SELECT * FROM {table} WHERE at >= ? AND at < ? AND series IN ({places}) ORDER BY at",
        (window.start_ms, window.end_ms, *series),
    )


def _step(row: Row, length_ms: int) -> Step:
    if row["min_us"] is None:
        return Step(start_ms=row["at"], length_ms=length_ms, count=row["count"], lost=row["lost"])
    return Step(
        start_ms=row["at"],
        length_ms=length_ms,
        count=row["count"],
        lost=row["lost"],
        min_s=row["min_us"] / 1e6,
        p5_s=row["p5_us"] / 1e6,
        p50_s=row["p50_us"] / 1e6,
        p95_s=row["p95_us"] / 1e6,
        max_s=row["max_us"] / 1e6,
    )
