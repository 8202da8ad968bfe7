"""`edge-node line history`: what happened to the lines, newest last, with the incidents that have evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import click

from edge_node.base.clock import SystemClock, utc_text
from edge_node.cli.main import Where, where_options
from edge_node.cli.node_file import check_line, node_history, parse_since
from edge_node.cli.output import answer, answer_json, table, talk
from edge_node.i18n import ENGLISH, reason_text, translate
from edge_node.journal import queries
from edge_node.journal.freeze import frozen
from edge_node.journal.incidents import LineIncident, known_lines, whole_incidents
from edge_node.journal.words import machine_time
from edge_node.orders import Maintenance
from edge_node.store.connection import Connection, Row
from monitoring.figures import clock
from monitoring.sla import Window

DEFAULT_SINCE = "2d"
# Shorter silences of the watcher are its restarts.
GAP_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened; `until_ms` is None while it lasts, and for what does not last."""

    at_ms: int
    subject: str
    what: str
    until_ms: int | None
    lasts: bool
    why: str
    incident: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a window holds."""

    window: Window
    transitions: tuple[Row, ...]
    incidents: tuple[LineIncident, ...]
    evidence: Mapping[str, str]
    works: tuple[Maintenance, ...]
    gaps: tuple[tuple[int, int], ...]


@click.command("history")
@click.argument("line", required=False)
@click.option("--since", default=DEFAULT_SINCE, show_default=True, help='So far back ("12h", "30d"), or a time.')
@click.option("--json", "as_json", is_flag=True)
@where_options
@click.pass_obj
def history(where: Where, line: str | None, since: str, as_json: bool) -> None:
    """What happened to the lines: changes and incidents with their reasons, newest last, in local time."""
    config = where.load()
    if line is not None:
        check_line(config, line)
    now_ms = SystemClock().wall_ms()
    window = Window(start_ms=parse_since(since, now_ms=now_ms), end_ms=now_ms)
    with node_history(config) as conn:
        told = read_history(conn, window, line=line, configured=[one.name for one in config.line])
    if as_json:
        answer_json(_document(told))
        return
    entries = sorted(_entries(told), key=lambda entry: entry.at_ms)
    if not entries:
        answer(f"nothing is recorded since {_local(window.start_ms)}")
    else:
        rows = [
            (_local(one.at_ms), one.subject, one.what, _lasted(one, now_ms), one.why, one.incident or "")
            for one in entries
        ]
        answer(table(("WHEN", "WHAT", "CHANGE", "LASTED", "WHY", "INCIDENT"), rows))
    if told.incidents:
        answer("\n" + table(("INCIDENT", "LINE", "STATE", "START", "LASTED", "COUNTED", "WHY", "EVIDENCE"),
                            [_incident_row(one, told.evidence) for one in told.incidents]))  # fmt: skip
        talk("edge-node line evidence INCIDENT writes one of them as a file for the carrier")


def read_history(conn: Connection, window: Window, *, line: str | None, configured: Sequence[str]) -> History:
    """The history of one line, or of all that are or were configured."""
    now_ms = window.end_ms
    names = sorted({*configured, *known_lines(conn, window.start_ms)}) if line is None else [line]
    rows = conn.execute(
        "SELECT * FROM transition WHERE at >= ? AND at < ? ORDER BY era, seq", (window.start_ms, window.end_ms)
    ).fetchall()
    incidents = [one for name in names for one in whole_incidents(conn, name, window, now_ms=now_ms)]
    return History(
        window=window,
        transitions=tuple(row for row in rows if row["kind"] == "mode" or line in (None, row["subject"])),
        incidents=tuple(sorted(incidents, key=lambda one: one.incident.start_ms)),
        evidence={one.incident: one.file for one in frozen(conn)},
        works=tuple(work for name in names for work in queries.maintenance(conn, name, window)),
        gaps=_gaps(queries.heard_spans(conn, window, now_ms=now_ms), window),
    )


def _gaps(spans: Sequence[tuple[int, int]], window: Window) -> tuple[tuple[int, int], ...]:
    """When nobody watched, between two times when somebody did, and since then."""
    ends = [(before[1], after[0]) for before, after in pairwise(spans)]
    ends += [(spans[-1][1], window.end_ms)] if spans else []
    return tuple((start, end) for start, end in ends if end - start >= GAP_MS and end > window.start_ms)


def _entries(told: History) -> list[Entry]:
    begins = {one.ref for one in told.incidents}
    rows = told.transitions
    found = []
    for n, row in enumerate(rows):
        later = next(
            (one for one in rows[n + 1 :] if (one["kind"], one["subject"]) == (row["kind"], row["subject"])), None
        )
        reason, ref = queries.reason_of(row), f"{row['era']}.{row['seq']}"
        found.append(
            Entry(
                at_ms=row["at"],
                subject=row["subject"],
                what=_change(row),
                until_ms=later["at"] if later is not None else None,
                lasts=row["kind"] in ("mode", "verdict"),
                why=_sentence(reason.code, reason.args),
                incident=ref if ref in begins else None,
            )
        )
    found += [
        Entry(at_ms=start, subject="watcher", what="nobody watched", until_ms=end if end < told.window.end_ms else None,
              lasts=True, why="what happened meanwhile is not known")
        for start, end in told.gaps
    ]  # fmt: skip
    found += [
        Entry(at_ms=work.start_ms, subject=work.line, what=_work(work), until_ms=work.until_ms, lasts=True,
              why=f"{work.why} (announced by {work.by})")
        for work in told.works
    ]  # fmt: skip
    return found


def _work(work: Maintenance) -> str:
    if work.cancelled_ms is not None:
        return f"maintenance {work.id} (taken back)"
    return f"maintenance {work.id}" + (" (announced afterwards)" if work.announced_ms > work.start_ms else "")


def _change(row: Row) -> str:
    before, after = row["from_state"], row["to_state"]
    if row["kind"] == "mode":
        before = f"{before} on {row['from_line']}" if row["from_line"] else before
        after = f"{after} on {row['to_line']}" if row["to_line"] else after
    if row["kind"] not in ("mode", "verdict"):
        return f"{row['kind']}: {before} -> {after}" if after else str(row["kind"])
    return f"{after} (still)" if before == after else f"{before} -> {after}"


def _lasted(entry: Entry, now_ms: int) -> str:
    if not entry.lasts:
        return ""
    end_ms = entry.until_ms
    if end_ms is None or end_ms > now_ms:
        return f"{clock(max(0, now_ms - entry.at_ms))} so far" if entry.at_ms < now_ms else "to come"
    return clock(max(0, end_ms - entry.at_ms))


def _incident_row(one: LineIncident, evidence: Mapping[str, str]) -> tuple[str, ...]:
    incident = one.incident
    lasted = clock(round(one.duration_s * 1000)) + (" so far" if one.end is None else "")
    return (
        one.ref, one.line, incident.state, _local(incident.start_ms), lasted,
        clock(incident.counted_ms), _sentence(incident.reason.code, incident.reason.args),
        "kept" if one.ref in evidence else "from the traces",
    )  # fmt: skip


def _local(at_ms: int) -> str:
    return f"{machine_time(at_ms):%Y-%m-%d %H:%M:%S}"


def _sentence(code: str, args: Mapping[str, Any]) -> str:
    return translate(reason_text(code, args), ENGLISH)


def _document(told: History) -> dict[str, Any]:
    return {
        "schema": 1,
        "since": utc_text(told.window.start_ms),
        "until": utc_text(told.window.end_ms),
        "transitions": [
            {"id": f"{row['era']}.{row['seq']}", "at": utc_text(row["at"]), "kind": row["kind"],
             "subject": row["subject"], "from": row["from_state"], "to": row["to_state"],
             "from_line": row["from_line"], "to_line": row["to_line"], "reason": _reason(row)}
            for row in told.transitions
        ],
        "incidents": [
            {"id": one.ref, "line": one.line, "state": one.incident.state, "start": utc_text(one.start.at_ms),
             "end": None if one.end is None else utc_text(one.end.at_ms), "duration_s": round(one.duration_s, 3),
             "counted_s": one.incident.counted_ms / 1000, "excluded_s": one.incident.excluded_ms / 1000,
             "unknown_s": one.incident.unknown_ms / 1000,
             "reason": {"code": one.incident.reason.code, "args": dict(one.incident.reason.args)},
             "evidence": told.evidence.get(one.ref)}
            for one in told.incidents
        ],
        "maintenance": [work.as_json() for work in told.works],
        "not_watched": [{"from": utc_text(start), "until": utc_text(end)} for start, end in told.gaps],
    }  # fmt: skip


def _reason(row: Row) -> dict[str, Any]:
    reason = queries.reason_of(row)
    return {"code": reason.code, "args": dict(reason.args)}
