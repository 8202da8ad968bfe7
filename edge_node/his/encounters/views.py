"""The doctor's pages: the queue, the note, its signature, its versions.

A form of a note carries the revision that it was filled from. Posting it twice is harmless by itself (what is saved is
not saved again), and what somebody else saved meanwhile is never written over: both sides are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.base.clock import ClockState
from edge_node.his import audit, request_key
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import desk, forms, merge, message, queries, rules, versions
from edge_node.his.encounters.desk import Case, Stage
from edge_node.his.encounters.note import PROSE_FIELDS, TEXT_FIELDS, Note, from_json, to_json
from edge_node.his.encounters.versions import Overtaken, Saved, Signed
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import language, say, today
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from edge_node.his.security import current_staff, require, who
from edge_node.his.staff.model import Role
from edge_node.i18n import ENGLISH, text
from edge_node.outbox import queue as outbox
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection

blueprint = Blueprint("encounters", __name__, url_prefix="/encounters")

# What fits beneath the field; whoever does not find it among these types one letter more.
MATCHES = 7
# Their problems are too short to stand alone in a list: "25 to 45" of what?
MEASURES = tuple(name for name in TEXT_FIELDS if name not in PROSE_FIELDS)

Page = Response | str | tuple[str, int]


@blueprint.get("/")
@require(Role.DOCTOR)
def index() -> Page:
    """The queue, and nobody opened yet."""
    return render_template("encounters/index.html", rail=_rail(everyone="all" in request.args))


@blueprint.post("/call")
@require(Role.DOCTOR)
def call() -> Page:
    """Call in whoever waits longest."""
    encounter_id = _call_next(request_key.posted(request.form), everyone="all" in request.form)
    return redirect(url_for(".show", encounter_id=encounter_id) if encounter_id else url_for(".index"))


@blueprint.get("/queue/<registration_id>")
@require(Role.DOCTOR)
def waiting(registration_id: str) -> Page:
    """Somebody of the queue before they are called in; once they are, their encounter."""
    entry = reception.entry(reader(), registration_id)
    if entry is None:
        abort(404)
    encounter = queries.of_registration(reader(), registration_id)
    if encounter and entry.status in (Status.WITH_DOCTOR, Status.DONE):
        return redirect(url_for(".show", encounter_id=encounter.id))
    audit.viewed(who(), f"registration:{registration_id}")
    return render_template(
        "encounters/waiting.html", rail=_rail(), entry=entry, patient=entry.patient, today=today(), Status=Status,
        history=desk.history(reader(), entry.patient.id, except_registration=registration_id), before=encounter,
    )  # fmt: skip


@blueprint.post("/queue/<registration_id>")
@require(Role.DOCTOR)
def begin(registration_id: str) -> Page:
    """Call in this one; if somebody else was quicker, the page says who has them."""
    if reception.entry(reader(), registration_id) is None:
        abort(404)
    doctor, now, by = current_staff(), audit.moment(), who()

    def work(conn: Connection) -> str | None:
        encounter_id = queries.begin(conn, registration_id, doctor_id=doctor.id, at=now.at)
        if encounter_id:
            _record(conn, by, now, "encounter_begun", encounter_id)
        return encounter_id

    encounter_id = write(work)
    if encounter_id:
        return redirect(url_for(".show", encounter_id=encounter_id))
    return redirect(url_for(".waiting", registration_id=registration_id))


@blueprint.post("/<encounter_id>/back")
@require(Role.DOCTOR)
def put_back(encounter_id: str) -> Page:
    """The patient was called and did not come."""
    _case(encounter_id)
    now, by = audit.moment(), who()

    def work(conn: Connection) -> bool:
        done = queries.put_back(conn, encounter_id)
        if done:
            _record(conn, by, now, "encounter_put_back", encounter_id)
        return done

    return redirect(url_for(".index") if write(work) else url_for(".show", encounter_id=encounter_id))


@blueprint.get("/<encounter_id>")
@require(Role.DOCTOR)
def show(encounter_id: str) -> Page:
    """The note: its form while it is written, else the newest signed version."""
    case = _case(encounter_id)
    audit.viewed(who(), f"encounter:{encounter_id}")
    if case.stage is Stage.WRITING or "amend" in request.args:
        reason = case.draft.reason if case.draft and case.stage is Stage.AMENDING else ""
        return _form(case, case.note, reason, dx=request.args.get("dx", ""))
    return render_template(
        "encounters/signed.html", **_around(case), version=case.versions[0],
        english=_english(case.versions[0].note), broken=_broken(case),
    )  # fmt: skip


@blueprint.post("/<encounter_id>")
@require(Role.DOCTOR)
def save(encounter_id: str) -> Page:
    """Everything that the note's form can do: keep, look a diagnosis up, add one or take one away, sign, call next."""
    case = _case(encounter_id)
    note, reason, based_on = _posted()
    dx = request.form.get("dx", "").strip()
    action = request.form.get("action", "")
    if action == "sign":
        return _sign(case, note, reason, based_on, dx)
    if "add" in request.form:
        note, dx = rules.with_diagnosis(note, forms.parse_diagnosis(request.form["add"])), ""
    elif "remove" in request.form:
        note = rules.without_diagnosis(note, forms.parse_diagnosis(request.form["remove"]))
    elif "main" in request.form:
        note = rules.with_main(note, forms.parse_diagnosis(request.form["main"]))
    elif dx and action in ("find", "enter"):
        found = desk.only_match(queries.find_diagnoses(reader(), dx), dx)
        if found:
            note, dx = rules.with_diagnosis(note, found.as_diagnosis()), ""
    return _keep(case, note, reason, based_on, dx, then_call=action == "call")


