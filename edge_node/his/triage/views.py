"""The nurse's pages: who waits and who was not measured yet, and one form for each patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.language import today
from edge_node.his.paging import part
from edge_node.his.patients import allergies
from edge_node.his.patients.desk import Desk, this_desk
from edge_node.his.patients.views import CONFLICT, UNPROCESSABLE, said_labels
from edge_node.his.reception import queries as reception
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.reception.rules import Status, goes_ahead, waited_minutes
from edge_node.his.security import may, who
from edge_node.his.triage import forms, queries, rules
from edge_node.his.triage.forms import Triaged
from edge_node.his.triage.rules import Level
from edge_node.i18n import text
from edge_node.store.connection import Connection

blueprint = Blueprint("triage", __name__, url_prefix="/triage")

# As many as a screen shows, and few more than have a key of their own.
ROWS_PER_PAGE = 15
UNMEASURED = "unmeasured"
# Who is measured: not who has gone home.
_HERE = frozenset({Status.WAITING, Status.WITH_DOCTOR})


class GoneHome(Exception):
    """Nothing was written: the visit is over or was cancelled meanwhile."""


@blueprint.app_context_processor
def words() -> dict[str, Any]:
    """What templates that show a level need."""
    return {
        "Level": Level, "LEVEL_NAMES": rules.LEVEL_NAMES, "goes_ahead": goes_ahead,
        "may_triage": lambda: may("triage.measure"),
    }  # fmt: skip


@blueprint.get("")
def index() -> str:
    """The queue of one department or all, or of it who was not measured yet, with what was measured; page by page."""
    asked = _asked()
    waiting = reception.queue(
        reader(), today(), department_id=asked.get("department"), status=Status.WAITING
    )  # fmt: skip
    missing = [entry for entry in waiting if entry.level is None]
    here = part(missing if "only" in asked else waiting, request.args.get("page", ""), most=ROWS_PER_PAGE)
    saved = reception.entry(reader(), request.args.get("saved", ""))
    shown = [*here.rows, *([saved] if saved else [])]
    measured = queries.newest_of(reader(), [entry.registration_id for entry in shown])
    now = context().clock.wall_ms()
    return render_template(
        "triage/index.html", here=here, measured=measured, asked=asked, departments=reception.departments(reader()),
        saved=saved if saved and saved.registration_id in measured else None,
        remarks=_remarks(saved, measured), waiting=len(waiting), missing=len(missing),
        waited_s=lambda entry: waited_minutes(entry.registered_at, now) * 60,
    )  # fmt: skip


@blueprint.get("/<registration_id>")
def show(registration_id: str) -> str:
    """One patient: the form, and what was measured before."""
    entry = _entry_or_404(registration_id)
    audit.viewed(who(), f"registration:{registration_id}")
    said = queries.said_today(reader(), registration_id)
    # What does not change in an hour is not typed twice; what does is measured again.
    values = {"weight_kg": said.weight_kg, "height_cm": said.height_cm}
    if said.pregnant is not None:
        values["pregnant"] = str(int(said.pregnant))
    return _page(entry, values)


@blueprint.post("/<registration_id>")
def measure(registration_id: str) -> str | Response | tuple[str, int]:
    """Keep a measuring, and the answer about allergies, together."""
    entry = _entry_or_404(registration_id)
    desk = this_desk()
    triaged = forms.parse(request.form, today=desk.today, birth_date=entry.patient.birth_date)
    if isinstance(triaged, list):
        return _page(entry, request.form, triaged), UNPROCESSABLE
    token = request_key.posted_form(request.form)

    def work(conn: Connection) -> str:
        return _keep(conn, registration_id, triaged, desk)

    try:
        write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except GoneHome:
        problem = FieldProblem(field="level", text=text("Not saved: the visit is over or was cancelled meanwhile"))
        return _page(_entry_or_404(registration_id), request.form, [problem]), CONFLICT
    except allergies.AlreadyRecorded:
        problem = FieldProblem(field="substance", text=text("This is on record already"))
        return _page(entry, request.form, [problem]), CONFLICT
    asked = _asked()
    address = url_for("triage.index", saved=registration_id, department=asked.get("department"), only=asked.get("only"))
    return redirect(address)


def _keep(conn: Connection, registration_id: str, triaged: Triaged, desk: Desk) -> str:
    entry = reception.entry(conn, registration_id)
    if entry is None or entry.status not in _HERE:
        raise GoneHome
    triage_id = queries.insert(
        conn, registration_id, triaged.measured, level=triaged.level, note=triaged.note, at=desk.moment.at,
        by=desk.staff_id,
    )  # fmt: skip
    desk.trace(conn, "triaged", f"registration:{registration_id}", triage=triage_id, level=int(triaged.level))
    if triaged.allergy:
        allergies.record(conn, entry.patient.id, triaged.allergy, desk)
    elif triaged.asked:
        allergies.asked(conn, entry.patient.id, desk)
    return triage_id


def _asked() -> dict[str, str]:
    """The part of the queue that somebody works through: it stays the same from one patient to the next."""
    asked = {"department": request.args.get("department", "")}
    if request.args.get("only") == UNMEASURED:
        asked["only"] = UNMEASURED
    return {name: value for name, value in asked.items() if value}


def _entry_or_404(registration_id: str) -> QueueEntry:
    return reception.entry(reader(), registration_id) or abort(404)


def _remarks(saved: QueueEntry | None, measured: Mapping[str, queries.Triage]) -> Sequence[Any]:
    newest = measured.get(saved.registration_id) if saved else None
    if saved is None or newest is None:
        return ()
    return rules.remarks(newest.measured, today=today(), birth_date=saved.patient.birth_date)


def _page(entry: QueueEntry, values: Mapping[str, str], problems: Sequence[FieldProblem] = ()) -> str:
    return render_template(
        "triage/show.html", entry=entry, patient=entry.patient, values=values, problems=problems,
        errors=by_field(problems), labels=said_labels(forms.LABELS), here=entry.status in _HERE,
        request_key=request.form.get(request_key.FIELD, ""), before=queries.all_of(reader(), entry.registration_id),
        asks_pregnancy=rules.pregnancy_is_asked(entry.patient.sex, entry.patient.birth_date, today()),
        substances=allergies.substances(reader()), asked=_asked(),
    )  # fmt: skip
