"""What enforce would have done, as JSON and CSV; `observe_page.py` has the page."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.observe import Bridged, Moved, Observed, ObservedLine
from monitoring.report import utc

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveReport:
    """The figures and whose they are."""

    node_id: str
    node_name: str | None
    version: str
    generated_ms: int
    observed: Observed


def as_document(report: ObserveReport) -> dict[str, Any]:
    """The report for machines; durations in seconds, times in UTC."""
    document = _document(report)
    return {**document, "sha256": _digest(document)}


def digest(report: ObserveReport) -> str:
    """SHA-256 of the report for machines, without this entry itself."""
    return _digest(_document(report))


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _document(report: ObserveReport) -> dict[str, Any]:
    seen = report.observed
    return {
        "schema": SCHEMA,
        "node": {"id": report.node_id, "name": report.node_name, "version": report.version},
        "from": utc(seen.window.start_ms),
        "until": utc(seen.window.end_ms),
        "generated_at": utc(report.generated_ms),
        "enforced": seen.is_enforced,
        "main": {"line": seen.main, "seen": seen.is_main_seen},
        "advice": seen.advice,
        "known_s": seen.known_ms / 1000,
        "outages": len(seen.outages),
        "bridged": len(seen.bridged),
        "bridged_s": seen.bridged_ms / 1000,
        "switches": seen.switches,
        "hasty": seen.hasty,
        "lines": [_line(line) for line in seen.lines],
        "moves": [_move(move) for move in seen.moves],
        "outages_of_main": [_outage(outage) for outage in seen.outages],
        "days": [{"from": utc(day), "switches": count} for day, count in seen.by_day],
    }


def _line(line: ObservedLine) -> dict[str, Any]:
    times = line.account.by_state
    return {
        "name": line.name,
        "carrier": line.carrier,
        **{f"{state}_s": times.get(state, 0) / 1000 for state in ("up", "degraded", "down")},
        "unknown_s": line.account.unknown_ms / 1000,
        "cloud_s": line.account.excluded_ms / 1000,
        "used_s": line.used_ms / 1000,
        "left": line.left,
        "left_in_a_day": line.left_in_a_day,
        "left_hastily": line.left_hastily,
    }


def _move(move: Moved) -> dict[str, Any]:
    reason = move.decided.reason
    return {
        "at": utc(move.decided.at_ms),
        "from": move.left,
        "to": move.decided.to_line,
        "stayed_s": None if move.stayed_ms is None else move.stayed_ms / 1000,
        "bridged_s": move.bridged_ms / 1000,
        "hasty": move.is_hasty,
        "reason": {"code": reason.code, "args": dict(reason.args)},
    }


def _outage(bridged: Bridged) -> dict[str, Any]:
    outage = bridged.outage
    return {
        "id": outage.ref,
        "start": utc(outage.start_ms),
        "end": None if outage.goes_on else utc(outage.end_ms),
        "duration_s": outage.duration_ms / 1000,
        "bridged_s": bridged.bridged_ms / 1000,
        "by": list(bridged.by),
        "reason": {"code": outage.reason.code, "args": dict(outage.reason.args)},
    }


# One row per line, one per move, per outage and per day; a column that says nothing of a row is empty.
COLUMNS = (
    "kind", "name", "carrier", "at_utc", "until_utc", "from", "to", "up_s", "degraded_s", "down_s", "unknown_s",
    "used_s", "left", "left_in_a_day", "left_hastily", "stayed_s", "duration_s", "bridged_s", "hasty", "switches",
    "reason",
)  # fmt: skip


def as_csv(report: ObserveReport) -> str:
    """The report for a spreadsheet."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    for row in _rows(report):
        writer.writerow({column: _cell(value) for column, value in row.items()})
    return out.getvalue()


def _rows(report: ObserveReport) -> Iterator[dict[str, Any]]:
    document = _document(report)
    yield {
        "kind": "node", "name": report.node_id, "at_utc": document["from"], "until_utc": document["until"],
        "bridged_s": document["bridged_s"], "switches": document["switches"], "reason": document["advice"],
    }  # fmt: skip
    yield from ({**line, "kind": "line"} for line in document["lines"])
    for move in document["moves"]:
        yield {**move, "kind": "move", "at_utc": move["at"], "reason": move["reason"]["code"]}
    for outage in document["outages_of_main"]:
        yield {
            **outage, "kind": "outage", "name": document["main"]["line"], "at_utc": outage["start"],
            "until_utc": outage["end"] or "", "to": " ".join(outage["by"]), "reason": outage["reason"]["code"],
        }  # fmt: skip
    yield from ({"kind": "day", "at_utc": day["from"], "switches": day["switches"]} for day in document["days"])


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets a mark before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
