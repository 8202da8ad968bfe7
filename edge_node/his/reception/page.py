"""The desk's page as ready values: today's queue with its tabs, where a patient can go, a form filled from a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from edge_node.his.paging import part
from edge_node.his.patients import forms as person_forms
from edge_node.his.patients import queries as patients
from edge_node.his.patients.queries import Patient
from edge_node.his.reception import queries
from edge_node.his.reception.queries import Department, Doctor, QueueEntry
from edge_node.his.reception.rules import Status, goes_ahead, waited_minutes
from edge_node.store.connection import Connection

ROWS_PER_PAGE = 15
# What was typed for a person who turns out to be known already is newer than the record.
_NEWER = ("phone", "address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the queue."""

    entry: QueueEntry
    waited_s: int

    @property
    def goes_ahead(self) -> bool:
        """Is this one before others who came earlier?"""
        return self.entry.status is Status.WAITING and goes_ahead(self.entry.level)

    @property
    def comes_back(self) -> bool:
        """Was this one seen today already, and waits for the same doctor again?"""
        return self.entry.status is Status.WAITING and self.entry.follows is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One page of one tab. `first` and `last` are the numbers of its rows, `total` is how many the tab has."""

    rows: Sequence[Row]
    status: Status
    counts: Mapping[Status, int]
    department_id: str
    page: int
    first: int
    last: int
    total: int

    @property
    def registered(self) -> int:
        """How many came today; who cancelled is not counted."""
        return sum(self.counts.values()) - self.counts[Status.CANCELLED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A department with its doctors and how many wait in it."""

    department: Department
    doctors: Sequence[Doctor]
    waiting: int


def queue(conn: Connection, args: Mapping[str, str], day: date, now: int) -> Queue:
    """The part of today's queue that the address asks for; anything it does not know means the beginning."""
    asked = args.get("status", "")
    status = Status(asked) if asked in set(Status) else Status.WAITING
    department_id = args.get("department", "")
    entries = queries.queue(conn, day, department_id=department_id or None, status=status)
    if status in (Status.DONE, Status.CANCELLED):
        entries.reverse()
    here = part(entries, args.get("page", ""), most=ROWS_PER_PAGE)
    return Queue(
        rows=[Row(entry=entry, waited_s=waited_minutes(entry.registered_at, now) * 60) for entry in here.rows],
        status=status, counts=queries.counts(conn, day, department_id=department_id or None),
        department_id=department_id, page=here.number, first=here.first, last=here.last, total=here.total,
    )  # fmt: skip


def places(conn: Connection, day: date) -> list[Place]:
    """Where a patient can be sent today."""
    waiting, doctors = queries.waiting_by_department(conn, day), queries.doctors(conn, day)
    return [
        Place(
            department=department, waiting=waiting.get(department.id, 0),
            doctors=[doctor for doctor in doctors if doctor.department_id == department.id],
        )
        for department in queries.departments(conn)
    ]  # fmt: skip


def filled(conn: Connection, patient: Patient, *, over: Mapping[str, str] | None = None) -> dict[str, str]:
    """The form filled from a record, sent where the patient was last; `over` is a form that was typed before the
    person was recognised."""
    values = person_forms.values_of(patient)
    last = patients.last_visits(conn, [patient.id]).get(patient.id)
    if last:
        open_ones = {department.id for department in queries.departments(conn)}
        values["department_id"] = last.department_id if last.department_id in open_ones else ""
        values["doctor_id"] = (last.doctor_id or "") if values["department_id"] else ""
    if over is not None:
        if over.get("department_id") or over.get("doctor_id"):
            values |= {field: over.get(field, "") for field in ("department_id", "doctor_id")}
        values |= {field: over[field] for field in _NEWER if over.get(field, "").strip()}
    return values
