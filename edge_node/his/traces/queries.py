"""SQL of the page that reads the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: each None is any. Times are UTC milliseconds, `until` not included; `patient_id` also finds what was
    done with the patient's registrations, encounters, prescriptions and orders."""

    staff_id: str | None = None
    patient_id: str | None = None
    action: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One row as it is shown. `staff_name` is empty for what was done before a sign-in or by the command line."""

    seq: int
    at: int
    clock_state: str
    staff_name: str
    staff_code: str
    station: str
    address: str
    action: str
    kind: str
    object_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom the object of a row is about: a patient by number, or a member of staff by name."""

    patient_id: str = ""
    words: str = ""


# Beyond every number and every time.
_LAST = 2**62
# A record with those that were merged into it; a merged one by its own number is itself.
_RECORDS = "SELECT id FROM patient WHERE id = :patient UNION ALL SELECT id FROM patient WHERE merged_into = :patient"
_PATIENTS_OBJECTS = f"""
    SELECT 'patient:' || id FROM ({_RECORDS})
    UNION ALL SELECT 'registration:' || id FROM registration WHERE patient_id IN ({_RECORDS})
    UNION ALL SELECT 'encounter:' || id FROM encounter WHERE patient_id IN ({_RECORDS})
    UNION ALL SELECT 'prescription:' || id FROM prescription WHERE patient_id IN ({_RECORDS})
    UNION ALL SELECT 'order:' || id FROM order_item WHERE patient_id IN ({_RECORDS})
"""
_PATIENT_OF = {
    "patient": "SELECT id, id AS patient_id FROM patient WHERE id IN (SELECT value FROM json_each(:ids))",
    "order": "SELECT id, patient_id FROM order_item WHERE id IN (SELECT value FROM json_each(:ids))",
    **{
        table: f"SELECT id, patient_id FROM {table} WHERE id IN (SELECT value FROM json_each(:ids))"
        for table in ("registration", "encounter", "prescription")
    },
}


def page(conn: Connection, wanted: Wanted, *, before: int | None, limit: int) -> list[Trace]:
    """The newest rows that are wanted, from before the number `before`."""
    first, last = _stretch(conn, wanted)
    asked = statement(wanted, before=before)
    rows = conn.execute(
        asked,
        {
            "before": before, "staff": wanted.staff_id, "action": wanted.action, "patient": wanted.patient_id,
            "since": wanted.since, "until": wanted.until, "first": first, "last": last, "limit": limit,
        },
    )  # fmt: skip
    found = []
    for row in rows:
        kind, _, object_id = row["object"].partition(":")
        found.append(
            Trace(
                seq=row["seq"], at=row["at"], clock_state=row["clock_state"], staff_name=row["staff_name"],
                staff_code=row["staff_code"], station=row["station"], address=row["address"], action=row["action"],
                kind=kind, object_id=object_id, detail=json.loads(row["detail"]),
            )
        )  # fmt: skip
    return found


def statement(wanted: Wanted, *, before: int | None) -> str:
    """The question, with only the conditions that are asked for: each is found by an index, or with none by its number.

    The planner knows nothing of how many rows there are of each, so it is told what to go by: a patient's few rows are
    sorted, and a day is a stretch of numbers, looked through by `_stretch`.
    """
    conditions = {
        "audit_log.seq < :before": before is not None,
        "audit_log.staff_id = :staff": wanted.staff_id is not None,
        # Said outright, for the index leaves out those that are most of the log.
        "audit_log.action = :action AND audit_log.action <> 'viewed'": wanted.action not in (None, "viewed"),
        "+audit_log.action = :action": wanted.action == "viewed",
        f"audit_log.object IN ({_PATIENTS_OBJECTS})": wanted.patient_id is not None,
        "audit_log.seq BETWEEN :first AND :last": wanted.since is not None or wanted.until is not None,
        # A clock that was set back leaves rows of other days in between.
        "+audit_log.at >= :since": wanted.since is not None,
        "+audit_log.at < :until": wanted.until is not None,
    }
    asked = " AND ".join(condition for condition, is_asked in conditions.items() if is_asked) or "1"
    source = "audit_log INDEXED BY audit_log_by_object" if wanted.patient_id is not None else "audit_log"
    return (
        "SELECT audit_log.seq, at, clock_state, coalesce(staff.name, '') AS staff_name, "
        "coalesce(staff.code, '') AS staff_code, station, address, action, object, detail "
        f"FROM {source} LEFT JOIN staff ON staff.id = audit_log.staff_id WHERE {asked} "
        "ORDER BY audit_log.seq DESC LIMIT :limit"
    )


STRETCH = "SELECT min(seq) AS first, max(seq) AS last FROM audit_log WHERE at >= :since AND at < :until"


def _stretch(conn: Connection, wanted: Wanted) -> tuple[int, int]:
    """The first and the last number of a time; all of them where none is asked for, none where it has no row."""
    if wanted.since is None and wanted.until is None:
        return 1, _LAST
    row = conn.execute(STRETCH, {"since": wanted.since or 0, "until": wanted.until or _LAST}).fetchone()
    return (row["first"], row["last"]) if row["first"] is not None else (1, 0)


def about(conn: Connection, traces: Iterable[Trace]) -> dict[tuple[str, str], About]:
    """Whom each object is about, by kind and id; one that is about nobody, or is gone, has no entry."""
    ids: dict[str, set[str]] = {}
    for trace in traces:
        ids.setdefault(trace.kind, set()).add(trace.object_id)
    found: dict[tuple[str, str], About] = {}
    for kind, select in _PATIENT_OF.items():
        if kind not in ids:
            continue
        rows = conn.execute(
            "SELECT of.id, of.patient_id, patient.mrn "
            f"FROM ({select}) AS of JOIN patient ON patient.id = of.patient_id",
            {"ids": json.dumps(sorted(ids[kind]))},
        )
        found |= {(kind, row["id"]): About(patient_id=row["patient_id"], words=row["mrn"]) for row in rows}
    rows = conn.execute(
        "SELECT id, name FROM staff WHERE id IN (SELECT value FROM json_each(:ids))",
        {"ids": json.dumps(sorted(ids.get("staff", ())))},
    )
    return found | {("staff", row["id"]): About(words=row["name"]) for row in rows}


def patient_by_number(conn: Connection, mrn: str) -> str | None:
    """The id of the patient with a record number."""
    row = conn.execute("SELECT id FROM patient WHERE mrn = :mrn", {"mrn": mrn}).fetchone()
    return str(row["id"]) if row else None


def number_of_patient(conn: Connection, patient_id: str) -> str | None:
    """The record number of a patient."""
    row = conn.execute("SELECT mrn FROM patient WHERE id = :id", {"id": patient_id}).fetchone()
    return str(row["mrn"]) if row else None