@blueprint.post("/<encounter_id>/settle")
@require(Role.DOCTOR)
def settle(encounter_id: str) -> Page:
    """End a conflict by one of its three ways; every way keeps what both had written."""
    case = _case(encounter_id)
    merged, reason, shown = _posted()
    try:
        mine, based_on = from_json(request.form.get("mine", "")), whole_number(request.form.get("based_on", ""))
    except ValueError:
        abort(400)
    saved = versions.draft(reader(), encounter_id, shown) or abort(400)
    if rules.too_long(mine):
        abort(400)
    results = {"merged": merged, "mine": mine, "saved": saved.note}
    result = results.get(request.form.get("action", "merged"), merged)
    if problems := rules.too_long(result):
        return _conflict(case, saved.note, shown, mine, reason, based_on, problems, result)
    now, by, staff = audit.moment(), who(), current_staff()

    def work(conn: Connection) -> Saved | Overtaken:
        outcome = versions.settle(
            conn, encounter_id, mine=mine, result=result, based_on=shown, by=staff.id, at=now.at, reason=reason
        )
        if isinstance(outcome, Saved) and outcome.is_new:
            _record(conn, by, now, "note_conflict_settled", encounter_id, revision=outcome.revision)
        return outcome

    return _after(case, write(work), mine, reason, based_on)


@blueprint.get("/<encounter_id>/versions")
@require(Role.DOCTOR)
def history(encounter_id: str) -> Page:
    """All signed versions and saved drafts: who wrote what and when; one of them against the one before it."""
    case = _case(encounter_id)
    audit.viewed(who(), f"encounter:{encounter_id}", {"page": "versions"})
    drafts = versions.drafts(reader(), encounter_id)
    chosen = request.args.get("revision", drafts[0].revision if drafts else 0, type=int)
    shown = next((draft for draft in drafts if draft.revision == chosen), None)
    if drafts and shown is None:
        abort(404)
    before = next((draft.note for draft in drafts if draft.revision == chosen - 1), shown.note if shown else Note())
    return render_template(
        "encounters/versions.html", **_around(case), drafts=drafts, shown=shown, before=before,
        signed={version.revision: version for version in case.versions}, broken=_broken(case),
        differences=merge.compare(before, before, shown.note) if shown else None,
    )  # fmt: skip


