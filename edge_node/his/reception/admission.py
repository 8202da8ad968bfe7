"""Putting a person into a queue and taking them out: what is written together, in one transaction, with its trace."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge_node.his.forms import FieldProblem
from edge_node.his.patients import records
from edge_node.his.patients.desk import Desk
from edge_node.his.patients.forms import Person
from edge_node.his.patients.queries import SealedId
from edge_node.his.reception import queries
from edge_node.his.reception.forms import ThisVisit
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.reception.rules import STATUS_NAMES, Status, queue_label
from edge_node.i18n import text
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The record that a registration is for, at the version that the form was filled from."""

    patient_id: str
    version: int


class AlreadyWaiting(Exception):
    """Nothing was written: the patient stands in that department's queue today."""

    def __init__(self, entry: QueueEntry) -> None:
        super().__init__("already in the queue")
        self.entry = entry


def admit(
    conn: Connection,
    person: Person,
    id_number: SealedId | None,
    visit: ThisVisit,
    desk: Desk,
    *,
    known: Known | None,
    distinct_from: Collection[str] = (),
    mode: str,
) -> QueueEntry:
    """Make or mend the record, and give a queue number.

    Raises AlreadyWaiting, and what records.create and records.change raise.
    """
    if known is None:
        patient = records.create(conn, person, id_number, desk, distinct_from=distinct_from)
    else:
        patient = records.change(conn, known.patient_id, known.version, person, id_number, desk)
        for entry in queries.open_today(conn, patient.id, desk.today):
            if entry.department.id == visit.department_id:
                raise AlreadyWaiting(entry)
    made = queries.register(
        conn,
        patient_id=patient.id,
        department_id=visit.department_id,
        doctor_id=visit.doctor_id,
        queue_date=desk.today,
        visit_no=desk.number(conn, "visit"),
        mode=mode,
        at=desk.moment.at,
        by=desk.staff_id,
    )
    desk.trace(conn, "registered", f"registration:{made.registration_id}", patient=patient.id, queue_no=made.queue_no)
    return made


class NotSeenToday(Exception):
    """Nothing was written: the visit is not one of today that is done, so there is none to come back to."""


def come_back(conn: Connection, registration_id: str, desk: Desk, *, mode: str) -> QueueEntry:
    """Put a patient who was seen today into the queue again, to the same doctor, as a part of the same visit: no fee,
    a number of its own, a turn before those who were not seen yet (rules.urgency).

    Raises KeyError for an unknown registration, NotSeenToday, and AlreadyWaiting.
    """
    before = queries.entry(conn, registration_id)
    if before is None:
        raise KeyError(registration_id)
    for entry in queries.open_today(conn, before.patient.id, desk.today):
        if entry.department.id == before.department.id:
            raise AlreadyWaiting(entry)
    if before.status is not Status.DONE or before.queue_date != desk.today:
        raise NotSeenToday
    doctor = queries.seen_by(conn, registration_id)
    made = queries.register(
        conn,
        patient_id=queries.record_of(conn, registration_id),
        department_id=before.department.id,
        doctor_id=doctor.id if doctor else None,
        queue_date=desk.today,
        visit_no=desk.number(conn, "visit"),
        mode=mode,
        at=desk.moment.at,
        by=desk.staff_id,
        # Whoever returns twice returns to the first visit: that one was paid.
        follows=before.follows or registration_id,
    )
    desk.trace(
        conn, "registered_return", f"registration:{made.registration_id}", patient=before.patient.id,
        follows=made.follows, queue_no=made.queue_no,
    )  # fmt: skip
    return made


def already_waiting(entry: QueueEntry) -> FieldProblem:
    """What to tell the registrar of AlreadyWaiting."""
    return FieldProblem(
        field="department_id",
        text=text(
            "Already in this queue as %(number)s (%(status)s)",
            number=queue_label(entry.mark, entry.queue_no),
            status=STATUS_NAMES[entry.status],
        ),
    )


def withdraw(conn: Connection, registration_id: str, desk: Desk, *, reason: str) -> bool:
    """Cancel a registration; False when the patient is with the doctor by now, or it was cancelled before.

    Raises KeyError for an unknown registration.
    """
    if not queries.cancel(conn, registration_id):
        return False
    desk.trace(conn, "registration_cancelled", f"registration:{registration_id}", reason=reason)
    return True
