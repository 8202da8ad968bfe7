"""The doctor's pages: the queue, the note, its signature, its versions.

A form of a note carries the revision that it was filled from. Posting it twice is harmless by itself (what is saved is
not saved again), and what somebody else saved meanwhile is never written over: both sides are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import abort, redirect, render_template, request, url_for

from edge_node.base.clock import ClockState
from edge_node.his import audit, request_key, searching
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import (
    desk,
    forms,
    merge,
    message,
    note_paper_views,
    note_templates,
    paper_views,
    queries,
    rules,
    template_views,
    versions,
    with_sheets,
)
from edge_node.his.encounters.desk import Case, Stage
from edge_node.his.encounters.note import PROSE_FIELDS, TEXT_FIELDS, Note, from_json, to_json
from edge_node.his.encounters.queue_views import Page, blueprint, call, case_of, rail, record
from edge_node.his.encounters.versions import Overtaken, Saved, Signed
from edge_node.his.encounters.with_sheets import Held, Typed
from edge_node.his.forms import FieldProblem, by_field, whole_number
from edge_node.his.language import language, say, today
from edge_node.his.orders import with_note as with_orders
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.routes import ROUTES
from edge_node.his.prescriptions.sheets import Overtaken as SheetOvertaken
from edge_node.his.prescriptions.words import KINDS
from edge_node.his.prescriptions.work import Kept, Wish
from edge_node.his.security import current_staff, who
from edge_node.his.staff import proofs
from edge_node.i18n import ENGLISH, text
from edge_node.outbox import queue as outbox
from edge_node.outbox.model import Route
from edge_node.store.connection import Connection

# What fits beneath the field; whoever does not find it among these types one letter more.
MATCHES = 7
# Their problems are too short to stand alone in a list: "25 to 45" of what?
MEASURES = tuple(name for name in TEXT_FIELDS if name not in PROSE_FIELDS)


# With the routes of the modules beside it.
__all__ = ["blueprint", "note_paper_views", "paper_views", "template_views"]


@blueprint.get("/<encounter_id>")
def show(encounter_id: str) -> Page:
    """The note: its form while it is written, else the newest signed version."""
    case = case_of(encounter_id)
    audit.viewed(who(), f"encounter:{encounter_id}")
    if case.stage is Stage.WRITING or "amend" in request.args:
        reason = case.draft.reason if case.draft and case.stage is Stage.AMENDING else ""
        dx = searching.asked().get("dx", "")
        return _form(case, Typed(note=case.note, reason=reason, based_on=case.revision, dx=dx))
    return render_template(
        "encounters/signed.html", **_around(case), version=case.versions[0],
        english=_english(case.versions[0].note), broken=_broken(case), sheets=with_sheets.signed(case),
        unsigned=with_sheets.unsigned(encounter_id),
        kinds=KINDS, routes=ROUTES, frequencies={code: frequency.words for code, frequency in FREQUENCIES.items()},
    )  # fmt: skip


@blueprint.post("/<encounter_id>")
def save(encounter_id: str) -> Page:
    """Everything that the form of note and sheet can do; whatever the button, everything typed is kept first."""
    case, typed = case_of(encounter_id), _typed()
    action = request.form.get("action", "")
    # Enter in the field of the proof: nothing but a signature asks for one here.
    if action == "sign" or (action == "enter" and request.form.get(proofs.FIELD)):
        return _sign(case, typed)
    note, dx, said = typed.note, typed.dx, dict[str, str]()
    if "add" in request.form:
        note, dx = rules.with_diagnosis(note, forms.parse_diagnosis(request.form["add"])), ""
    elif "syndrome" in request.form:
        note, dx = rules.with_syndrome(note, forms.parse_diagnosis(request.form["syndrome"])), ""
    elif "remove" in request.form:
        note = rules.without_diagnosis(note, forms.parse_diagnosis(request.form["remove"]))
    elif "main" in request.form:
        note = rules.with_main(note, forms.parse_diagnosis(request.form["main"]))
    elif dx and action in ("find", "enter"):
        found = desk.only_match(_matches(note, dx), dx)
        if found:
            add = rules.with_syndrome if found.is_syndrome else rules.with_diagnosis
            note, dx = add(note, found.as_diagnosis()), ""
    elif action == "template" and (template := note_templates.get(reader(), request.form.get("template", ""))):
        filled = note_templates.filled(note, template.note)
        note, said = filled.note, {"filled": template.id, "left": ",".join(filled.left)}
    then = {"call": call, "as-template": lambda: redirect(url_for(".template", encounter_id=encounter_id))}.get(action)
    return _keep(case, replace(typed, note=note, dx=dx), with_sheets.wish(typed.sheet), then=then, said=said)


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


def _matches(note: Note, typed: str) -> list[queries.CatalogueEntry]:
    """What the catalogue has for what is typed; syndromes first while a disease of the note waits for one."""
    waits = rules.awaiting_syndrome(note) is not None
    return queries.find_diagnoses(reader(), typed, syndromes=waits, limit=MATCHES)


def _keep(
    case: Case, typed: Typed, wish: Wish, *, then: Callable[[], Page] | None, said: Mapping[str, Any] | None = None
) -> Page:
    ordered = with_orders.asked()
    if problems := [*rules.too_long(typed.note), *with_sheets.too_long(typed.sheet), *ordered.problems]:
        return _form(case, typed, problems)
    now, by, staff = audit.moment(), who(), current_staff()
    sheet = with_sheets.keeping(case, typed.sheet, wish, now)
    order = with_orders.doing(case.encounter.id, case.encounter.patient_id, ordered)

    def work(conn: Connection) -> tuple[Saved | Overtaken, Kept | SheetOvertaken | None, bool]:
        outcome = versions.save(
            conn, case.encounter.id, typed.note, based_on=typed.based_on, by=staff.id, at=now.at, reason=typed.reason
        )  # fmt: skip
        if isinstance(outcome, Saved) and outcome.is_new:
            record(conn, by, now, "note_saved", case.encounter.id, revision=outcome.revision)
        return outcome, sheet(conn), order(conn)

    outcome, kept, is_done = write(work)
    if isinstance(kept, SheetOvertaken):
        return _form(case_of(case.encounter.id), with_sheets.beside(typed, outcome, kept), overtaken=kept)
    if then is not None and isinstance(outcome, Saved):
        return then()
    if not is_done and isinstance(outcome, Saved):
        return redirect(with_orders.reason_page(ordered))
    return _after(
        case, outcome, typed, sheet_id=kept.sheet_id if kept else "", wish=wish,
        said=said, ordering=with_orders.still_wanted(ordered), at=with_orders.anchor(ordered),
    )  # fmt: skip


def _sign(case: Case, typed: Typed) -> Page:
    # The number that the form was opened for: after a double click the first post has made that version already.
    n = request.form.get("version", case.next_version, type=int)
    note, reason = typed.note, typed.reason
    unproven = proofs.prove()
    problems = [
        *([unproven] if unproven else []),
        *rules.before_signing(note, today=today(), birth_date=case.patient.birth_date),
        *with_sheets.too_long(typed.sheet),
    ]
    amended = next((version for version in case.versions if version.n == n - 1), None)
    # A sheet may be changed while the note stays as it is.
    is_same = amended is not None and note == amended.note
    only_sheets = is_same and with_sheets.changes(case, typed.sheet)
    token = f"{request_key.posted(request.form)}.sheets" if is_same else ""
    if is_same and not only_sheets and request_key.done(reader(), token):
        # A second click: the first one has signed the sheets.
        return redirect(url_for(".show", encounter_id=case.encounter.id))
    if amended is not None:
        problems += [one for one in rules.before_amending(note, amended.note, reason) if not (
            only_sheets and one.field == "complaint"
        )]  # fmt: skip
    for field, left in (("dx", typed.dx), ("rx-q", typed.sheet.wanted if typed.sheet else "")):
        if left:
            said = text('"%(typed)s" is typed, but not added to the list', typed=left)
            problems.append(FieldProblem(field=field, text=said))
    problems += with_orders.not_added()
    if problems:
        return _form(case, typed, problems)
    now, by, staff, mode = audit.moment(), who(), current_staff(), str(context().node_status().mode)
    upstreams, keep = context().upstreams, with_sheets.keeping(case, typed.sheet, Wish(), now)
    sheets_signed = with_sheets.signing(case, note, reason, now, mode)

    def work(conn: Connection) -> Signed | Overtaken | SheetOvertaken | Held:
        if not case.versions and (away := rules.away(queries.status(conn, case.encounter.id))):
            return Held(problems=[away], shown=typed.sheet)
        kept = keep(conn)
        if isinstance(kept, SheetOvertaken):
            return kept
        held = sheets_signed(conn, True)
        if held is not None:
            return held
        if only_sheets:
            outcome: Signed | Overtaken = versions.stands(conn, case.encounter.id, n - 1)
        else:
            outcome = versions.sign(
                conn, case.encounter.id, note, n=n, based_on=typed.based_on, by=staff.id, at=now.at,
                clock_state=str(now.clock_state), mode=mode, reason=reason,
            )  # fmt: skip
        if isinstance(outcome, Signed):
            sheets_signed(conn, False)
            if only_sheets:
                request_key.once(conn, token, lambda conn: str(n), at=now.at)
            else:
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
    case: Case, outcome: Saved | Signed | Overtaken, typed: Typed, *, sheet_id: str = "", wish: Wish | None = None,
    said: Mapping[str, Any] | None = None, ordering: Mapping[str, str] | None = None, at: str | None = None,
) -> Page:  # fmt: skip
    """Where a post leads: to the note (`at` a place of it), with what is to be said and looked for there, or to both
    sides of it."""
    encounter_id = case.encounter.id
    if isinstance(outcome, Signed):
        return redirect(url_for(".show", encounter_id=encounter_id))
    if isinstance(outcome, Saved) or outcome.draft.note == typed.note:
        # An older form of a signed note has left a sheet that nobody has signed.
        left = "" if isinstance(outcome, Saved) else with_sheets.unsigned(encounter_id)
        amend = 1 if left or (isinstance(outcome, Saved) and case.versions) else None
        wanted = with_sheets.still_wanted(typed.sheet, wish)
        anchor = "rx-found" if wanted else "found" if typed.dx else "rx-q" if wish is not None and wish.add else None
        added = "add" in request.form or bool(request.form.get("dx"))
        if anchor is None and added and rules.awaiting_syndrome(typed.note):
            anchor = "dx"
        return redirect(
            searching.address(
                ".show",
                {"dx": typed.dx, "rx-q": wanted, **(ordering or {})},
                encounter_id=encounter_id,
                amend=amend,
                rx=sheet_id or left or None,
                **(said or {}),
                _anchor=at or anchor,
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
        "rail": rail(limit=desk.RAIL_BESIDE_NOTE, here=case.encounter.id),
        "left_open": rules.is_left_open(case.entry.queue_date, today()),
        "history": history, "earlier": with_sheets.earlier(history),
        "field_names": rules.FIELD_NAMES, "measure_names": {name: say(rules.FIELD_NAMES[name]) for name in MEASURES},
        "can_put_back": case.draft is None, "ordered": with_orders.page(case.encounter.id),
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
        matches=_matches(note, typed.dx), diagnosis_value=forms.diagnosis_value,
        english=_english(note), awaiting=rules.awaiting_syndrome(note),
        remarks=rules.remarks(note, birth_date=case.patient.birth_date, today=today(), herbs=sheet.has_herbs),
        templates=note_templates.groups(reader(), current_staff().department_id),
        filled=note_templates.get(reader(), request.args.get("filled", "")),
        left=[name for name in request.args.get("left", "").split(",") if name in PROSE_FIELDS],
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
