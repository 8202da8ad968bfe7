"""Patients over HTTP: find, read, make and change a record. Whoever asks for a merged one is led to what stands for it.

Merging is in merge_views.py, on the same blueprint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key, searching
from edge_node.his.context import context, reader, write, write_trace
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import say, today
from edge_node.his.patients import (
    allergies,
    allergy_forms,
    apart,
    forms,
    merge_rules,
    merges,
    pinyin,
    queries,
    records,
    rules,
    search,
)
from edge_node.his.patients.desk import this_desk
from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Patient, Twin
from edge_node.his.patients.rules import Masked
from edge_node.his.security import current_staff, may, who
from edge_node.his.staff.model import Role
from edge_node.i18n import text
from edge_node.store.connection import Connection

SHOWN = 20
# Refused since nothing is wrong with the request but what it says; a browser shows the page all the same.
UNPROCESSABLE = 422
CONFLICT = 409

blueprint = Blueprint("patients", __name__, url_prefix="/patients")


@blueprint.app_template_filter("age")
def age(birth_date: date) -> str:
    """An age today, in words."""
    return say(rules.age(birth_date, today()))


@blueprint.app_context_processor
def words() -> dict[str, Any]:
    """What templates that show a person need."""
    return {
        "SEX_NAMES": rules.SEX_NAMES, "SEX_WORDS": rules.SEX_WORDS, "ID_TYPE_NAMES": rules.ID_TYPE_NAMES,
        "LIKENESS_NAMES": rules.LIKENESS_NAMES, "Sex": Sex, "IdType": IdType, "spelled": pinyin.display,
        "is_child": lambda typed: forms.is_child(typed or "", today()), "mask_phone": rules.mask_phone,
        "spaced_phone": rules.spaced_phone, "mask_address": rules.mask_address, "Masked": Masked,
        "id_type_options": lambda: [(str(id_type), say(name)) for id_type, name in rules.ID_TYPE_NAMES.items()],
        "may_write_patients": lambda: may("patients.create"), "may_merge": lambda: may("patients.merge"),
        "told_apart": lambda one, other: apart.between(reader(), one.id, other.id) is not None,
        "may_see_encounters": lambda: current_staff().may(Role.DOCTOR), "Face": allergies.Face,
        "faces_of": lambda people: allergies.of_patients(reader(), [person.id for person in people]),
    }  # fmt: skip


@blueprint.get("")
def index() -> str:
    """Find a patient."""
    typed = search.asked(searching.asked())
    matches = search.find(reader(), typed, digest=context().cipher.digest, limit=SHOWN + 1)
    return render_template(
        "patients/index.html", typed=typed, shown=search.as_shown(typed), matches=matches[:SHOWN],
        more=len(matches) > SHOWN, is_over=searching.is_over(),
    )  # fmt: skip


@blueprint.post("/find")
def find() -> Response:
    """Look up what was scanned or typed. Posted, so that none of it stands in an address and its history.

    A number of one person leads straight to the record.
    """
    typed = search.asked(request.form)
    matches = search.find(reader(), typed, digest=context().cipher.digest, limit=2)
    if len(matches) == 1 and matches[0].why.is_certain:
        return redirect(url_for("patients.record", patient_id=matches[0].patient.id))
    return redirect(searching.address("patients.index", {"q": typed}))


@blueprint.get("/<patient_id>")
def record(patient_id: str) -> str | Response:
    """A patient's record; that it was looked at is written down."""
    patient = patient_or_404(patient_id)
    if patient.id != patient_id:
        return redirect(url_for("patients.record", patient_id=patient.id, merged=patient_id))
    note_view(patient)
    return record_page(patient)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What this page shows whole, since it was asked for: one field of one record."""

    patient_id: str
    field: Masked
    value: str


@blueprint.post("/<patient_id>/whole")
def show_whole(patient_id: str) -> str:
    """The record with one field unmasked; first it is written down who asked for it, or it is not shown.

    Of a merged record too, on the page of what stands for it.
    """
    asked = queries.get(reader(), patient_id) or abort(404)
    try:
        masked = Masked(request.form.get("field", ""))
    except ValueError:
        abort(400)
    desk = this_desk()
    if masked is Masked.ID_NUMBER:
        write_trace(lambda conn: desk.trace(conn, "id_number_shown", f"patient:{asked.id}"))
        number = records.kept_number(reader(), context().cipher, asked, today=desk.today)
        value = number.number if number else ""
    else:
        write_trace(lambda conn: desk.trace(conn, "contact_shown", f"patient:{asked.id}", field=str(masked)))
        value = rules.spaced_phone(getattr(asked, masked))
    return record_page(patient_or_404(patient_id), whole=Whole(patient_id=asked.id, field=masked, value=value))


@blueprint.get("/new")
def new() -> str:
    """An empty form, or one that is filled from a mother's record for her newborn."""
    if mother_id := request.args.get("mother"):
        mother = patient_or_404(mother_id)
        note_view(mother)
        return _form_page(forms.newborn(mother, today=today()), mother=mother)
    return _form_page({"id_type": request.args.get("id_type", IdType.RESIDENT)})


