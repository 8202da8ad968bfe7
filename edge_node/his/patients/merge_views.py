"""Merging over HTTP: two records beside each other, one of them kept; and taking it back."""

from __future__ import annotations

from collections.abc import Sequence

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import request_key
from edge_node.his.context import reader, write
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.patients import merge_rules, merging, queries
from edge_node.his.patients.desk import this_desk
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
    """A record beside the other one that is named, by its id or its number; without one, which it may be."""
    patient = patient_or_404(patient_id)
    note_view(patient)
    if other_id := request.args.get("other"):
        other = patient_or_404(other_id)
        note_view(other)
        return _compare_page(patient, other)
    if not (typed := request.args.get("mrn", "").strip().upper()):
        return _choose_page(patient)
    found = queries.by_number(reader(), typed)
    if found is None:
        return _choose_page(patient, [FieldProblem(field="mrn", text=text("There is no such record"))]), UNPROCESSABLE
    if found.id == patient.id:
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


def _choose_page(patient: Patient, problems: Sequence[FieldProblem] = ()) -> str:
    return render_template(
        "patients/merge_with.html", patient=patient, twins=twins_of(patient), problems=problems,
        errors=by_field(problems), values=request.args, labels=said_labels(merge_rules.LABELS),
    )  # fmt: skip


def _compare_page(one: Patient, other: Patient, problems: Sequence[FieldProblem] = ()) -> str:
    desk = this_desk()
    sides = [merging.side(reader(), patient, desk) for patient in (one, other)]
    return render_template(
        "patients/merge.html", sides=sides, differing=merge_rules.differing(one, other),
        hindrance=merge_rules.hindrance(*sides), problems=problems, errors=by_field(problems),
        values=request.form if problems else {"kept": merge_rules.suggested(*sides)},
        labels=said_labels(merge_rules.LABELS),
        request_key=request.form.get(request_key.FIELD, "") if problems else "",
    )  # fmt: skip
