"""Reception over HTTP: the desk's page, a registration, and taking one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key, searching
from edge_node.his.context import context, reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.language import today
from edge_node.his.patients import forms as person_forms
from edge_node.his.patients import queries as patients
from edge_node.his.patients import records, search
from edge_node.his.patients.desk import this_desk
from edge_node.his.patients.identity import IdType
from edge_node.his.patients.queries import Patient, Twin
from edge_node.his.patients.views import (
    CONFLICT,
    UNPROCESSABLE,
    distinct_from,
    note_view,
    posted_version,
    said_labels,
)
from edge_node.his.reception import admission, forms, page, queries, rules
from edge_node.his.reception.admission import AlreadyWaiting, Known, NotSeenToday
from edge_node.his.reception.queries import QueueEntry
from edge_node.his.reception.rules import Status
from edge_node.his.security import may, who
from edge_node.i18n import text
from edge_node.store.connection import Connection

# As many as have a key of their own.
MATCHES_SHOWN = 9
REASON_MAX = 200

blueprint = Blueprint("reception", __name__, url_prefix="/reception")


@blueprint.app_context_processor
def words() -> dict[str, Any]:
    """What templates that show a queue need."""
    return {
        "queue_label": rules.queue_label, "Status": Status, "STATUS_NAMES": rules.STATUS_NAMES,
        "KIND_NAMES": rules.KIND_NAMES,
    }  # fmt: skip


@blueprint.get("")
def index() -> str:
    """The desk: what was searched for, the form (filled from the chosen record), and today's queue."""
    chosen = _chosen(request.args.get("patient", ""))
    if chosen is None:
        begun = person_forms.begin(search.asked(searching.asked()), today=today())
        return _desk_page({"id_type": request.args.get("id_type", IdType.RESIDENT), **begun})
    note_view(chosen)
    return _desk_page(page.filled(reader(), chosen), patient=chosen)


@blueprint.post("/find")
def find() -> Response:
    """Look up what was scanned or typed; posted, so that none of it stands in an address."""
    typed = search.asked(request.form)
    matches = search.find(reader(), typed, digest=context().cipher.digest, limit=2)
    if len(matches) == 1 and matches[0].why.is_certain:
        found = matches[0].patient.id
        if not may("reception.register"):
            return redirect(url_for("patients.record", patient_id=found))
        return redirect(url_for("reception.index", patient=found))
    return redirect(searching.address("reception.index", {"q": typed}))


@blueprint.post("")
def register() -> str | Response | tuple[str, int]:
    """Register: a queue number for a known person or a new record, once."""
    form = request.form
    chosen = _chosen(form.get("patient_id", ""))
    if twin := _chosen(form.get("use", "")):
        note_view(twin)
        return _desk_page(page.filled(reader(), twin, over=form), patient=twin)
    desk = this_desk()
    kept = records.kept_number(reader(), context().cipher, chosen, today=desk.today) if chosen else None
    visit = forms.parse(
        form, departments=queries.departments(reader()), doctors=queries.doctors(reader(), desk.today)
    )  # fmt: skip
    person = person_forms.parse(form, today=desk.today, kept=kept)
    if isinstance(visit, list) or isinstance(person, list):
        problems = [*(visit if isinstance(visit, list) else ()), *(person if isinstance(person, list) else ())]
        return _desk_page(form, problems, patient=chosen), UNPROCESSABLE
    known = Known(patient_id=chosen.id, version=posted_version(form)) if chosen else None
    sealed, distinct = records.seal(context().cipher, person.id_number), distinct_from(form)
    mode = context().node_status().mode

    def work(conn: Connection) -> str:
        return admission.admit(
            conn, person, sealed, visit, desk, known=known, distinct_from=distinct, mode=mode
        ).registration_id

    token = request_key.posted_form(form)
    try:
        registration_id = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except records.LooksLikeAnother as held:
        return _desk_page(form, patient=chosen, twins=held.twins), CONFLICT
    except records.ChangedMeanwhile as held:
        values = {**form, "version": str(held.now.version)}
        return _desk_page(values, person_forms.meanwhile(held.now, person), patient=held.now), CONFLICT
    except AlreadyWaiting as held:
        return _desk_page(form, [admission.already_waiting(held.entry)], patient=chosen), CONFLICT
    return redirect(url_for("reception.index", registered=registration_id))