# What the handlers share.


def _case(encounter_id: str) -> Case:
    case = desk.case(reader(), encounter_id)
    if case is None:
        abort(404)
    return case


def _posted() -> tuple[Note, str, int]:
    try:
        based_on = forms.parse_revision(request.form)
    except ValueError:
        abort(400)
    return forms.parse_note(request.form), request.form.get("reason", "").strip(), based_on


def _record(conn: Connection, by: audit.Who, now: audit.Moment, action: str, encounter_id: str, **detail: Any) -> None:
    audit.record(conn, by, action, f"encounter:{encounter_id}", detail, at=now.at, clock_state=now.clock_state)


def _tell(conn: Connection, case: Case, doctor: str, upstreams: Sequence[Route], now: audit.Moment) -> None:
    """Put the message about what was just signed, within the transaction of the signature."""
    newest = versions.versions(conn, case.encounter.id)[0]
    body = message.of_version(case.encounter.id, case.entry, newest, doctor_code=doctor)
    outbox.put(conn, topic=message.TOPIC, key=case.patient.id, body=body, upstreams=upstreams, at=now.at)


def _call_next(token: str, *, everyone: bool) -> str:
    """The id of the encounter that began, "" when nobody waits; a second click finds the first one's."""
    doctor, now, by, day = current_staff(), audit.moment(), who(), today()

    def work(conn: Connection) -> str:
        encounter_id = queries.call_next(
            conn, queue_date=day, doctor_id=doctor.id, at=now.at,
            department_id=None if everyone else doctor.department_id,
        )  # fmt: skip
        if encounter_id:
            _record(conn, by, now, "encounter_begun", encounter_id)
        return encounter_id or ""

    return write(lambda conn: request_key.once(conn, token, work, at=now.at))


def _keep(case: Case, note: Note, reason: str, based_on: int, dx: str, *, then_call: bool) -> Page:
    if problems := rules.too_long(note):
        return _form(case, note, reason, dx, problems, based_on)
    now, by, staff = audit.moment(), who(), current_staff()

    def work(conn: Connection) -> Saved | Overtaken:
        outcome = versions.save(
            conn, case.encounter.id, note, based_on=based_on, by=staff.id, at=now.at, reason=reason
        )  # fmt: skip
        if isinstance(outcome, Saved) and outcome.is_new:
            _record(conn, by, now, "note_saved", case.encounter.id, revision=outcome.revision)
        return outcome

    outcome = write(work)
    if then_call and isinstance(outcome, Saved):
        return call()
    return _after(case, outcome, note, reason, based_on, dx)


def _sign(case: Case, note: Note, reason: str, based_on: int, dx: str) -> Page:
    # The number that the form was opened for: after a double click the first post has made that version already.
    n = request.form.get("version", case.next_version, type=int)
    problems = rules.before_signing(note, today=today(), birth_date=case.patient.birth_date)
    if amended := next((version for version in case.versions if version.n == n - 1), None):
        problems += rules.before_amending(note, amended.note, reason)
    if dx:
        problems.append(
            FieldProblem(field="dx", text=text('"%(typed)s" is typed, but not added to the list', typed=dx))
        )
    if problems:
        return _form(case, note, reason, dx, problems, based_on)
    now, by, staff, mode = audit.moment(), who(), current_staff(), context().node_status().mode
    upstreams = context().upstreams

    def work(conn: Connection) -> Signed | Overtaken:
        outcome = versions.sign(
            conn, case.encounter.id, note, n=n, based_on=based_on, by=staff.id, at=now.at,
            clock_state=str(now.clock_state), mode=str(mode), reason=reason,
        )  # fmt: skip
        if isinstance(outcome, Signed):
            _tell(conn, case, staff.code, upstreams, now)
            _record(conn, by, now, "note_signed", case.encounter.id, version=outcome.n)
        return outcome

    return _after(case, write(work), note, reason, based_on)


