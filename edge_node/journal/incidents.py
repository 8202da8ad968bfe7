"""Incidents whole: with the name by which an operator asks for them, wherever a window would have cut them.

An incident is called by the era and the number of its first transition, such as 1.42; that never changes, and is the
`id` of the SLA report as well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_node.journal import queries
from edge_node.journal.rollup import HOUR_MS
from edge_node.store.connection import Connection, Row
from monitoring.sla import Incident, Reason, Window

STATES = ("down", "degraded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Where an incident begins or ends. `boottime` is by a clock that nobody sets; None where no transition tells."""

    at_ms: int
    boot_id: str | None = None
    boottime: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineIncident:
    """An incident of a line with its edges; `end` is None while it goes on."""

    line: str
    incident: Incident
    start: Edge
    end: Edge | None

    @property
    def ref(self) -> str:
        return self.incident.ref

    @property
    def duration_s(self) -> float:
        """By boot time where both edges are of one boot: setting the wall clock makes no incident longer."""
        if self.has_boottime:
            assert self.end is not None and self.end.boottime is not None and self.start.boottime is not None
            return self.end.boottime - self.start.boottime
        return self.incident.duration_ms / 1000

    @property
    def has_boottime(self) -> bool:
        end = self.end
        return end is not None and end.boottime is not None and end.boot_id == self.start.boot_id


def whole_incidents(
    conn: Connection, line: str, window: Window, *, now_ms: int, states: Collection[str] = STATES
) -> tuple[LineIncident, ...]:
    """The incidents that reach into a window, each from its beginning, oldest first."""
    (first,) = conn.execute("SELECT min(at) FROM transition WHERE kind = 'verdict' AND subject = ?", (line,)).fetchone()
    if first is None:
        return ()
    start_ms, step_ms = window.start_ms, HOUR_MS
    while True:
        whole = Window(start_ms=start_ms, end_ms=window.end_ms)
        found = queries.line_incidents(conn, line, whole, now_ms=now_ms, states=states)
        if start_ms <= first or not any(one.began_before for one in found):
            break
        start_ms, step_ms = max(start_ms - step_ms, int(first)), step_ms * 4
    inside = [replace(one, began_before=False) for one in found if one.end_ms > window.start_ms]
    inside += _out_of_order(conn, line, window, inside, states)
    return tuple(sorted((_with_edges(conn, line, one) for one in inside), key=lambda one: one.incident.start_ms))


def find(conn: Connection, ref: str, *, now_ms: int) -> LineIncident | None:
    """The incident that this transition began, or belongs to; None where there is none."""
    row = _transition(conn, ref)
    if row is None or row["kind"] != "verdict" or row["to_state"] not in STATES:
        return None
    at = int(row["at"])
    found = whole_incidents(conn, row["subject"], Window(start_ms=at - HOUR_MS, end_ms=now_ms), now_ms=now_ms)
    named = next((one for one in found if one.ref == ref), None)
    return named or next(
        (one for one in found if one.incident.state == row["to_state"]
         and one.incident.start_ms <= at < one.incident.end_ms), None
    )  # fmt: skip


def known_lines(conn: Connection, since_ms: int) -> list[str]:
    """Every line of which something was believed since then, whatever the configuration has now."""
    rows = conn.execute(
        "SELECT DISTINCT subject FROM transition WHERE kind = 'verdict' AND at >= ? ORDER BY subject", (since_ms,)
    )
    return [str(name) for (name,) in rows]


def verdict_at(conn: Connection, line: str, edge: Edge) -> dict[str, Any]:
    """What was believed of a line at a moment: the last transition before it, in the order in which it was told."""
    if edge.boottime is not None:
        row = conn.execute(
            "SELECT * FROM transition WHERE kind = 'verdict' AND subject = ? AND boot_id = ? AND boottime <= ? "
            "ORDER BY era DESC, seq DESC LIMIT 1",
            (line, edge.boot_id, edge.boottime),
        ).fetchone()
    else:
        row = conn.execute(
            "SELECT * FROM transition WHERE kind = 'verdict' AND subject = ? AND at <= ? "
            "ORDER BY era DESC, seq DESC LIMIT 1",
            (line, edge.at_ms),
        ).fetchone()
    if row is None:
        return {"verdict": "unknown", "since_ms": None, "reason": Reason()}
    return {"verdict": row["to_state"], "since_ms": int(row["at"]), "reason": queries.reason_of(row)}


