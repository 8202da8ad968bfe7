"""A month of the journal as the value that the SLA report is made of; and a line's chart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edge_node.journal import queries
from edge_node.journal.drills import drills_between
from edge_node.journal.spread import quantile
from edge_node.store.connection import Connection
from monitoring.report import Announced, Drill, LineMonth, Picture, Promise, Quality, SlaMonth
from monitoring.sla import LINE, SERVICE, UNKNOWN, Piece, Window, account, incidents, timeline
from monitoring.smoke import DAY_MS, Smoke, Span, joined, step_length_ms
from monitoring.steps import merged
from monitoring.steps import quantile as ordered_quantile

# A chart of more than this is drawn from hours; its steps are of six.
_BY_MINUTES_MS = 10 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedLine:
    """A line as the report needs it. `targets`: those in the cloud; a line without any is judged by its link alone."""

    name: str
    carrier: str | None = None
    circuit: str | None = None
    promise: Promise = field(default_factory=Promise)
    targets: tuple[str, ...] = ()
    limit_s: float | None = None


def month_window(month: str, *, local: Callable[[int], datetime]) -> Window:
    """2026-10 from midnight to midnight in the zone of `local`. Raises ValueError for what is no month."""
    first = datetime.strptime(month, "%Y-%m")
    if f"{first:%Y-%m}" != month:
        raise ValueError(f"{month!r} is no month")
    after = (first + timedelta(days=32)).replace(day=1)
    return Window(start_ms=_local_midnight_ms(first, local), end_ms=_local_midnight_ms(after, local))


def month_before(now_ms: int, *, local: Callable[[int], datetime]) -> str:
    """The month before the one of this moment, such as 2026-10, in the zone of `local`."""
    return f"{local(now_ms).replace(day=1) - timedelta(days=1):%Y-%m}"


def _local_midnight_ms(day: datetime, local: Callable[[int], datetime]) -> int:
    """The moment at which the clock on the wall shows this midnight."""
    naive_ms = round((day - datetime(1970, 1, 1)).total_seconds() * 1000)
    guess = naive_ms
    for _ in range(2):  # the offset at the guess, then the one at the result: a clock change lies between at most
        offset = local(guess).utcoffset() or timedelta()
        guess = naive_ms - round(offset.total_seconds() * 1000)
    return guess


def sla_month(
    conn: Connection,
    lines: Sequence[ReportedLine],
    *,
    node_id: str,
    node_name: str | None,
    version: str,
    month: str,
    now_ms: int,
    local: Callable[[int], datetime],
) -> SlaMonth:
    """The month as far as it has come. Raises ValueError for what is no month, or for one that has not begun."""
    whole = month_window(month, local=local)
    if now_ms <= whole.start_ms:
        raise ValueError(f"{month} has not begun")
    window = Window(start_ms=whole.start_ms, end_ms=min(whole.end_ms, now_ms))
    modes = queries.mode_intervals(conn, window, now_ms=now_ms)
    pieces = timeline(modes, window, queries.service_excluded(conn, window), kinds=SERVICE)
    reported = tuple(_line_month(conn, line, window, now_ms=now_ms) for line in lines)
    return SlaMonth(
        node_id=node_id,
        node_name=node_name,
        version=version,
        month=month,
        window=window,
        is_complete=window == whole,
        generated_ms=now_ms,
        lines=reported,
        service=account(pieces, window, kinds=SERVICE),
        service_incidents=incidents(pieces, window, states=("offline",)),
        switches=queries.switches(conn, window),
        picture=_longest_day(conn, lines, reported, window, now_ms=now_ms, local=local),
        drills=tuple(
            Drill(destination=one.destination, at_ms=one.at_ms, is_ok=one.is_ok, outcome=one.outcome, rto_s=one.rto_s,
                  why=one.why)
            for one in drills_between(conn, window.start_ms, window.end_ms)
        ),
    )  # fmt: skip


def line_pieces(conn: Connection, line: str, window: Window, *, now_ms: int) -> tuple[Piece, ...]:
    """What was believed of a line, and what is not counted, in pieces that make up the window."""
    intervals = queries.line_intervals(conn, line, window, now_ms=now_ms)
    return timeline(intervals, window, queries.line_excluded(conn, line, window, intervals), kinds=LINE)


def _line_month(conn: Connection, line: ReportedLine, window: Window, *, now_ms: int) -> LineMonth:
    pieces = line_pieces(conn, line.name, window, now_ms=now_ms)
    not_measured = [(p.start_ms, p.end_ms) for p in pieces if p.excluded or p.state in (UNKNOWN, *LINE.bad)]
    return LineMonth(
        name=line.name,
        carrier=line.carrier,
        circuit=line.circuit,
        promise=line.promise,
        account=account(pieces, window, kinds=LINE),
        incidents=incidents(pieces, window),
        quality=_quality(conn, line, window, not_measured),
        smoke=line_smoke(conn, line, window, now_ms=now_ms),
        announced=tuple(
            Announced(start_ms=w.start_ms, end_ms=w.until_ms, announced_ms=w.announced_ms, by=w.by, why=w.why)
            for w in queries.maintenance(conn, line.name, window)
            if w.until_ms > w.start_ms
        ),
    )


def _quality(conn: Connection, line: ReportedLine, window: Window, without: Sequence[tuple[int, int]]) -> Quality:
    told = queries.measured(conn, line.name, window, targets=line.targets, without=without)
    jitters = queries.minute_jitters(conn, line.name, window, targets=line.targets)
    # Directions are told by some targets only: without one such loss nothing is known of them.
    has_ways = told.lost_out + told.lost_back > 0
    return Quality(
        p50_s=quantile(told.spread, 0.50),
        p95_s=quantile(told.spread, 0.95),
        p99_s=quantile(told.spread, 0.99),
        jitter_p95_s=ordered_quantile(jitters, 0.95) if jitters else None,
        loss=told.loss_ratio,
        loss_out=told.lost_out / told.count if has_ways and told.count else None,
        loss_back=told.lost_back / told.count if has_ways and told.count else None,
    )


def line_smoke(conn: Connection, line: ReportedLine, window: Window, *, now_ms: int) -> Smoke:
    """A line's chart of a window."""
    span = Span(start_ms=window.start_ms, end_ms=window.end_ms)
    read = queries.minutes if window.length_ms <= _BY_MINUTES_MS else queries.hours
    steps = merged(read(conn, line.name, window, targets=line.targets), step_length_ms(span))
    known_until = min(window.end_ms, now_ms)
    pieces = line_pieces(conn, line.name, Window(start_ms=window.start_ms, end_ms=known_until), now_ms=now_ms)
    return Smoke(
        window=span,
        steps=steps,
        outages=_spans(pieces, ("down",)),
        no_data=_spans(pieces, (UNKNOWN,)),
        uses=joined(
            Span(start_ms=use.start_ms, end_ms=use.end_ms)
            for use in queries.in_use(conn, window, now_ms=now_ms)
            if use.line == line.name
        ),
        limit_s=line.limit_s,
        promise_s=line.promise.rtt_p95_s,
        has_targets=bool(line.targets),
    )


def _spans(pieces: Sequence[Piece], states: Collection[str]) -> tuple[Span, ...]:
    return joined(Span(start_ms=p.start_ms, end_ms=p.end_ms) for p in pieces if p.state in states)


def _longest_day(
    conn: Connection,
    lines: Sequence[ReportedLine],
    reported: Sequence[LineMonth],
    window: Window,
    *,
    now_ms: int,
    local: Callable[[int], datetime],
) -> Picture | None:
    """The day on which the longest outage began, for the line that had it."""
    told = [(incident, line) for line, month in zip(lines, reported, strict=True) for incident in month.incidents]
    if not told:
        return None
    incident, line = max(told, key=lambda entry: (entry[0].counted_ms, -entry[0].start_ms))
    day = local(incident.start_ms).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    start, end = (_local_midnight_ms(at, local) for at in (day, day + timedelta(days=1)))
    smoke = line_smoke(conn, line, Window(start_ms=start, end_ms=min(end, now_ms)), now_ms=now_ms)
    return Picture(line=line.name, day_ms=start, smoke=smoke)
