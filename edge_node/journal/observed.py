"""What the watcher decided in a time, from the journal, as the value of the report on observing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from edge_node.journal import queries
from edge_node.journal.month import ReportedLine
from edge_node.store.connection import Connection
from monitoring.observe import Decided, Observed, Told, Use, observe
from monitoring.sla import LINE, SERVICE, Excluded, Exclusion, Reason, Window, account, timeline

_STARTING = "starting"


def observed(
    conn: Connection,
    lines: Sequence[ReportedLine],
    window: Window,
    *,
    main: str,
    is_main_seen: bool,
    is_enforced: bool,
    now_ms: int,
    local: Callable[[int], datetime],
) -> Observed:
    """The window as far as it has come."""
    window = Window(start_ms=window.start_ms, end_ms=min(window.end_ms, now_ms))
    modes = timeline(queries.mode_intervals(conn, window, now_ms=now_ms), window, kinds=SERVICE)
    known = account(modes, window, kinds=SERVICE)
    return observe(
        window,
        is_enforced=is_enforced,
        main=main,
        is_main_seen=is_main_seen,
        lines=[_told(conn, line, window, now_ms=now_ms) for line in lines],
        decided=tuple(_decided(conn, window)),
        uses=[
            Use(start_ms=use.start_ms, end_ms=use.end_ms, line=use.line)
            for use in queries.in_use(conn, window, now_ms=now_ms)
        ],
        known_ms=known.good_ms + known.bad_ms,
        days=tuple(_days(window, local)),
    )


def _told(conn: Connection, line: ReportedLine, window: Window, *, now_ms: int) -> Told:
    """What was believed of a line. Announced work is no excuse here: another line could have carried it."""
    intervals = queries.line_intervals(conn, line.name, window, now_ms=now_ms)
    cloud = (
        Excluded(start_ms=one.start_ms, end_ms=one.end_ms, why=Exclusion.CLOUD)
        for one in intervals
        if one.reason.code in queries.CLOUD_REASONS
    )
    return Told(name=line.name, carrier=line.carrier, pieces=timeline(intervals, window, cloud, kinds=LINE))


def _decided(conn: Connection, window: Window) -> Iterator[Decided]:
    """The decisions of the window, and before them the line that was used when it began."""
    before = conn.execute(
        "SELECT at, to_line FROM transition WHERE kind = 'mode' AND at < ? AND to_line IS NOT NULL "
        "ORDER BY era DESC, seq DESC LIMIT 1",
        (window.start_ms,),
    ).fetchone()
    if before is not None:
        yield Decided(at_ms=before["at"], to_line=before["to_line"], reason=Reason(), is_start=True)
    for row in conn.execute(
        "SELECT * FROM transition WHERE kind = 'mode' AND at >= ? AND at < ? ORDER BY era, seq",
        (window.start_ms, window.end_ms),
    ):
        yield Decided(
            at_ms=row["at"],
            to_line=row["to_line"],
            reason=queries.reason_of(row),
            is_start=row["from_state"] == _STARTING,
        )


def _days(window: Window, local: Callable[[int], datetime]) -> Iterator[int]:
    """The window's beginning, and each local midnight in it."""
    yield window.start_ms
    day = local(window.start_ms).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    while (at_ms := _midnight_ms(day := day + timedelta(days=1), local)) < window.end_ms:
        yield at_ms


def _midnight_ms(day: datetime, local: Callable[[int], datetime]) -> int:
    """The moment at which the clock on the wall shows this midnight; guessed with the offset of the guess, twice."""
    naive_ms = guess = round((day - datetime(1970, 1, 1)).total_seconds() * 1000)
    for _ in range(2):
        guess = naive_ms - round((local(guess).utcoffset() or timedelta()).total_seconds() * 1000)
    return guess
