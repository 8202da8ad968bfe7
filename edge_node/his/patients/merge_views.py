"""Merging over HTTP: two records beside each other, one of them kept, or said to be of different people; and taking
either back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import request_key
from edge_node.his.context import reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.patients import apart, merge_rules, merging, queries
from edge_node.his.patients.desk import Desk, this_desk
from edge_node.his.patients.merging import NotMerged
from edge_node.his.patients.queries import Patient
from edge_node.his.patients.views import (
    CONFLICT,
    UNPROCESSABLE,
    blueprint,
    note_view,
    patient_or_404,
    record_page,
    said_labels,
    twins_of,
)
from edge_node.i18n import text
from edge_node.store.connection import Connection

__all__ = ["blueprint"]


@blueprint.get("/<patient_id>/merge")
def compare(patient_id: str) -> str | Response | tuple[str, int]:
    """A record beside the other one that is named by its id; without one, which it may be."""
    patient = patient_or_404(patient_id)
    note_view(patient)
    if other_id := request.args.get("other"):
        other = patient_or_404(other_id)
        note_view(other)
        return _compare_page(patient, other)
    return _choose_page(patient)


@blueprint.post("/<patient_id>/merge/with")
def compare_with(patient_id: str) -> Response | tuple[str, int]:
    """From the number of the other record to both beside each other; posted, so that it never stands in an address."""
    patient = patient_or_404(patient_id)
    if not (typed := request.form.get("mrn", "").strip().upper()):
        return redirect(url_for("patients.compare", patient_id=patient.id))
    found = queries.by_number(reader(), typed)
    if found is None:
        note_view(patient)
        return _choose_page(patient, [FieldProblem(field="mrn", text=text("There is no such record"))]), UNPROCESSABLE
    if found.id == patient.id:
        note_view(patient)
        problem = FieldProblem(field="mrn", text=text("These are one record already"))
        return _choose_page(patient, [problem]), UNPROCESSABLE
    return redirect(url_for("patients.compare", patient_id=patient.id, other=found.id))


@blueprint.post("/<patient_id>/merge")
def merge(patient_id: str) -> Response | tuple[str, int]:
    """Merge the two records that were compared."""
    one, other = patient_or_404(patient_id), patient_or_404(request.form.get("other", ""))
    read, desk = merge_rules.read(request.form, one, other), this_desk()
    token = request_key.posted_form(request.form)
    if one.id == other.id:
        # A second click, or somebody else was quicker.
        return _merged(one.id)
    if isinstance(read, list):
        return _compare_page(one, other, read), UNPROCESSABLE
    kept, merged, reason = read

    def work(conn: Connection) -> str:
        return merging.merge(conn, kept.id, merged.id, desk, reason=reason).id

    try:
        kept_id = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except NotMerged as refused:
        return _compare_page(one, other, [FieldProblem(field="kept", text=refused.why)]), CONFLICT
    return _merged(kept_id)


def _merged(patient_id: str) -> Response:
    """To the one record that they are now."""
    return redirect(url_for("patients.record", patient_id=patient_or_404(patient_id).id, saved="merged"))


@blueprint.post("/<patient_id>/merge/undo")
def undo_merge(patient_id: str) -> str | Response | tuple[str, int]:
    """Take a merge back, with the reason."""
    patient, merged_id = patient_or_404(patient_id), request.form.get("merged", "")
    reason = merge_rules.why(request.form)
    if isinstance(reason, FieldProblem):
        problem = FieldProblem(field=f"undo-{merged_id}", text=reason.text)
        values = {problem.field: request.form.get("reason", "")}
        return record_page(patient, values=values, problems=[problem]), UNPROCESSABLE
    desk = this_desk()
    try:
        write(lambda conn: merging.undo(conn, patient.id, merged_id, desk, reason=reason))
    except KeyError:
        abort(404)
    return redirect(url_for("patients.record", patient_id=patient.id, saved="parted"))


@blueprint.post("/<patient_id>/apart")
def say_apart(patient_id: str) -> Response:
    """The two records that were compared are of different people."""
    return _said_apart(patient_id, apart.say, "patients_told_apart", saved="apart")


@blueprint.post("/<patient_id>/apart/undo")
def take_back_apart(patient_id: str) -> Response:
    """That is not said any more: they may be one person."""
    return _said_apart(patient_id, apart.take_back, "telling_apart_undone", saved="not-apart")


def _said_apart(
    patient_id: str, act: Callable[[Connection, str, str, Desk], bool], action: str, *, saved: str
) -> Response:
    one, other = patient_or_404(patient_id), patient_or_404(request.form.get("other", ""))
    desk = this_desk()

    def work(conn: Connection) -> None:
        if act(conn, one.id, other.id, desk):
            desk.trace(conn, action, f"patient:{one.id}", other=other.id)

    write(work)
    return redirect(url_for("patients.record", patient_id=one.id, saved=saved, _anchor="twins"))


def _choose_page(patient: Patient, problems: Sequence[FieldProblem] = ()) -> str:
    return render_template(
        "patients/merge_with.html", patient=patient, twins=twins_of(patient),
        aparts=apart.of_person(reader(), patient.id), problems=problems,
        errors=by_field(problems), values=request.form, labels=said_labels(merge_rules.LABELS),
    )  # fmt: skip


def _compare_page(one: Patient, other: Patient, problems: Sequence[FieldProblem] = ()) -> str:
    desk = this_desk()
    sides = [merging.side(reader(), patient, desk) for patient in (one, other)]
    return render_template(
        "patients/merge.html", sides=sides, differing=merge_rules.differing(one, other),
        hindrance=merge_rules.hindrance(*sides), said=apart.between(reader(), one.id, other.id),
        problems=problems, errors=by_field(problems),
        values=request.form if problems else {"kept": merge_rules.suggested(*sides)},
        labels=said_labels(merge_rules.LABELS),
        request_key=request.form.get(request_key.FIELD, "") if problems else "",
    )  # fmt: skip
