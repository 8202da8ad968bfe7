"""The SLA report of a month as a value, and as JSON and CSV; `report_page.py` has the page that is printed.

What is left out, what is unknown and what was promised stand beside every figure, so that a carrier can check it. The
digest is that of the JSON: who has a printed page and the file can tell that they belong together.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitoring.sla import (
    Account,
    Bar,
    Exclusion,
    Incident,
    Repairs,
    Window,
    against_availability,
    against_most,
    overall,
    repairs,
)
from monitoring.smoke import Smoke

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the carrier has promised; None for nothing."""

    availability: float | None = None
    rtt_p95_s: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the probes measured: delays over the month, losses outside the outages. None where nothing was measured."""

    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    jitter_p95_s: float | None = None
    loss: float | None = None
    loss_out: float | None = None
    loss_back: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """Work on a line that was announced, and by whom; said after it began, that is for the reader to know."""

    start_ms: int
    end_ms: int
    announced_ms: int
    by: str
    why: str

    @property
    def is_afterwards(self) -> bool:
        return self.announced_ms > self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMonth:
    """A line in the window of the report. `smoke` is drawn; its figures stand in the others."""

    name: str
    carrier: str | None
    circuit: str | None
    promise: Promise
    account: Account
    incidents: tuple[Incident, ...]
    quality: Quality
    smoke: Smoke | None = None
    announced: tuple[Announced, ...] = ()

    @property
    def repairs(self) -> Repairs:
        return repairs(self.incidents, self.account.good_ms)

    @property
    def bars(self) -> Mapping[str, Bar]:
        """Each promise against what was measured."""
        return {
            "availability": against_availability(self.promise.availability, self.account),
            "rtt_p95": against_most(self.promise.rtt_p95_s, self.quality.p95_s),
            "loss": against_most(self.promise.loss, self.quality.loss),
        }

    @property
    def verdict(self) -> Bar:
        return overall(self.bars.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The day of the longest outage, drawn."""

    line: str
    day_ms: int
    smoke: Smoke


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A restore drill of the clinic's copies. `rto_s` is how long the restore took, None where nothing came back."""

    destination: str
    at_ms: int
    is_ok: bool
    outcome: str
    rto_s: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaMonth:
    """The report as a value. `month` is 2026-10; a window that ends before the month does is a report so far."""

    node_id: str
    node_name: str | None
    version: str
    month: str
    window: Window
    is_complete: bool
    generated_ms: int
    lines: tuple[LineMonth, ...]
    service: Account
    service_incidents: tuple[Incident, ...]
    switches: int
    picture: Picture | None = None
    drills: tuple[Drill, ...] = ()


def as_document(month: SlaMonth) -> dict[str, Any]:
    """The report for machines; durations in seconds, shares from 0 to 1, times in UTC."""
    document = _document(month)
    return {**document, "sha256": _digest(document)}


def digest(month: SlaMonth) -> str:
    """SHA-256 of the report for machines, without this entry itself."""
    return _digest(_document(month))


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _document(month: SlaMonth) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "node": {"id": month.node_id, "name": month.node_name, "version": month.version},
        "month": month.month,
        "from": utc(month.window.start_ms),
        "until": utc(month.window.end_ms),
        "complete": month.is_complete,
        "generated_at": utc(month.generated_ms),
        "lines": [_line(line) for line in month.lines],
        "service": {
            **_account(month.service),
            "switches": month.switches,
            "incidents": [_incident(incident) for incident in month.service_incidents],
        },
        "drills": [
            {"destination": one.destination, "at": utc(one.at_ms), "ok": one.is_ok, "outcome": one.outcome,
             "rto_s": one.rto_s, "why": one.why}
            for one in month.drills
        ],
    }  # fmt: skip


def _line(line: LineMonth) -> dict[str, Any]:
    mended, quality = line.repairs, line.quality
    return {
        "name": line.name,
        "carrier": line.carrier,
        "circuit": line.circuit,
        "verdict": line.verdict,
        "bars": {
            "availability": {"promised": line.promise.availability, "verdict": line.bars["availability"]},
            "rtt_p95_s": {"promised": line.promise.rtt_p95_s, "verdict": line.bars["rtt_p95"]},
            "loss": {"promised": line.promise.loss, "verdict": line.bars["loss"]},
        },
        **_account(line.account),
        "incidents_counted": mended.count,
        "mttr_s": mended.mttr_s,
        "mtbf_s": mended.mtbf_s,
        "longest_s": mended.longest_s,
        "rtt_p50_s": quality.p50_s,
        "rtt_p95_s": quality.p95_s,
        "rtt_p99_s": quality.p99_s,
        "jitter_p95_s": quality.jitter_p95_s,
        "loss": quality.loss,
        "loss_out": quality.loss_out,
        "loss_back": quality.loss_back,
        "incidents": [_incident(incident) for incident in line.incidents],
        "maintenance": [_announced(work) for work in line.announced],
    }


