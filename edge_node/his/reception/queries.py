"""Departments, registrations and the queue of a day. SQL stands here and nowhere else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from ulid import ULID

from edge_node.his.numbering import queue_floor
from edge_node.his.patients import queries as patients
from edge_node.his.patients.queries import Patient
from edge_node.his.reception.rules import Kind, Status, may_become, urgency
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A department; its mark (内) stands before its queue numbers."""

    id: str
    code: str
    mark: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """A doctor who can be asked for, and how many wait for them."""

    id: str
    name: str
    department_id: str
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One registration as the queue shows it. `patient` is the record that stands for the person, whichever of theirs
    the visit hangs on. `doctor_name` is None while any doctor of the department will do."""

    registration_id: str
    visit_no: str
    mark: str
    queue_no: int
    queue_date: date
    patient: Patient
    department: Department
    doctor_id: str | None
    doctor_name: str | None
    status: Status
    registered_at: int
    kind: Kind
    # Of the newest triage, 1 is the most urgent; None before the first.
    level: int | None = None
    # The visit of the same day that this one returns to; when the patient was called last, and to which room.
    follows: str | None = None
    called_at: int | None = None
    room: str = ""


def departments(conn: Connection) -> list[Department]:
    """The departments that are open, in the clinic's order."""
    rows = conn.execute("SELECT id, code, mark, name, name_en FROM department WHERE active ORDER BY rank, code")
    return [Department(id=r[0], code=r[1], mark=r[2], name=r[3], name_en=r[4]) for r in rows]


def doctors(conn: Connection, queue_date: date) -> list[Doctor]:
    """Doctors who have a department, by department and name, with who waits for them by name on that day."""
    rows = conn.execute(
        """
        SELECT staff.id, staff.name, staff.department_id,
               (SELECT count(*) FROM registration WHERE doctor_id = staff.id AND queue_date = :day
                  AND status = 'waiting' AND department_id = staff.department_id)
        FROM staff
        JOIN staff_role ON staff_role.staff_id = staff.id AND staff_role.role = 'doctor'
        JOIN department ON department.id = staff.department_id AND department.active
        WHERE staff.active
        ORDER BY department.rank, staff.code
        """,
        {"day": queue_date.isoformat()},
    )
    return [Doctor(id=r[0], name=r[1], department_id=r[2], waiting=r[3]) for r in rows]


_ENTRY = f"""
    SELECT {patients.COLUMNS},
           registration.id, registration.visit_no, registration.queue_no, registration.queue_date,
           registration.doctor_id, staff.name, registration.status, registration.registered_at, registration.kind,
           (SELECT level FROM triage WHERE triage.registration_id = registration.id
            ORDER BY at DESC, rowid DESC LIMIT 1),
           registration.follows, registration.called_at, registration.room,
           department.id, department.code, department.mark, department.name, department.name_en
    FROM registration
    JOIN patient AS asked ON asked.id = registration.patient_id
    JOIN patient ON patient.id = coalesce(asked.merged_into, asked.id)
    JOIN department ON department.id = registration.department_id
    LEFT JOIN staff ON staff.id = registration.doctor_id
"""


def _entry(row: Row) -> QueueEntry:
    (
        id_, visit_no, queue_no, queue_date, doctor_id, doctor_name, status, at, kind, level, follows, called_at, room,
        *department,
    ) = tuple(row)[patients.COLUMN_COUNT :]  # fmt: skip
    d_id, code, mark, name, name_en = department
    return QueueEntry(
        registration_id=id_, visit_no=visit_no, mark=mark, queue_no=queue_no,
        queue_date=date.fromisoformat(queue_date), patient=patients.from_row(row),
        department=Department(id=d_id, code=code, mark=mark, name=name, name_en=name_en),
        doctor_id=doctor_id, doctor_name=doctor_name, status=Status(status), registered_at=at, kind=Kind(kind),
        level=level, follows=follows, called_at=called_at, room=room,
    )  # fmt: skip


