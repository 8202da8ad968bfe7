"""The doctor's pages: the queue, the note, its signature, its versions.

A form of a note carries the revision that it was filled from. Posting it twice is harmless by itself (what is saved is
not saved again), and what somebody else saved meanwhile is never written over: both sides are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import abort, redirect, render_template, request, url_for

from edge_node.base.clock import ClockState
from edge_node.his import audit
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import desk, forms, merge, message, queries, rules, versions, with_sheets
from edge_node.his.encounters.desk import Case, Stage
from edge_node.his.encounters.note import PROSE_FIELDS, TEXT_FIELDS, Note, from_json, to_json
from edge_node.his.encounters.queue_views import Page, blueprint, call, case_of, rail, record
from edge_node.his.encounters.versions import Overtaken, Saved, Signed
from edge_node.his.encounters.with_sheets import Held, Typed
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import language, say, today
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.routes import ROUTES
from edge_node.his.prescriptions.sheets import Overtaken as SheetOvertaken
from edge_node.his.prescriptions.words import KINDS
from edge_node.his.prescriptions.work import Kept, Wish
from edge_node.his.security import current_staff, who
from edge_node.i18n import ENGLISH, text
from edge_node.outbox import queue as outbox
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection

# What fits beneath the field; whoever does not find it among these types one letter more.
MATCHES = 7
# Their problems are too short to stand alone in a list: "25 to 45" of what?
MEASURES = tuple(name for name in TEXT_FIELDS if name not in PROSE_FIELDS)


__all__ = ["blueprint"]


@blueprint.get("/<encounter_id>")
def show(encounter_id: str) -> Page:
    """The note: its form while it is written, else the newest signed version."""
    case = case_of(encounter_id)
    audit.viewed(who(), f"encounter:{encounter_id}")
    if case.stage is Stage.WRITING or "amend" in request.args:
        reason = case.draft.reason if case.draft and case.stage is Stage.AMENDING else ""
        return _form(case, Typed(note=case.note, reason=reason, based_on=case.revision, dx=request.args.get("dx", "")))
    return render_template(
        "encounters/signed.html", **_around(case), version=case.versions[0],
        english=_english(case.versions[0].note), broken=_broken(case), sheets=with_sheets.signed(case),
        kinds=KINDS, routes=ROUTES, frequencies={code: frequency.words for code, frequency in FREQUENCIES.items()},
    )  # fmt: skip


@blueprint.post("/<encounter_id>")
def save(encounter_id: str) -> Page:
    """Everything that the form of note and sheet can do; whatever the button, everything typed is kept first."""
    case, typed = case_of(encounter_id), _typed()
    action = request.form.get("action", "")
    if action == "sign":
        return _sign(case, typed)
    note, dx = typed.note, typed.dx
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
    return _keep(case, replace(typed, note=note, dx=dx), with_sheets.wish(typed.sheet), then_call=action == "call")


@blueprint.post("/<encounter_id>/settle")
def settle(encounter_id: str) -> Page:
    """End a conflict by one of its three ways; every way keeps what both had written."""
    case = case_of(encounter_id)
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
            record(conn, by, now, "note_conflict_settled", encounter_id, revision=outcome.revision)
        return outcome

    return _after(case, write(work), Typed(note=mine, reason=reason, based_on=based_on))


@blueprint.get("/<encounter_id>/versions")
def history(encounter_id: str) -> Page:
    """All signed versions and saved drafts: who wrote what and when; one of them against the one before it."""
    case = case_of(encounter_id)
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


def _typed() -> Typed:
    note, reason, based_on = _posted()
    return Typed(
        note=note, reason=reason, based_on=based_on, dx=request.form.get("dx", "").strip(), sheet=with_sheets.posted()
    )


def _posted() -> tuple[Note, str, int]:
    try:
        based_on = forms.parse_revision(request.form)
    except ValueError:
        abort(400)
    return forms.parse_note(request.form), request.form.get("reason", "").strip(), based_on


def _tell(conn: Connection, case: Case, doctor: str, upstreams: Sequence[Route], now: audit.Moment) -> None:
    """Put the message about what was just signed, within the transaction of the signature."""
    newest = versions.versions(conn, case.encounter.id)[0]
    body = message.of_version(case.encounter.id, case.entry, newest, doctor_code=doctor)
    outbox.put(conn, topic=message.TOPIC, key=case.patient.id, body=body, upstreams=upstreams, at=now.at)


def _keep(case: Case, typed: Typed, wish: Wish, *, then_call: bool) -> Page:
    if problems := [*rules.too_long(typed.note), *with_sheets.too_long(typed.sheet)]:
        return _form(case, typed, problems)
    now, by, staff = audit.moment(), who(), current_staff()
    sheet = with_sheets.keeping(case, typed.sheet, wish, now)

    def work(conn: Connection) -> tuple[Saved | Overtaken, Kept | SheetOvertaken | None]:
        outcome = versions.save(
            conn, case.encounter.id, typed.note, based_on=typed.based_on, by=staff.id, at=now.at, reason=typed.reason
        )  # fmt: skip
        if isinstance(outcome, Saved) and outcome.is_new:
            record(conn, by, now, "note_saved", case.encounter.id, revision=outcome.revision)
        return outcome, sheet(conn)

    outcome, kept = write(work)
    if isinstance(kept, SheetOvertaken):
        return _form(case_of(case.encounter.id), with_sheets.beside(typed, outcome, kept), overtaken=kept)
    if then_call and isinstance(outcome, Saved):
        return call()
    return _after(case, outcome, typed, sheet_id=kept.sheet_id if kept else "", wish=wish)


def _sign(case: Case, typed: Typed) -> Page:
    # The number that the form was opened for: after a double click the first post has made that version already.
    n = request.form.get("version", case.next_version, type=int)
    note, reason = typed.note, typed.reason
    problems = [
        *rules.before_signing(note, today=today(), birth_date=case.patient.birth_date),
        *with_sheets.too_long(typed.sheet),
    ]
    amended = next((version for version in case.versions if version.n == n - 1), None)
    # A sheet may be changed while the note stays as it is.
    only_sheets = amended is not None and note == amended.note and with_sheets.changes(case, typed.sheet)
    if amended is not None:
        problems += [one for one in rules.before_amending(note, amended.note, reason) if not (
            only_sheets and one.field == "complaint"
        )]  # fmt: skip
    for field, left in (("dx", typed.dx), ("rx-q", typed.sheet.wanted if typed.sheet else "")):
        if left:
            said = text('"%(typed)s" is typed, but not added to the list', typed=left)
            problems.append(FieldProblem(field=field, text=said))
    if problems:
        return _form(case, typed, problems)
    now, by, staff, mode = audit.moment(), who(), current_staff(), str(context().node_status().mode)
    upstreams, keep = context().upstreams, with_sheets.keeping(case, typed.sheet, Wish(), now)
    sheets_signed = with_sheets.signing(case, note, reason, now, mode)

    def work(conn: Connection) -> Signed | Overtaken | SheetOvertaken | Held:
        kept = keep(conn)
        if isinstance(kept, SheetOvertaken):
            return kept
        held = sheets_signed(conn, True)
        if held is not None:
            return held
        if only_sheets:
            outcome: Signed | Overtaken = Signed(n=n - 1)
        else:
            outcome = versions.sign(
                conn, case.encounter.id, note, n=n, based_on=typed.based_on, by=staff.id, at=now.at,
                clock_state=str(now.clock_state), mode=mode, reason=reason,
            )  # fmt: skip
        if isinstance(outcome, Signed):
            sheets_signed(conn, False)
            if not only_sheets:
                _tell(conn, case, staff.code, upstreams, now)
                record(conn, by, now, "note_signed", case.encounter.id, version=outcome.n)
        return outcome

    outcome = write(work)
    if isinstance(outcome, Held):
        return _form(case_of(case.encounter.id), replace(typed, sheet=outcome.shown), outcome.problems)
    if isinstance(outcome, SheetOvertaken):
        return _form(case_of(case.encounter.id), with_sheets.beside(typed, None, outcome), overtaken=outcome)
    return _after(case, outcome, typed)


def _after(
    case: Case, outcome: Saved | Signed | Overtaken, typed: Typed, *, sheet_id: str = "", wish: Wish | None = None
) -> Page:
    """Where a post leads: to the note, or to both sides of it."""
    encounter_id = case.encounter.id
    if isinstance(outcome, Signed):
        return redirect(url_for(".show", encounter_id=encounter_id))
    if isinstance(outcome, Saved) or outcome.draft.note == typed.note:
        amend = 1 if isinstance(outcome, Saved) and case.versions else None
        wanted = with_sheets.still_wanted(typed.sheet, wish)
        anchor = "rx-found" if wanted else "found" if typed.dx else "rx-q" if wish is not None and wish.add else None
        return redirect(
            url_for(
                ".show",
                encounter_id=encounter_id,
                amend=amend,
                dx=typed.dx or None,
                rx=sheet_id or None,
                rxq=wanted or None,
                _anchor=anchor,
            )
        )
    return _conflict(
        case_of(encounter_id), outcome.draft.note, outcome.draft.revision, typed.note, typed.reason, typed.based_on
    )


def _around(case: Case) -> dict[str, Any]:
    """What every page of one encounter shows around its note."""
    history = desk.history(reader(), case.patient.id, except_registration=case.entry.registration_id)
    return {
        "case": case, "patient": case.patient, "entry": case.entry, "today": today(), "Stage": Stage,
        "rail": rail(limit=desk.RAIL_BESIDE_NOTE),
        "history": history, "earlier": with_sheets.earlier(history),
        "field_names": rules.FIELD_NAMES, "measure_names": {name: say(rules.FIELD_NAMES[name]) for name in MEASURES},
        "can_put_back": case.draft is None,
    }  # fmt: skip


def _english(note: Note) -> dict[str, str]:
    """The English names of the codes on an English page; on a Chinese one the note's own stand alone."""
    return desk.english_names(reader(), note) if language() == ENGLISH else {}