def _after(
    case: Case, outcome: Saved | Signed | Overtaken, mine: Note, reason: str, based_on: int, dx: str = ""
) -> Page:
    """Where a post leads: to the note, or to both sides of it."""
    encounter_id = case.encounter.id
    if isinstance(outcome, Signed):
        return redirect(url_for(".show", encounter_id=encounter_id))
    if isinstance(outcome, Saved) or outcome.draft.note == mine:
        amend = 1 if isinstance(outcome, Saved) and case.versions else None
        anchor = "found" if dx else None
        return redirect(url_for(".show", encounter_id=encounter_id, amend=amend, dx=dx or None, _anchor=anchor))
    return _conflict(_case(encounter_id), outcome.draft.note, outcome.draft.revision, mine, reason, based_on)


def _rail(*, everyone: bool = False, limit: int | None = None) -> desk.Rail:
    staff = current_staff()
    return desk.rail(
        reader(), queue_date=today(), doctor_id=staff.id, now=context().clock.wall_ms(), limit=limit,
        department_id=None if everyone else staff.department_id,
    )  # fmt: skip


def _around(case: Case) -> dict[str, Any]:
    """What every page of one encounter shows around its note."""
    return {
        "case": case, "patient": case.patient, "entry": case.entry, "today": today(), "Stage": Stage,
        "rail": _rail(limit=desk.RAIL_BESIDE_NOTE),
        "history": desk.history(reader(), case.patient.id, except_registration=case.entry.registration_id),
        "field_names": rules.FIELD_NAMES, "measure_names": {name: say(rules.FIELD_NAMES[name]) for name in MEASURES},
        "can_put_back": case.draft is None,
    }  # fmt: skip


def _english(note: Note) -> dict[str, str]:
    """The English names of the codes on an English page; on a Chinese one the note's own stand alone."""
    return desk.english_names(reader(), note) if language() == ENGLISH else {}


def _broken(case: Case) -> int | None:
    return versions.broken_version(reader(), case.encounter.id)


def _form(
    case: Case, note: Note, reason: str, dx: str = "", problems: list[FieldProblem] | None = None, based_on: int = -1
) -> Page:
    """The note's form; with the problems of a post, everything typed is in it again."""
    amending = bool(case.versions)
    still = rules.before_signing(note, today=today(), birth_date=case.patient.birth_date)
    if amending:
        still += rules.before_amending(note, case.versions[0].note, reason)
    page = render_template(
        "encounters/note.html", **_around(case), note=note, reason=reason, dx=dx, problems=problems or [],
        errors=by_field(problems or []), amending=amending, still=still,
        revision=case.revision if based_on < 0 else based_on,
        matches=queries.find_diagnoses(reader(), dx, limit=MATCHES), diagnosis_value=forms.diagnosis_value,
        english=_english(note),
        remarks=rules.remarks(note, birth_date=case.patient.birth_date, today=today()),
        clock_suspect=context().node_status().clock is ClockState.SUSPECT,
    )  # fmt: skip
    return (page, 422) if problems else page


def _conflict(
    case: Case,
    saved: Note,
    shown: int,
    mine: Note,
    reason: str,
    based_on: int,
    problems: list[FieldProblem] | None = None,
    merged: Note | None = None,
) -> Page:
    """Both sides of a note that two people changed. `shown` is the saved revision, `based_on` what mine began with."""
    base = versions.draft(reader(), case.encounter.id, based_on)
    conflict = merge.compare(base.note if base else Note(), saved, mine)
    page = render_template(
        "encounters/conflict.html", **_around(case), conflict=conflict, saved=versions.draft(
            reader(), case.encounter.id, shown
        ), mine=to_json(mine), reason=reason, based_on=based_on, shown=shown, merged=merged or conflict.merged,
        problems=problems or [], errors=by_field(problems or []), diagnosis_value=forms.diagnosis_value,
    )  # fmt: skip
    return page, 422 if problems else 409