def _announced(work: Announced) -> dict[str, Any]:
    return {
        "start": utc(work.start_ms),
        "end": utc(work.end_ms),
        "announced_at": utc(work.announced_ms),
        "afterwards": work.is_afterwards,
        "by": work.by,
        "why": work.why,
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "availability": account.availability,
        "availability_lowest": account.lowest,
        "availability_highest": account.highest,
        "seconds": {state: ms / 1000 for state, ms in sorted(account.by_state.items())},
        "excluded_seconds": {why: account.excluded.get(why, 0) / 1000 for why in Exclusion},
        "unknown_seconds": account.unknown_ms / 1000,
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.ref,
        "start": utc(incident.start_ms),
        "end": None if incident.goes_on else utc(incident.end_ms),
        "began_before": incident.began_before,
        "duration_s": incident.duration_ms / 1000,
        "counted_s": incident.counted_ms / 1000,
        "excluded_s": incident.excluded_ms / 1000,
        "unknown_s": incident.unknown_ms / 1000,
        "reason": {"code": incident.reason.code, "args": dict(incident.reason.args)},
    }


# A row per line, one for the service, one per announced work, incident and drill; a column without a word is empty.
COLUMNS = (
    "kind", "name", "carrier", "circuit", "month", "from_utc", "until_utc", "verdict",
    "availability", "availability_promised", "up_s", "degraded_s", "down_s", "unknown_s",
    "excluded_maintenance_s", "excluded_cloud_s", "excluded_blind_s",
    "incidents", "mttr_s", "mtbf_s", "longest_s",
    "rtt_p50_ms", "rtt_p95_ms", "rtt_p95_promised_ms", "rtt_p99_ms", "jitter_p95_ms",
    "loss", "loss_promised", "loss_out", "loss_back",
    "online_s", "backup_s", "offline_s", "switches",
    "id", "duration_s", "counted_s", "reason", "by", "announced_utc", "rto_s",
)  # fmt: skip


def as_csv(month: SlaMonth) -> str:
    """The report for a spreadsheet."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(month):
        writer.writerow({column: _cell(value) for column, value in row.items()})
    return out.getvalue()


def _rows(month: SlaMonth) -> Iterator[dict[str, Any]]:
    common = {"month": month.month, "from_utc": utc(month.window.start_ms), "until_utc": utc(month.window.end_ms)}
    for line in month.lines:
        mended, quality = line.repairs, line.quality
        yield {
            **common, **_times(line.account, ("up", "degraded", "down")),
            "kind": "line", "name": line.name, "carrier": line.carrier, "circuit": line.circuit,
            "verdict": line.verdict, "availability_promised": line.promise.availability,
            "incidents": mended.count, "mttr_s": mended.mttr_s, "mtbf_s": mended.mtbf_s,
            "longest_s": mended.longest_s,
            "rtt_p50_ms": _ms(quality.p50_s), "rtt_p95_ms": _ms(quality.p95_s),
            "rtt_p95_promised_ms": _ms(line.promise.rtt_p95_s), "rtt_p99_ms": _ms(quality.p99_s),
            "jitter_p95_ms": _ms(quality.jitter_p95_s), "loss": quality.loss, "loss_promised": line.promise.loss,
            "loss_out": quality.loss_out, "loss_back": quality.loss_back,
        }  # fmt: skip
    yield {
        **common, **_times(month.service, ("online", "backup", "offline")),
        "kind": "service", "name": month.node_id, "incidents": len(month.service_incidents),
        "switches": month.switches,
    }  # fmt: skip
    for line in month.lines:
        for work in line.announced:
            yield {
                "kind": "maintenance", "name": line.name, "carrier": line.carrier, "month": month.month,
                "from_utc": utc(work.start_ms), "until_utc": utc(work.end_ms),
                "duration_s": (work.end_ms - work.start_ms) / 1000, "reason": work.why, "by": work.by,
                "announced_utc": utc(work.announced_ms),
            }  # fmt: skip
    told = [(line.name, line.carrier, incident) for line in month.lines for incident in line.incidents]
    told += [(month.node_id, None, incident) for incident in month.service_incidents]
    for name, carrier, incident in told:
        yield {
            "kind": "incident", "name": name, "carrier": carrier, "month": month.month,
            "from_utc": utc(incident.start_ms), "until_utc": "" if incident.goes_on else utc(incident.end_ms),
            "id": incident.ref, "duration_s": incident.duration_ms / 1000, "counted_s": incident.counted_ms / 1000,
            "reason": incident.reason.code,
        }  # fmt: skip
    for one in month.drills:
        yield {
            "kind": "drill", "name": one.destination, "month": month.month, "from_utc": utc(one.at_ms),
            "verdict": one.outcome, "rto_s": one.rto_s, "reason": one.why,
        }  # fmt: skip


def _times(account: Account, states: tuple[str, ...]) -> dict[str, Any]:
    return {
        "availability": account.availability,
        "unknown_s": account.unknown_ms / 1000,
        **{f"{state}_s": account.by_state.get(state, 0) / 1000 for state in states},
        **{f"excluded_{why}_s": account.excluded.get(why, 0) / 1000 for why in Exclusion},
    }


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"
    text = str(value)
    # A spreadsheet would take it for a formula.
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def utc(at_ms: int) -> str:
    """RFC 3339 to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
