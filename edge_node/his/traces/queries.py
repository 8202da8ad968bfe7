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
    done with the patient's registrations, encounters and prescriptions."""

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


_PATIENTS_OBJECTS = """
    SELECT 'patient:' || :patient
    UNION ALL SELECT 'registration:' || id FROM registration WHERE patient_id = :patient
    UNION ALL SELECT 'encounter:' || id FROM encounter WHERE patient_id = :patient
    UNION ALL SELECT 'prescription:' || id FROM prescription WHERE patient_id = :patient
"""
_PATIENT_OF = {
    "patient": "SELECT id, id AS patient_id FROM patient WHERE id IN (SELECT value FROM json_each(:ids))",
    **{
        table: f"SELECT id, patient_id FROM {table} WHERE id IN (SELECT value FROM json_each(:ids))"
        for table in ("registration", "encounter", "prescription")
    },
}


def page(conn: Connection, wanted: Wanted, *, before: int | None, limit: int) -> list[Trace]:
    """The newest rows that are wanted, from before the number `before`."""
    # Only the conditions that are asked for, so that a page without any reads its own rows and no more.
    conditions = {
        "audit_log.seq < :before": before,
        "audit_log.staff_id = :staff": wanted.staff_id,
        "audit_log.action = :action": wanted.action,
        f"audit_log.object IN ({_PATIENTS_OBJECTS})": wanted.patient_id,
        "audit_log.at >= :since": wanted.since,
        "audit_log.at < :until": wanted.until,
    }
    asked = " AND ".join(condition for condition, value in conditions.items() if value is not None) or "1"
    rows = conn.execute(
        "SELECT audit_log.seq, at, clock_state, coalesce(staff.name, '') AS staff_name, "
        "coalesce(staff.code, '') AS staff_code, station, address, action, object, detail "
        f"FROM audit_log LEFT JOIN staff ON staff.id = audit_log.staff_id WHERE {asked} "
        "ORDER BY audit_log.seq DESC LIMIT :limit",
        {
            "before": before, "staff": wanted.staff_id, "action": wanted.action, "patient": wanted.patient_id,
            "since": wanted.since, "until": wanted.until, "limit": limit,
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