def transitions_of(conn: Connection, one: LineIncident) -> list[Row]:
    """What was told from the beginning of an incident to its end, of everything, in order."""
    era, seq = (int(part) for part in one.ref.split("."))
    rows: list[Row] = conn.execute(
        "SELECT * FROM transition WHERE (era, seq) >= (?, ?) ORDER BY era, seq LIMIT 500", (era, seq)
    ).fetchall()
    end = one.end
    if end is None:
        return rows
    last = next((n for n, row in enumerate(rows) if _is_edge(row, end) and row["subject"] == one.line), None)
    return rows[: last + 1] if last is not None else [row for row in rows if row["at"] <= end.at_ms]


def _is_edge(row: Row, edge: Edge) -> bool:
    return bool(row["kind"] == "verdict" and row["boot_id"] == edge.boot_id and row["boottime"] == edge.boottime)


def _transition(conn: Connection, ref: str) -> Row | None:
    era, _, seq = ref.partition(".")
    if not (era.isdecimal() and seq.isdecimal()):
        return None
    row: Row | None = conn.execute(
        "SELECT * FROM transition WHERE era = ? AND seq = ?", (int(era), int(seq))
    ).fetchone()
    return row


def _later(conn: Connection, line: str, row: Row) -> Sequence[Row]:
    found: list[Row] = conn.execute(
        "SELECT * FROM transition WHERE kind = 'verdict' AND subject = ? AND (era, seq) > (?, ?) ORDER BY era, seq "
        "LIMIT 200",
        (line, row["era"], row["seq"]),
    ).fetchall()
    return found


def _with_edges(conn: Connection, line: str, one: Incident) -> LineIncident:
    row = _transition(conn, one.ref)
    assert row is not None, "every interval has the transition that began it"
    start = Edge(at_ms=one.start_ms, boot_id=row["boot_id"] or None, boottime=float(row["boottime"]))
    if row["at"] != one.start_ms or not row["boot_id"]:
        start = Edge(at_ms=one.start_ms)  # nobody was there to see its very beginning
    if one.goes_on:
        return LineIncident(line=line, incident=one, start=start, end=None)
    for later in _later(conn, line, row):
        if later["to_state"] != one.state:
            ends_it = later["at"] == one.end_ms
            end = Edge(at_ms=one.end_ms, boot_id=later["boot_id"] or None, boottime=float(later["boottime"]))
            return LineIncident(line=line, incident=one, start=start, end=end if ends_it else Edge(at_ms=one.end_ms))
    return LineIncident(line=line, incident=one, start=start, end=Edge(at_ms=one.end_ms))


def _out_of_order(
    conn: Connection, line: str, window: Window, known: Sequence[Incident], states: Collection[str]
) -> list[Incident]:
    """What ended before it began, by a clock that was set back meanwhile: for the account it is unknown time, and yet
    it happened."""
    rows = conn.execute(
        "SELECT * FROM transition WHERE kind = 'verdict' AND subject = ? AND at >= ? AND at < ? ORDER BY era, seq",
        (line, window.start_ms, window.end_ms),
    ).fetchall()
    refs, found = {one.ref for one in known}, []
    for row in rows:
        ref = f"{row['era']}.{row['seq']}"
        if row["to_state"] not in states or row["from_state"] == row["to_state"] or ref in refs:
            continue
        later = next((one for one in _later(conn, line, row) if one["to_state"] != row["to_state"]), None)
        if later is not None and later["at"] < row["at"] and later["boot_id"] == row["boot_id"]:
            found.append(
                Incident(start_ms=row["at"], end_ms=later["at"], state=row["to_state"], reason=queries.reason_of(row),
                         ref=ref, counted_ms=0)
            )  # fmt: skip
    return found
