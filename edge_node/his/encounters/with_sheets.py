"""The sheets beside a note: what the doctor's form says of them, what a post does to them, what the page shows.

Note and sheets are one form, so that no button loses what was typed elsewhere, and one signature signs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flask import abort, request
from werkzeug.exceptions import BadRequest

from edge_node.his import audit, request_key, searching
from edge_node.his.audit import Moment
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.catalogues.drugs import CatalogueDrug
from edge_node.his.context import context, reader
from edge_node.his.encounters.desk import Case
from edge_node.his.encounters.note import Note
from edge_node.his.encounters.versions import Overtaken, Saved
from edge_node.his.forms import FieldProblem, whole_number
from edge_node.his.language import local, today
from edge_node.his.patients.desk import this_desk
from edge_node.his.patients.queries import Visit
from edge_node.his.prescriptions import desk, message, sheets, work
from edge_node.his.prescriptions import forms as sheet_forms
from edge_node.his.prescriptions.body import Body
from edge_node.his.prescriptions.body import too_long as body_too_long
from edge_node.his.prescriptions.desk import At, Earlier, ShownSheet
from edge_node.his.prescriptions.forms import Posted
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.his.prescriptions.routes import ROUTES
from edge_node.his.prescriptions.words import KINDS
from edge_node.his.security import current_staff, who
from edge_node.i18n import Text, text
from edge_node.outbox import queue as outbox
from edge_node.store.connection import Connection

# What fits beneath the field.
MATCHES = 7
# As many earlier visits as stand beside a note.
VISITS = 4
NOTHING = Posted(sheet_id="", body=Body(), based_on=0, wanted="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Everything that the doctor's form holds. `sheet` None: as it was saved last."""

    note: Note
    reason: str
    based_on: int
    dx: str = ""
    sheet: Posted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Sheets keep everything from being signed: what to say, and the sheet to show."""

    problems: Sequence[FieldProblem]
    shown: Posted | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPage:
    """The sheets as the page shows them: one open to write in, the others as tabs."""

    shown: ShownSheet
    tabs: Sequence[ShownSheet]
    wanted: str
    matches: Sequence[CatalogueDrug]
    revision: int
    routes: Mapping[str, Text] = field(default_factory=lambda: ROUTES)
    frequencies: Mapping[str, Text] = field(
        default_factory=lambda: {code: frequency.words for code, frequency in FREQUENCIES.items()}
    )
    kinds: Mapping[Kind, Text] = field(default_factory=lambda: KINDS)

    @property
    def stops(self) -> int:
        return sum(tab.stops + len(tab.problems) for tab in self.tabs)

    @property
    def asks(self) -> int:
        return sum(tab.asks for tab in self.tabs)

    @property
    def total_fen(self) -> int:
        return sum(tab.read.total_fen for tab in self.tabs)

    @property
    def has_herbs(self) -> bool:
        """Is one of them, with anything on it, a sheet of herbs?"""
        return any(tab.form is Form.HERBAL and tab.lines for tab in self.tabs)


def earlier(history: Sequence[Visit]) -> Mapping[str, Sequence[Earlier]]:
    """Signed sheets of the visits that the page shows, by encounter."""
    return desk.earlier(reader(), [visit.encounter_id for visit in history[:VISITS] if visit.encounter_id])


def posted() -> Posted:
    """The sheet of the posted form."""
    try:
        return sheet_forms.parse(request.form)
    except ValueError:
        abort(400)


def wish(sheet: Posted | None) -> work.Wish:
    """What the pressed button asks of the sheets; a drug that was typed and is the only match is added."""
    form, action = request.form, request.form.get("action", "")
    asked = sheet or NOTHING
    if asked.wanted and action in ("rx-find", "enter"):
        found = catalogues.find_drugs(reader(), asked.wanted, herbal=_form_of(asked) is Form.HERBAL)
        if len(found) == 1:
            return work.Wish(add=found[0].id)
    try:
        return work.Wish(
            add=form.get("rx-add", ""),
            remove=whole_number(form.get("rx-remove", "0")),
            open=Form(form["rx-open"]) if "rx-open" in form else None,
            drop=action == "rx-drop",
            repeat=form.get("rx-repeat", ""),
            show=form.get("rx-show", ""),
        )
    except ValueError:
        abort(400)


def still_wanted(sheet: Posted | None, done: work.Wish | None) -> str:
    """What is typed into the field of drugs and was not added."""
    return "" if sheet is None or (done is not None and done.add) else sheet.wanted


def too_long(sheet: Posted | None) -> list[FieldProblem]:
    return body_too_long(sheet.body) if sheet else []


def changes(case: Case, sheet: Posted | None) -> bool:
    """Is anything of the sheets not signed yet?"""
    found = desk.of_encounter(reader(), case.encounter.id)
    if any(one.is_open for one in found):
        return True
    if sheet is None:
        return False
    saved = next((one.body for one in found if one.id == sheet.sheet_id), Body())
    return sheet.body != saved


def unsigned(encounter_id: str) -> str:
    """The id of the first sheet with something that is not signed; empty where there is none."""
    found = desk.of_encounter(reader(), encounter_id)
    return next((one.id for one in found if one.is_open and (one.body.lines or one.versions)), "")


def keeping(
    case: Case, sheet: Posted | None, asked: work.Wish, now: Moment
) -> Callable[[Connection], work.Kept | sheets.Overtaken | None]:
    """Keep the shown sheet, for the writing thread; None where the form had none."""
    if sheet is None or (not sheet.sheet_id and not sheet.body.lines and asked == work.Wish()):
        return lambda conn: None
    staff, by, token = current_staff(), who(), request_key.posted(request.form)

    def work_of_sheet(conn: Connection) -> work.Kept | sheets.Overtaken:
        try:
            kept = work.keep(
                conn, case.encounter.id, case.encounter.patient_id, sheet, asked, token=token, by=staff.id, at=now.at
            )
        except KeyError as error:
            # A drug or sheet that there is not: somebody wrote the form by hand.
            raise BadRequest from error
        if isinstance(kept, work.Kept):
            done = [("prescription_saved", sheet_id) for sheet_id in kept.saved]
            done += [("prescription_discarded", kept.discarded)] if kept.discarded else []
            for action, sheet_id in done:
                audit.record(
                    conn, by, action, f"prescription:{sheet_id}", {}, at=now.at, clock_state=now.clock_state
                )  # fmt: skip
        return kept

    return work_of_sheet


def signing(case: Case, note: Note, reason: str, now: Moment, mode: str) -> Callable[[Connection, bool], Held | None]:
    """Sign the open sheets, for the writing thread: first asked whether they may be (True), then to do it (False)."""
    at, here = _at(case, note, now.at), this_desk()
    doctor, signed_at = current_staff(), local(now.at)

    def sign(conn: Connection, only_look: bool) -> Held | None:
        ready = work.open_sheets(conn, at)
        if only_look:
            held = [sheet for sheet in ready if not sheet.may_sign]
            return Held(problems=[_said(sheet) for sheet in held], shown=_as_posted(held[0])) if held else None
        work.sign_all(
            conn, ready, at, number=lambda conn: here.number(conn, "prescription"), signed_at=signed_at,
            clock_state=str(now.clock_state), mode=mode, reason=reason,
        )  # fmt: skip
        for sheet in ready:
            assert sheet.sheet is not None, "what is signed was opened"
            fresh = sheets.get(conn, sheet.sheet.id)
            assert fresh is not None, "it was signed in this transaction"
            body = message.of_version(fresh, case.entry, sheet.read, doctor_code=doctor.code)
            outbox.put(conn, topic=message.TOPIC, key=case.patient.id, body=body, upstreams=here.upstreams, at=now.at)
            here.trace(
                conn, "prescription_signed", f"prescription:{fresh.id}", number=fresh.versions[0].rx_no,
                version=fresh.versions[0].n,
            )  # fmt: skip
        return None

    return sign


def _said(sheet: ShownSheet) -> FieldProblem:
    said = text(
        "Prescription %(number)d: %(stops)d to change, %(asks)d without a reason",
        number=sheet.number,
        stops=sheet.stops + len(sheet.problems),
        asks=sheet.asks,
    )
    return FieldProblem(field="findings", text=said)


def _as_posted(sheet: ShownSheet) -> Posted:
    assert sheet.sheet is not None, "a held sheet was opened"
    return Posted(sheet_id=sheet.sheet.id, body=sheet.body, based_on=sheet.sheet.revision, wanted="")


def beside(typed: Typed, outcome: Saved | Overtaken | None, overtaken: sheets.Overtaken) -> Typed:
    """What was typed, on top of what somebody else has saved: saving again decides, and keeps both."""
    assert typed.sheet is not None, "a sheet was posted"
    sheet = Posted(
        sheet_id=typed.sheet.sheet_id, body=typed.sheet.body, based_on=overtaken.draft.revision,
        wanted=typed.sheet.wanted,
    )  # fmt: skip
    based_on = outcome.revision if isinstance(outcome, Saved) else typed.based_on
    return Typed(note=typed.note, reason=typed.reason, based_on=based_on, dx=typed.dx, sheet=sheet)


def page(case: Case, note: Note, sheet: Posted | None) -> SheetPage:
    """The sheets for the page, checked as they are now."""
    at, conn = _at(case, note, context().clock.wall_ms()), reader()
    found = desk.of_encounter(conn, case.encounter.id)
    chosen = sheet.sheet_id if sheet else request.args.get("rx", "")
    here = next((one for one in found if one.id == chosen), found[-1] if found and not sheet else None)
    tabs = [
        desk.shown(conn, one, sheet.body if sheet and one is here else one.body, at, number=number)
        for number, one in enumerate(found, start=1)
    ]
    if here is None:
        empty = desk.unopened(case.encounter.id, case.encounter.patient_id)
        shown = desk.shown(conn, empty, sheet.body if sheet else Body(), at, number=len(tabs) + 1)
        tabs.append(shown)
    else:
        shown = tabs[found.index(here)]
    wanted = sheet.wanted if sheet else searching.asked().get("rx-q", "")
    return SheetPage(
        shown=shown,
        tabs=tabs,
        wanted=wanted,
        matches=catalogues.find_drugs(conn, wanted, herbal=shown.form is Form.HERBAL, limit=MATCHES),
        revision=sheet.based_on if sheet else here.revision if here else 0,
    )


def signed(case: Case) -> list[tuple[sheets.Prescription, ShownSheet]]:
    """The signed sheets of an encounter, as they were signed last."""
    conn = reader()
    at = _at(case, case.note, context().clock.wall_ms())
    return [
        (one, desk.shown(conn, one, one.versions[0].body, at, number=number))
        for number, one in enumerate(desk.of_encounter(conn, case.encounter.id), start=1)
        if one.versions
    ]


def _at(case: Case, note: Note, now: int) -> At:
    return At(
        encounter_id=case.encounter.id,
        patient_id=case.patient.id,
        diagnoses=tuple(diagnosis.code or diagnosis.name for diagnosis in note.diagnoses),
        doctor_id=current_staff().id,
        today=today(),
        now=now,
    )


def _form_of(sheet: Posted) -> Form:
    found = sheets.get(reader(), sheet.sheet_id) if sheet.sheet_id else None
    return found.form if found else Form.MEDICINES