def _broken(case: Case) -> int | None:
    return versions.broken_version(reader(), case.encounter.id)


def _form(
    case: Case,
    typed: Typed,
    problems: Sequence[FieldProblem] = (),
    *,
    overtaken: SheetOvertaken | None = None,
) -> Page:
    """The form of note and sheet; with the problems of a post, everything typed is in it again."""
    note, amending = typed.note, bool(case.versions)
    sheet = with_sheets.page(case, note, typed.sheet)
    still = rules.before_signing(note, today=today(), birth_date=case.patient.birth_date)
    if amending:
        still += rules.before_amending(note, case.versions[0].note, typed.reason)
    page = render_template(
        "encounters/note.html", **_around(case), note=note, reason=typed.reason, dx=typed.dx, problems=problems,
        errors=by_field(problems), amending=amending, still=still, revision=typed.based_on,
        matches=queries.find_diagnoses(reader(), typed.dx, limit=MATCHES), diagnosis_value=forms.diagnosis_value,
        english=_english(note),
        remarks=rules.remarks(note, birth_date=case.patient.birth_date, today=today()),
        clock_suspect=context().node_status().clock is ClockState.SUSPECT,
        sheet=sheet, sheet_errors=by_field([*sheet.shown.problems, *problems]), overtaken=overtaken,
    )  # fmt: skip
    return (page, 422 if problems else 409) if problems or overtaken else page


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
