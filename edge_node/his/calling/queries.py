"""What the screen in the waiting room is made of. SQL stands here and nowhere else."""

from __future__ import annotations

from datetime import date

from edge_node.his.calling.rules import Shows, Waiting
from edge_node.his.reception.rules import Status
from edge_node.his.settings.model import CALL_SCREEN, of_rows
from edge_node.store.connection import Connection


def shows(conn: Connection) -> Shows:
    """How much the clinic lets the screen say."""
    row = conn.execute("SELECT value FROM setting WHERE key = :key", {"key": CALL_SCREEN}).fetchone()
    return of_rows({CALL_SCREEN: row["value"]} if row else {}).call_screen


def waiting(conn: Connection, queue_date: date) -> list[Waiting]:
    """Who waits or is with a doctor on a day, in the order of the rows.

    A release before this one wrote no time of the call: then the encounter's beginning stands for it.
    """
    rows = conn.execute(
        """
        SELECT registration.department_id, registration.queue_no, patient.name AS patient, registration.status,
               (SELECT level FROM triage WHERE triage.registration_id = registration.id
                ORDER BY at DESC, rowid DESC LIMIT 1) AS level,
               registration.follows IS NOT NULL AS returns,
               CASE WHEN encounter.id IS NOT NULL THEN coalesce(registration.called_at, encounter.started_at) END
                   AS called_at,
               registration.room, encounter.doctor_id, coalesce(staff.name, '') AS doctor
        FROM registration
        JOIN patient AS asked ON asked.id = registration.patient_id
        JOIN patient ON patient.id = coalesce(asked.merged_into, asked.id)
        LEFT JOIN encounter ON encounter.registration_id = registration.id
        LEFT JOIN staff ON staff.id = encounter.doctor_id
        WHERE registration.queue_date = :day AND registration.status IN ('waiting', 'with_doctor')
        ORDER BY registration.rowid
        """,
        {"day": queue_date.isoformat()},
    )
    return [
        Waiting(
            department_id=row["department_id"], queue_no=row["queue_no"], name=row["patient"],
            status=Status(row["status"]), level=row["level"], returns=bool(row["returns"]),
            called_at=row["called_at"], room=row["room"], doctor_id=row["doctor_id"], doctor=row["doctor"],
        )
        for row in rows
    ]  # fmt: skip
