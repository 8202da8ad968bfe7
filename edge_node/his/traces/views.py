"""The audit log over HTTP: read by filters, page by page; that somebody read it stands in it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit
from edge_node.his.context import reader
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import say
from edge_node.his.security import may, who
from edge_node.his.staff import queries as staff
from edge_node.his.traces import queries
from edge_node.his.traces.forms import Filter, parse
from edge_node.his.traces.queries import Wanted
from edge_node.his.traces.words import ACTIONS, KINDS
from edge_node.i18n import text

# About two screens of rows.
SHOWN = 50
UNPROCESSABLE = 422

blueprint = Blueprint("traces", __name__, url_prefix="/audit")


@blueprint.get("")
def index() -> str:
    """The newest rows, or those that the address asks for; an address that no form of ours made asks for all."""
    chosen = _chosen(request.args)
    wanted = _wanted(chosen)
    try:
        before = whole_number(request.args["before"]) if "before" in request.args else None
    except ValueError:
        before = None
    # First written, then shown: the newest row of the page is that this page was read.
    audit.viewed(who(), "audit:log", {name: value for name, value in chosen.items() if value})
    return _page(chosen, wanted=wanted, before=before)


@blueprint.post("/find")
def find() -> str | Response | tuple[str, int]:
    """From a form to an address; posted, so that a record number never stands in one."""
    asked = parse(request.form)
    problems: list[FieldProblem] = asked if isinstance(asked, list) else []
    patient_id = None
    if isinstance(asked, Filter):
        if asked.mrn and (patient_id := queries.patient_by_number(reader(), asked.mrn)) is None:
            problems.append(FieldProblem(field="mrn", text=text("No record has this number")))
        if asked.staff_code and staff.find_by_code(reader(), asked.staff_code) is None:
            problems.append(FieldProblem(field="person", text=text("Choose one of the list")))
    if problems or not isinstance(asked, Filter):
        return _page(dict(request.form), problems=problems), UNPROCESSABLE
    chosen = {
        "person": asked.staff_code, "patient": patient_id, "action": asked.action,
        "day": asked.day.isoformat() if asked.day else None,
    }  # fmt: skip
    return redirect(_address({name: value for name, value in chosen.items() if value}))


def _chosen(given: Mapping[str, str]) -> dict[str, str]:
    """What the address asks for, without what makes no sense."""
    chosen = {}
    if (person := staff.find_by_code(reader(), given.get("person", ""))) is not None:
        chosen["person"] = person.code
    if queries.number_of_patient(reader(), given.get("patient", "")) is not None:
        chosen["patient"] = given["patient"]
    if given.get("action", "") in ACTIONS:
        chosen["action"] = given["action"]
    if isinstance(asked := parse({"day": given.get("day", "")}), Filter) and asked.day:
        chosen["day"] = asked.day.isoformat()
    return chosen


def _wanted(chosen: Mapping[str, str]) -> Wanted:
    person = staff.find_by_code(reader(), chosen.get("person", ""))
    since, until = _bounds(date.fromisoformat(chosen["day"])) if "day" in chosen else (None, None)
    return Wanted(
        staff_id=person.id if person else None, patient_id=chosen.get("patient"), action=chosen.get("action"),
        since=since, until=until,
    )  # fmt: skip


def _bounds(day: date) -> tuple[int, int]:
    """From midnight to midnight of the clinic's own day, in UTC milliseconds."""
    begins = datetime.combine(day, datetime.min.time())
    return int(begins.timestamp() * 1000), int((begins + timedelta(days=1)).timestamp() * 1000)


def _address(chosen: Mapping[str, str], **more: Any) -> str:
    values: dict[str, Any] = {**chosen, **more}
    return url_for(".index", **values)


def _page(
    chosen: Mapping[str, str],
    *,
    wanted: Wanted | None = None,
    before: int | None = None,
    problems: Sequence[FieldProblem] = (),
) -> str:
    rows = [] if wanted is None else queries.page(reader(), wanted, before=before, limit=SHOWN + 1)
    shown = rows[:SHOWN]
    values = dict(chosen)
    if "patient" in chosen:
        values["mrn"] = queries.number_of_patient(reader(), chosen["patient"]) or ""
    return render_template(
        "audit/index.html",
        values=values,
        problems=problems,
        errors=by_field(problems),
        traces=shown,
        about=queries.about(reader(), shown),
        older=_address(chosen, before=shown[-1].seq) if len(rows) > SHOWN else None,
        newest=_address(chosen) if before is not None else None,
        people=[(person.code, f"{person.name} ({person.code})") for person in staff.everybody(reader())],
        actions=[(action, say(name)) for action, name in ACTIONS.items()],
        action_names=ACTIONS,
        kind_names=KINDS,
        may_open_records=may("patients.record"),
        may_see_permissions=may("settings.permissions"),
    )