@blueprint.post("/begin")
def begin() -> str:
    """A form begun with what was searched for; posted, so that an ID number never stands in an address."""
    return _form_page({"id_type": IdType.RESIDENT, **forms.begin(search.asked(request.form), today=today())})


@blueprint.post("/new")
def create() -> str | Response | tuple[str, int]:
    """Make a record; possible duplicates are shown before a second one is made."""
    if chosen := request.form.get("use"):
        return redirect(url_for("patients.record", patient_id=chosen))
    desk = this_desk()
    person = forms.parse(request.form, today=desk.today)
    if isinstance(person, list):
        return _form_page(request.form, person), UNPROCESSABLE
    sealed = records.seal(context().cipher, person.id_number)
    distinct = distinct_from(request.form)

    def work(conn: Connection) -> str:
        return records.create(conn, person, sealed, desk, distinct_from=distinct).id

    token = request_key.posted_form(request.form)
    try:
        patient_id = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except records.LooksLikeAnother as held:
        return _form_page(request.form, twins=held.twins), CONFLICT
    return redirect(url_for("patients.record", patient_id=patient_id, saved="new"))


@blueprint.get("/<patient_id>/edit")
def edit(patient_id: str) -> str | Response:
    """The record as a form."""
    patient = patient_or_404(patient_id)
    if patient.id != patient_id:
        return redirect(url_for("patients.edit", patient_id=patient.id))
    note_view(patient)
    return _form_page(forms.values_of(patient), patient=patient)


@blueprint.post("/<patient_id>/edit")
def change(patient_id: str) -> str | Response | tuple[str, int]:
    """Change the record, unless somebody else did meanwhile."""
    patient = patient_or_404(patient_id)
    if chosen := request.form.get("use"):
        return redirect(url_for("patients.record", patient_id=chosen))
    desk = this_desk()
    kept = records.kept_number(reader(), context().cipher, patient, today=desk.today)
    person = forms.parse(request.form, today=desk.today, kept=kept)
    if isinstance(person, list):
        return _form_page(request.form, person, patient=patient), UNPROCESSABLE
    sealed, version = records.seal(context().cipher, person.id_number), posted_version(request.form)

    def work(conn: Connection) -> str:
        return records.change(conn, patient_id, version, person, sealed, desk).id

    token = request_key.posted_form(request.form)
    try:
        write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except records.LooksLikeAnother as held:
        return _form_page(request.form, twins=held.twins, patient=patient), CONFLICT
    except records.ChangedMeanwhile as held:
        values = {**request.form, "version": str(held.now.version)}
        return _form_page(values, forms.meanwhile(held.now, person), patient=held.now), CONFLICT
    return redirect(url_for("patients.record", patient_id=patient.id, saved="changed"))


@blueprint.post("/<patient_id>/allergies")
def record_allergy(patient_id: str) -> str | Response | tuple[str, int]:
    """Write down an allergy."""
    patient = patient_or_404(patient_id)
    desk = this_desk()
    written = allergy_forms.parse(request.form, today=desk.today, birth_date=patient.birth_date)
    if isinstance(written, list):
        return record_page(patient, values=request.form, problems=written), UNPROCESSABLE

    def work(conn: Connection) -> str:
        return allergies.record(conn, patient.id, written, desk)

    token = request_key.posted_form(request.form)
    try:
        write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except allergies.AlreadyRecorded:
        problem = FieldProblem(field="substance", text=text("This is on record already"))
        return record_page(patient, values=request.form, problems=[problem]), CONFLICT
    return _to_allergies(patient.id, "allergy")