@blueprint.get("/<registration_id>")
def registration(registration_id: str) -> str:
    """One registration, and the way to take it back."""
    audit.viewed(who(), f"registration:{registration_id}")
    return _registration_page(registration_id)


@blueprint.post("/<registration_id>/cancel")
def cancel(registration_id: str) -> str | Response | tuple[str, int]:
    """Take a patient out of the queue, with the reason."""
    reason = " ".join(request.form.get("reason", "").split())
    if not reason or len(reason) > REASON_MAX:
        sentence = text("Write why, in a few words") if not reason else text("Too long; 200 characters at most")
        problem = FieldProblem(field="reason", text=sentence)
        return _registration_page(registration_id, [problem]), UNPROCESSABLE
    desk = this_desk()
    try:
        done = write(lambda conn: admission.withdraw(conn, registration_id, desk, reason=reason))
    except KeyError:
        abort(404)
    if not done and _status(registration_id) is not Status.CANCELLED:
        problem = FieldProblem(field="reason", text=text("Not cancelled: the patient is with the doctor by now"))
        return _registration_page(registration_id, [problem]), CONFLICT
    return redirect(url_for("reception.index", status=Status.CANCELLED, cancelled=registration_id))


@blueprint.post("/<registration_id>/return")
def come_back(registration_id: str) -> str | Response | tuple[str, int]:
    """A patient who was seen today is back for the same doctor: one press, once."""
    desk, mode = this_desk(), context().node_status().mode
    token = request_key.posted(request.form)

    def work(conn: Connection) -> str:
        return admission.come_back(conn, registration_id, desk, mode=mode).registration_id

    try:
        made = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except KeyError:
        abort(404)
    except AlreadyWaiting as held:
        problem = FieldProblem(field="come-back", text=admission.already_waiting(held.entry).text)
        return _registration_page(registration_id, [problem]), CONFLICT
    except NotSeenToday:
        problem = FieldProblem(field="come-back", text=text("Only who was seen today comes back; register again"))
        return _registration_page(registration_id, [problem]), CONFLICT
    return redirect(url_for("reception.index", registered=made))


def _chosen(patient_id: str) -> Patient | None:
    return (patients.current(reader(), patient_id) or abort(404)) if patient_id else None


def _status(registration_id: str) -> Status | None:
    found = queries.entry(reader(), registration_id)
    return found.status if found else None


def _desk_page(
    values: Mapping[str, Any],
    problems: Sequence[FieldProblem] = (),
    *,
    patient: Patient | None = None,
    twins: Sequence[Twin] = (),
) -> str:
    typed = search.asked(searching.asked())
    matches = search.find(reader(), typed, digest=context().cipher.digest, limit=MATCHES_SHOWN + 1)
    registered = request.args.get("registered") or request.args.get("cancelled")
    return render_template(
        "reception/index.html", typed=search.as_shown(typed), matches=matches[:MATCHES_SHOWN],
        more=len(matches) > MATCHES_SHOWN, find_key=searching.key(), is_over=searching.is_over(), values=values,
        problems=problems, errors=by_field(problems), patient=patient, twins=twins,
        labels=said_labels(forms.LABELS, person_forms.LABELS),
        request_key=request.form.get(request_key.FIELD, "") if request.endpoint == "reception.register" else "",
        places=page.places(reader(), today()), queue=page.queue(reader(), request.args, today(), _now()),
        just=queries.entry(reader(), registered) if registered else None, day=today(),
        seen_today=_seen_today(patient),
    )  # fmt: skip


def _seen_today(patient: Patient | None) -> list[QueueEntry]:
    return queries.seen_today(reader(), patient.id, today()) if patient and may("reception.come_back") else []


def _now() -> int:
    return context().clock.wall_ms()


def _registration_page(registration_id: str, problems: Sequence[FieldProblem] = ()) -> str:
    entry = queries.entry(reader(), registration_id) or abort(404)
    return render_template(
        "reception/registration.html", entry=entry, problems=problems, errors=by_field(problems), values=request.form,
        ahead=queries.ahead(reader(), entry), may_cancel=rules.may_become(entry.status, Status.CANCELLED),
        before=queries.entry(reader(), entry.follows) if entry.follows else None,
        seen_today=[one for one in _seen_today(entry.patient) if one.registration_id == registration_id],
    )  # fmt: skip