def entry(conn: Connection, registration_id: str) -> QueueEntry | None:
    """One registration, of whatever day and status."""
    row = conn.execute(f"{_ENTRY} WHERE registration.id = :id", {"id": registration_id}).fetchone()
    return _entry(row) if row else None


def queue(
    conn: Connection,
    queue_date: date,
    *,
    department_id: str | None = None,
    doctor_id: str | None = None,
    status: Status | None = None,
) -> list[QueueEntry]:
    """The queue of a day in the order of their turn: by rules.urgency while they wait, then who came first, whatever
    the clock did meanwhile: order is that of the rows.

    `doctor_id` leaves out those who asked for another doctor.
    """
    rows = conn.execute(
        f"""
        {_ENTRY}
        WHERE registration.queue_date = :day
          AND (:department IS NULL OR registration.department_id = :department)
          AND (:doctor IS NULL OR registration.doctor_id IS NULL OR registration.doctor_id = :doctor)
          AND (:status IS NULL OR registration.status = :status)
        ORDER BY registration.rowid
        """,
        {"day": queue_date.isoformat(), "department": department_id, "doctor": doctor_id, "status": status},
    )
    return sorted(map(_entry, rows), key=lambda entry: _urgency(entry, entry.status))


def counts(conn: Connection, queue_date: date, *, department_id: str | None = None) -> dict[Status, int]:
    """How many of a day stand where; every status is named."""
    rows = conn.execute(
        """
        SELECT status, count(*) FROM registration
        WHERE queue_date = :day AND (:department IS NULL OR department_id = :department) GROUP BY status
        """,
        {"day": queue_date.isoformat(), "department": department_id},
    )
    found = {Status(status): n for status, n in rows}
    return {status: found.get(status, 0) for status in Status}


def waiting_by_department(conn: Connection, queue_date: date) -> dict[str, int]:
    """How many wait in each department; departments without anyone are left out."""
    return dict(
        tuple(row)
        for row in conn.execute(
            "SELECT department_id, count(*) FROM registration WHERE queue_date = :day AND status = 'waiting'"
            " GROUP BY department_id",
            {"day": queue_date.isoformat()},
        )
    )


def open_today(conn: Connection, patient_id: str, queue_date: date) -> list[QueueEntry]:
    """The registrations of a patient on a day that are neither done nor cancelled."""
    rows = conn.execute(
        f"""
        {_ENTRY} WHERE registration.patient_id IN ({patients.RECORDS_SQL}) AND registration.queue_date = :day
          AND registration.status IN ('waiting', 'with_doctor') ORDER BY registration.rowid
        """,
        {"id": patient_id, "day": queue_date.isoformat()},
    )
    return [_entry(row) for row in rows]


def seen_today(conn: Connection, patient_id: str, queue_date: date) -> list[QueueEntry]:
    """The visits of a patient that are done on a day, the newest of each department; none where they wait again."""
    rows = conn.execute(
        f"""
        {_ENTRY} WHERE registration.patient_id IN ({patients.RECORDS_SQL}) AND registration.queue_date = :day
          AND registration.status IN ('waiting', 'with_doctor', 'done') ORDER BY registration.rowid
        """,
        {"id": patient_id, "day": queue_date.isoformat()},
    )
    newest = {found.department.id: found for found in map(_entry, rows)}
    return [found for found in newest.values() if found.status is Status.DONE]


def record_of(conn: Connection, registration_id: str) -> str:
    """The id of the record that a visit hangs on, merged or not: what belongs to the visit belongs there too."""
    (found,) = conn.execute("SELECT patient_id FROM registration WHERE id = :id", {"id": registration_id}).fetchone()
    return str(found)


def seen_by(conn: Connection, registration_id: str) -> Doctor | None:
    """The doctor who saw the patient of a visit; None when they do not see patients of that department any more."""
    row = conn.execute(
        """
        SELECT encounter.doctor_id, registration.queue_date, registration.department_id FROM encounter
        JOIN registration ON registration.id = encounter.registration_id WHERE registration.id = :id
        """,
        {"id": registration_id},
    ).fetchone()
    if row is None:
        return None
    here = doctors(conn, date.fromisoformat(row[1]))
    return next((doctor for doctor in here if doctor.id == row[0] and doctor.department_id == row[2]), None)


