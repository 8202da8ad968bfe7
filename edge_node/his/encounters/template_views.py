"""A note's prose as a template of the doctor's own department: shown before it is kept, and retired again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import abort, redirect, render_template, request, url_for

from edge_node.his import audit, request_key
from edge_node.his.context import reader, write
from edge_node.his.encounters import note_templates, rules
from edge_node.his.encounters.desk import Case
from edge_node.his.encounters.forms import parse_note
from edge_node.his.encounters.note import PROSE_FIELDS
from edge_node.his.encounters.queue_views import Page, blueprint, case_of
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.patients.desk import this_desk
from edge_node.his.security import current_staff, who
from edge_node.i18n import text
from edge_node.store.connection import Connection

UNPROCESSABLE = 422


class _Taken(Exception):
    """A template of this name is offered already; nothing is kept, not even the form's key."""


@blueprint.get("/<encounter_id>/template")
def template(encounter_id: str) -> Page:
    """The prose of the note as it was saved last, to take out what belongs to the patient."""
    case = case_of(encounter_id)
    audit.viewed(who(), f"encounter:{encounter_id}", {"page": "template"})
    return _page(case, {name: getattr(case.note, name) for name in PROSE_FIELDS})


@blueprint.post("/<encounter_id>/template")
def keep_template(encounter_id: str) -> Page:
    """Keep a template of one's own department, or retire one."""
    case, department_id = case_of(encounter_id), current_staff().department_id
    if "retire" in request.form:
        return _retire(case, request.form["retire"], department_id or abort(400))
    name, prose = request.form.get("name", "").strip(), note_templates.prose_of(parse_note(request.form))
    problems = note_templates.problems(name, prose, case.patient)
    if department_id is None:
        problems.append(FieldProblem(field="name", text=text("You belong to no department that could have it")))
    if problems or department_id is None:
        return _page(case, request.form, problems), UNPROCESSABLE
    desk, token = this_desk(), request_key.posted_form(request.form)

    def work(conn: Connection) -> str:
        template_id = note_templates.keep(conn, name, prose, department_id=department_id)
        if template_id is None:
            raise _Taken
        desk.trace(conn, "note_template_saved", f"note_template:{template_id}", name=name)
        return template_id

    try:
        template_id = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    except _Taken:
        taken = FieldProblem(field="name", text=text("There is a template of this name: retire it, or choose another"))
        return _page(case, request.form, [taken]), UNPROCESSABLE
    return redirect(url_for(".template", encounter_id=encounter_id, kept=template_id))


def _retire(case: Case, template_id: str, department_id: str) -> Page:
    desk = this_desk()

    def work(conn: Connection) -> None:
        if note_templates.retire(conn, template_id, department_id=department_id):
            desk.trace(conn, "note_template_retired", f"note_template:{template_id}")

    write(work)
    return redirect(url_for(".template", encounter_id=case.encounter.id))


def _page(case: Case, values: Mapping[str, str], problems: Sequence[FieldProblem] = ()) -> str:
    return render_template(
        "encounters/template.html", case=case, patient=case.patient, entry=case.entry, values=values,
        problems=problems, errors=by_field(problems), field_names=rules.FIELD_NAMES, prose_fields=PROSE_FIELDS,
        request_key=request.form.get(request_key.FIELD, ""), name_limit=note_templates.NAME_LIMIT,
        kept=note_templates.get(reader(), request.args.get("kept", "")),
        own=note_templates.of_department(reader(), current_staff().department_id),
    )  # fmt: skip
