"""Two records of one person, in his.db: which were merged into which, and since when. SQL stands here and in `queries`.

    patient_merge           what people said: this record into that one, by whom and why, and when it was undone
    patient.merged_into     what follows from it: the record that stands for the person, always one step away

Nothing is moved: every visit, sheet and allergy stays with the record that it was written for, and whoever reads asks
for all records of a person (`queries.RECORDS_SQL`). So undoing gives each its own again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ulid import ULID

from edge_node.his.patients import queries
from edge_node.his.patients.queries import COLUMNS, Patient, from_row
from edge_node.his.reception.rules import queue_label
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merge that holds. `at` is UTC milliseconds, `by` the name of who did it."""

    merged: Patient
    at: int
    by: str
    reason: str


def of_person(conn: Connection, patient_id: str) -> list[Merge]:
    """The merges that made this record stand for its person, the newest first."""
    rows = conn.execute(
        f"""
        SELECT {COLUMNS}, patient_merge.at, staff.name AS by_name, patient_merge.reason
        FROM patient
        JOIN patient_merge ON patient_merge.merged_id = patient.id AND patient_merge.undone_at IS NULL
        JOIN staff ON staff.id = patient_merge.by
        WHERE patient.merged_into = :id
        ORDER BY patient_merge.rowid DESC
        """,
        {"id": patient_id},
    ).fetchall()
    return [Merge(merged=from_row(row), at=row["at"], by=row["by_name"], reason=row["reason"]) for row in rows]


def join(conn: Connection, *, kept_id: str, merged_id: str, at: int, by: str, reason: str) -> Patient:
    """Merge a record into one that stands for its person; what was merged into it before follows. The merged record.

    Its version goes up, since what receivers are told of it is another thing now.
    """
    conn.execute(
        "INSERT INTO patient_merge (id, kept_id, merged_id, at, by, reason) "
        "VALUES (:id, :kept, :merged, :at, :by, :reason)",
        {
            "id": str(ULID.from_timestamp(at)), "kept": kept_id, "merged": merged_id, "at": at, "by": by,
            "reason": reason,
        },
    )  # fmt: skip
    conn.execute(
        "UPDATE patient SET merged_into = :kept WHERE merged_into = :merged", {"kept": kept_id, "merged": merged_id}
    )
    return _leads_to(conn, merged_id, kept_id, at)


def part(conn: Connection, *, merged_id: str, at: int, by: str, reason: str) -> Patient | None:
    """Undo the merge of a record, with what had been merged into it itself; None where no merge of it holds."""
    undone = conn.execute(
        "UPDATE patient_merge SET undone_at = :at, undone_by = :by, undone_reason = :reason "
        "WHERE merged_id = :merged AND undone_at IS NULL",
        {"merged": merged_id, "at": at, "by": by, "reason": reason},
    ).rowcount
    if not undone:
        return None
    conn.execute(
        """
        WITH RECURSIVE below (id) AS (
            SELECT merged_id FROM patient_merge WHERE kept_id = :merged AND undone_at IS NULL
            UNION
            SELECT merged_id FROM below JOIN patient_merge ON kept_id = below.id AND undone_at IS NULL
        )
        UPDATE patient SET merged_into = :merged WHERE id IN (SELECT id FROM below)
        """,
        {"merged": merged_id},
    )
    return _leads_to(conn, merged_id, None, at)


def _leads_to(conn: Connection, merged_id: str, kept_id: str | None, at: int) -> Patient:
    conn.execute(
        "UPDATE patient SET merged_into = :kept, version = version + 1, updated_at = :at WHERE id = :merged",
        {"kept": kept_id, "merged": merged_id, "at": at},
    )
    merged = queries.get(conn, merged_id)
    assert merged is not None, "it was changed in this transaction"
    return merged


def open_visits(conn: Connection, patient_id: str, day: date) -> list[str]:
    """The queue numbers under which a person waits or is with a doctor on a day, as they are called out."""
    rows = conn.execute(
        f"""
        SELECT department.mark, registration.queue_no FROM registration
        JOIN department ON department.id = registration.department_id
        WHERE registration.patient_id IN ({queries.RECORDS_SQL}) AND registration.queue_date = :day
          AND registration.status IN ('waiting', 'with_doctor')
        ORDER BY registration.rowid
        """,
        {"id": patient_id, "day": day.isoformat()},
    )
    return [queue_label(row["mark"], row["queue_no"]) for row in rows]