def called(conn: Connection, registration_id: str, *, room: str, at: int) -> None:
    """Write down when a patient was called, now or again, and to which room ("" where none was chosen)."""
    conn.execute(
        "UPDATE registration SET called_at = :at, room = :room WHERE id = :id",
        {"id": registration_id, "at": at, "room": room},
    )


def ahead(conn: Connection, entry: QueueEntry) -> int:
    """How many wait in the same department who are called earlier and would be seen by the same doctor."""
    waiting = queue(
        conn, entry.queue_date, department_id=entry.department.id, doctor_id=entry.doctor_id, status=Status.WAITING
    )
    turn = _turn(entry)
    return sum(_turn(other) < turn for other in waiting)


def _turn(entry: QueueEntry) -> tuple[int, int]:
    return _urgency(entry, Status.WAITING), entry.queue_no


def _urgency(entry: QueueEntry, status: Status) -> int:
    return urgency(entry.level, status, returns=entry.follows is not None)


def register(
    conn: Connection,
    *,
    patient_id: str,
    department_id: str,
    doctor_id: str | None,
    queue_date: date,
    visit_no: str,
    mode: str,
    at: int,
    by: str,
    follows: str | None = None,
) -> QueueEntry:
    """Put a patient into a department's queue of a day. Call it in a writing transaction.

    The queue number is the department's next of that day; a cancelled one is not given again. The visit is a return
    when the patient was seen in that department before; `follows` is the visit of this day that it returns to. Raises
    IntegrityError for an unknown patient or department.
    """
    registration_id = str(ULID.from_timestamp(at))
    values = {
        "id": registration_id,
        "visit_no": visit_no,
        "patient": patient_id,
        "records": json.dumps(patients.records_of(conn, patient_id)),
        "department": department_id,
        "doctor": doctor_id,
        "day": queue_date.isoformat(),
        "floor": queue_floor(queue_date),
        "mode": mode,
        "at": at,
        "by": by,
        "follows": follows,
    }
    conn.execute(
        """
        INSERT INTO registration (id, visit_no, patient_id, department_id, doctor_id, kind, queue_date, queue_no,
                                  status, mode, registered_at, registered_by, follows)
        VALUES (:id, :visit_no, :patient, :department, :doctor,
                CASE WHEN EXISTS (SELECT 1 FROM registration WHERE patient_id IN (SELECT value FROM json_each(:records))
                                  AND department_id = :department AND status = 'done') THEN 'return' ELSE 'first' END,
                :day,
                (SELECT max(coalesce((SELECT max(queue_no) FROM registration
                                      WHERE queue_date = :day AND department_id = :department), 0),
                            coalesce((SELECT max(next) FROM sequence_block WHERE name = :floor), 0)) + 1),
                'waiting', :mode, :at, :by, :follows)
        """,
        values,
    )
    made = entry(conn, registration_id)
    assert made is not None, "the row was written in this transaction"
    return made


def set_status(conn: Connection, registration_id: str, status: Status) -> bool:
    """Move a registration on; False when from where it stands it cannot go there (someone else was quicker).

    What may become what: rules.may_become. Raises KeyError for an unknown registration.
    """
    row = conn.execute("SELECT status FROM registration WHERE id = :id", {"id": registration_id}).fetchone()
    if row is None:
        raise KeyError(registration_id)
    if not may_become(Status(row[0]), status):
        return False
    conn.execute("UPDATE registration SET status = :status WHERE id = :id", {"id": registration_id, "status": status})
    return True


def cancel(conn: Connection, registration_id: str) -> bool:
    """Take a patient out of the queue; False unless they are still waiting."""
    return set_status(conn, registration_id, Status.CANCELLED)
