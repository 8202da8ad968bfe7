"""The doctor's queue: who waits, who is called, who did not come. What its pages share with those of a note."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key
from edge_node.his.calling.rooms import room
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import desk, queries, with_sheets
from edge_node.his.encounters.desk import Case
from edge_node.his.language import today
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from edge_node.his.security import current_staff, who
from edge_node.store.connection import Connection

blueprint = Blueprint("encounters", __name__, url_prefix="/encounters")

Page = Response | str | tuple[str, int]


@blueprint.get("/")
def index() -> Page:
    """The queue, and nobody opened yet."""
    return render_template("encounters/index.html", rail=rail(everyone="all" in request.args))


@blueprint.post("/call")
def call() -> Page:
    """Call in whoever waits longest."""
    encounter_id = _call_next(request_key.posted(request.form), everyone="all" in request.form)
    return redirect(url_for(".show", encounter_id=encounter_id) if encounter_id else url_for(".index"))


@blueprint.get("/queue/<registration_id>")
def waiting(registration_id: str) -> Page:
    """Somebody of the queue before they are called in; once they are, their encounter."""
    entry = reception.entry(reader(), registration_id)
    if entry is None:
        abort(404)
    encounter = queries.of_registration(reader(), registration_id)
    if encounter and entry.status in (Status.WITH_DOCTOR, Status.DONE):
        return redirect(url_for(".show", encounter_id=encounter.id))
    audit.viewed(who(), f"registration:{registration_id}")
    history = desk.history(reader(), entry.patient.id, except_registration=registration_id)
    return render_template(
        "encounters/waiting.html", rail=rail(), entry=entry, patient=entry.patient, today=today(), Status=Status,
        history=history, earlier=with_sheets.earlier(history), before=encounter,
    )  # fmt: skip


@blueprint.post("/queue/<registration_id>")
def begin(registration_id: str) -> Page:
    """Call in this one; if somebody else was quicker, the page says who has them."""
    if reception.entry(reader(), registration_id) is None:
        abort(404)
    doctor, now, by, to = current_staff(), audit.moment(), who(), room()

    def work(conn: Connection) -> str | None:
        encounter_id = queries.begin(conn, registration_id, doctor_id=doctor.id, at=now.at, room=to)
        if encounter_id:
            record(conn, by, now, "encounter_begun", encounter_id)
        return encounter_id

    encounter_id = write(work)
    if encounter_id:
        return redirect(url_for(".show", encounter_id=encounter_id))
    return redirect(url_for(".waiting", registration_id=registration_id))


@blueprint.post("/<encounter_id>/back")
def put_back(encounter_id: str) -> Page:
    """The patient was called and did not come."""
    case_of(encounter_id)
    now, by = audit.moment(), who()

    def work(conn: Connection) -> bool:
        done = queries.put_back(conn, encounter_id)
        if done:
            record(conn, by, now, "encounter_put_back", encounter_id)
        return done

    return redirect(url_for(".index") if write(work) else url_for(".show", encounter_id=encounter_id))


# What the pages of a note share.


def case_of(encounter_id: str) -> Case:
    """One encounter, or the page that says there is none."""
    case = desk.case(reader(), encounter_id)
    if case is None:
        abort(404)
    return case


def record(conn: Connection, by: audit.Who, now: audit.Moment, action: str, encounter_id: str, **detail: Any) -> None:
    """One row of the audit log about an encounter."""
    audit.record(conn, by, action, f"encounter:{encounter_id}", detail, at=now.at, clock_state=now.clock_state)


def _call_next(token: str, *, everyone: bool) -> str:
    """The id of the encounter that began, "" when nobody waits; a second click finds the first one's."""
    doctor, now, by, day, to = current_staff(), audit.moment(), who(), today(), room()

    def work(conn: Connection) -> str:
        encounter_id = queries.call_next(
            conn, queue_date=day, doctor_id=doctor.id, at=now.at, room=to,
            department_id=None if everyone else doctor.department_id,
        )  # fmt: skip
        if encounter_id:
            record(conn, by, now, "encounter_begun", encounter_id)
        return encounter_id or ""

    return write(lambda conn: request_key.once(conn, token, work, at=now.at))


def rail(*, everyone: bool = False, limit: int | None = None, here: str = "") -> desk.Rail:
    """Who is with the doctor who asks, and who waits; `here` is the encounter that is open."""
    staff = current_staff()
    return desk.rail(
        reader(), queue_date=today(), doctor_id=staff.id, now=context().clock.wall_ms(), limit=limit, here=here,
        department_id=None if everyone else staff.department_id,
    )  # fmt: skip