@blueprint.post("/<patient_id>/allergies/none")
def no_allergy(patient_id: str) -> str | Response | tuple[str, int]:
    """Somebody asked, and the patient knows of none."""
    patient = patient_or_404(patient_id)
    desk = this_desk()
    try:
        write(lambda conn: allergies.asked_none_known(conn, patient.id, desk))
    except allergies.StillAllergic:
        problem = FieldProblem(
            field="substance", text=text("Meanwhile somebody recorded an allergy: end it first, with the reason")
        )
        return record_page(patient, problems=[problem]), CONFLICT
    return _to_allergies(patient.id, "asked")


@blueprint.post("/<patient_id>/allergies/<allergy_id>/end")
def end_allergy(patient_id: str, allergy_id: str) -> str | Response | tuple[str, int]:
    """Take an allergy off the record, with the reason."""
    patient = patient_or_404(patient_id)
    desk = this_desk()
    reason = allergy_forms.end_reason(request.form)
    if isinstance(reason, FieldProblem):
        problem = FieldProblem(field=f"end-{allergy_id}", text=reason.text)
        values = {problem.field: request.form.get("end_reason", "")}
        return record_page(patient, values=values, problems=[problem]), UNPROCESSABLE
    try:
        write(lambda conn: allergies.end(conn, patient.id, allergy_id, desk, reason=reason))
    except KeyError:
        abort(404)
    return _to_allergies(patient.id, "ended")


def _to_allergies(patient_id: str, saved: str) -> Response:
    return redirect(url_for("patients.record", patient_id=patient_id, saved=saved, _anchor="allergies"))


def note_view(patient: Patient) -> None:
    """Write down that the record was looked at."""
    audit.viewed(who(), f"patient:{patient.id}")


def distinct_from(form: Mapping[str, str]) -> frozenset[str]:
    """The records that the registrar has seen beside this form and said to be other people."""
    return frozenset(filter(None, form.get("distinct_from", "").split(",")))


def posted_version(form: Mapping[str, str]) -> int:
    """The version that a form was filled from. A form without one is not ours: 400."""
    try:
        return whole_number(form.get("version", ""))
    except ValueError:
        abort(400)


def said_labels(*labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels of fields in the language of this request, for the fields and for the summary of problems."""
    return {field: say(label) for part in labels for field, label in part.items()}


def patient_or_404(patient_id: str) -> Patient:
    """The record that stands for the person whose record is asked for."""
    return queries.current(reader(), patient_id) or abort(404)


def record_page(
    patient: Patient,
    *,
    whole: Whole | None = None,
    values: Mapping[str, str] | None = None,
    problems: Sequence[FieldProblem] = (),
) -> str:
    """The page of a record, with what was typed into one of its forms and what is wrong with it."""
    return render_template(
        "patients/record.html", patient=patient, whole=whole, visits=queries.visits(reader(), patient.id),
        former_names=queries.former_names(reader(), patient.id), merges=merges.of_person(reader(), patient.id),
        twins=twins_of(patient) if may("patients.merge") else (), may_undo=may("patients.undo_merge"),
        aparts=apart.of_person(reader(), patient.id) if may("patients.merge") else (),
        may_bear=rules.may_be_a_mother(patient.sex, patient.birth_date, today()),
        saved=request.args.get("saved", ""), allergies=allergies.all_of(reader(), patient.id),
        substances=allergies.substances(reader()) if may("patients.record_allergy") else (), values=values or {},
        problems=problems, errors=by_field(problems), labels=said_labels(allergy_forms.LABELS, merge_rules.LABELS),
        request_key=request.form.get(request_key.FIELD, "") if problems else "",
        may_record=may("patients.record_allergy"), may_end=may("patients.end_allergy"),
    )  # fmt: skip


def twins_of(patient: Patient) -> list[Twin]:
    """Other records that may be of this person; not those of whom somebody has said that they are not."""
    found = queries.same_person(
        reader(), name=patient.name, birth_date=patient.birth_date, phone=patient.phone, except_id=patient.id
    )  # fmt: skip
    others = {said.other.id for said in apart.of_person(reader(), patient.id)} if found else set()
    return [twin for twin in found if twin.patient.id not in others]


def _form_page(
    values: Mapping[str, Any],
    problems: Sequence[FieldProblem] = (),
    *,
    twins: Sequence[Twin] = (),
    patient: Patient | None = None,
    mother: Patient | None = None,
) -> str:
    return render_template(
        "patients/form.html", mother=mother, values=values, problems=problems, errors=by_field(problems), twins=twins,
        patient=patient, labels=said_labels(forms.LABELS), request_key=request.form.get(request_key.FIELD, ""),
        begun=request.endpoint == "patients.begin",
    )  # fmt: skip
