"""What one post does to the sheets of an encounter, in the transaction of the note. In the writing thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edge_node.his import request_key
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.patients.queries import records_of
from edge_node.his.prescriptions import desk, sheets
from edge_node.his.prescriptions.body import Body, with_drug, without_line
from edge_node.his.prescriptions.desk import At, ShownSheet
from edge_node.his.prescriptions.forms import Posted
from edge_node.his.prescriptions.model import Form
from edge_node.his.prescriptions.sheets import Overtaken
from edge_node.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a button of the sheet asks for beside keeping it."""

    add: str = ""
    remove: int = 0
    open: Form | None = None
    drop: bool = False
    repeat: str = ""
    show: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where the page goes on: the sheet to show; of which sheets something new was kept, and which was discarded."""

    sheet_id: str
    saved: Sequence[str] = ()
    discarded: str = ""


def keep(
    conn: Connection, encounter_id: str, patient_id: str, posted: Posted, wish: Wish, *, token: str, by: str, at: int
) -> Kept | Overtaken:
    """Keep the shown sheet, with what the wish changes; an empty one that was never opened stays so.

    `token` is the form's: a second click finds the sheet that the first one opened. Raises KeyError for a drug or a
    sheet that there is not: the form is not one of ours.
    """
    body = _changed(conn, posted.body, wish)
    sheets.drugs_of(conn, body)
    saved: list[str] = []

    def opened(form: Form) -> str:
        def fresh(conn: Connection) -> str:
            saved.append(
                sheets.open_sheet(conn, encounter_id=encounter_id, patient_id=patient_id, form=form, by=by, at=at)
            )
            return saved[-1]

        return request_key.once(conn, f"{token}.{form}", fresh, at=at)

    if wish.show and wish.show not in {sheet.id for sheet in sheets.of_encounter(conn, encounter_id)}:
        raise KeyError(wish.show)
    sheet_id = posted.sheet_id or (opened(Form.MEDICINES) if body.lines else "")
    if sheet_id:
        sheet = sheets.get(conn, sheet_id)
        if sheet is None or sheet.encounter_id != encounter_id:
            raise KeyError(sheet_id)
        if wish.drop and not sheet.versions:
            if sheet.status != "void" and sheet.draft and sheet.revision != posted.based_on:
                return Overtaken(draft=sheet.draft)
            is_first = sheets.void(conn, sheet_id, by=by, at=at, reason="not signed")
            return Kept(sheet_id="", discarded=sheet_id if is_first else "")
        if sheet.status != "void" and (body.lines or sheet.draft):
            kept = sheets.save(conn, sheet_id, body, based_on=posted.based_on, by=by, at=at)
            if isinstance(kept, Overtaken):
                return kept
            if kept != sheet.revision and sheet_id not in saved:
                saved.append(sheet_id)
    if wish.open is not None:
        return Kept(sheet_id=opened(wish.open), saved=saved)
    if wish.repeat:

        def again(conn: Connection) -> str:
            saved.append(_repeated(conn, encounter_id, patient_id, wish.repeat, by=by, at=at))
            return saved[-1]

        return Kept(sheet_id=request_key.once(conn, f"{token}.repeat", again, at=at), saved=saved)
    return Kept(sheet_id=wish.show or sheet_id, saved=saved)


def _changed(conn: Connection, body: Body, wish: Wish) -> Body:
    if wish.add:
        entry = catalogues.drug(conn, wish.add)
        if entry is None:
            raise KeyError(wish.add)
        return with_drug(body, entry)
    return without_line(body, wish.remove) if wish.remove else body


def _repeated(conn: Connection, encounter_id: str, patient_id: str, from_id: str, *, by: str, at: int) -> str:
    """An earlier sheet once more, as a draft of its own; its reasons are not, since they were about that day."""
    source = sheets.get(conn, from_id)
    if source is None or not source.versions or source.patient_id not in records_of(conn, patient_id):
        raise KeyError(from_id)
    sheet_id = sheets.open_sheet(conn, encounter_id=encounter_id, patient_id=patient_id, form=source.form, by=by, at=at)
    body = replace(source.versions[0].body, reasons={}, until="", until_reason="", kind="")
    sheets.save(conn, sheet_id, body, based_on=0, by=by, at=at)
    return sheet_id


def open_sheets(conn: Connection, at: At) -> list[ShownSheet]:
    """What a signature would sign now: the sheets with unsigned lines, each checked on the data of this moment."""
    found = desk.of_encounter(conn, at.encounter_id)
    return [
        desk.shown(conn, sheet, sheet.body, at, number=number)
        for number, sheet in enumerate(found, start=1)
        if sheet.is_open and (sheet.body.lines or sheet.versions)
    ]


def sign_all(
    conn: Connection,
    ready: Sequence[ShownSheet],
    at: At,
    *,
    number: Callable[[Connection], str],
    signed_at: datetime,
    clock_state: str,
    mode: str,
    reason: str,
) -> list[str]:
    """Sign every sheet, each as a version with a number of its own; the numbers. None of them is held."""
    numbers = []
    for shown in ready:
        assert shown.sheet is not None, "what is signed was opened"
        numbers.append(number(conn))
        sheets.sign(
            conn,
            shown.sheet,
            shown.read,
            rx_no=numbers[-1],
            kind=shown.kind,
            valid_until=shown.body.until or signed_at.date().isoformat(),
            by=at.doctor_id,
            at=at.now,
            clock_state=clock_state,
            mode=mode,
            reason=reason,
        )
    return numbers
