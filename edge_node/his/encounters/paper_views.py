"""The paper of a signed prescription: shown as it will be printed, and counted copy by copy.

A browser does not say that it prints. So a copy is counted when it is asked for, its number stands on the paper, and a
page that no copy was asked for prints as a preview.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from flask import abort, redirect, render_template, request, url_for

from edge_node.his import audit, request_key
from edge_node.his.catalogues import queries as catalogues
from edge_node.his.context import context, reader, write
from edge_node.his.encounters.desk import Case
from edge_node.his.encounters.note import Diagnosis
from edge_node.his.encounters.queue_views import Page, blueprint, case_of
from edge_node.his.language import local
from edge_node.his.patients.desk import this_desk
from edge_node.his.prescriptions import prints, sheets, situation
from edge_node.his.prescriptions.model import SkinTest, SkinTestState
from edge_node.his.prescriptions.patient_rules import tested_by
from edge_node.his.prescriptions.printed import Printed, printed
from edge_node.his.prescriptions.prints import SignedLine
from edge_node.his.prescriptions.sheets import Prescription, Version
from edge_node.his.security import may, who
from edge_node.store.connection import Connection

_RESULTS = {SkinTestState.NEGATIVE: "（－）", SkinTestState.POSITIVE: "（＋）"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which version of which sheet."""

    case: Case
    sheet: Prescription
    version: Version

    @property
    def replaced_by(self) -> int | None:
        """The newest version, when this one is older."""
        newest = self.sheet.versions[0].n
        return newest if self.version.n < newest else None

    @property
    def is_broken(self) -> bool:
        """Is it, or what it follows, not what was signed?"""
        broken = sheets.broken_version(reader(), self.sheet.id)
        return broken is not None and self.version.n >= broken


@blueprint.get("/<encounter_id>/prescriptions/<sheet_id>/paper")
def paper(encounter_id: str, sheet_id: str) -> Page:
    """The paper of a version, the newest unless the address says otherwise; with `copy` that copy of it."""
    asked = _asked(encounter_id, sheet_id, request.args.get("version", type=int))
    copies = prints.copies(reader(), sheet_id, asked.version.n)
    is_broken, number = asked.is_broken, request.args.get("copy", type=int)
    copy = next((one for one in copies if one.number == number and not is_broken), None)
    audit.viewed(
        who(), f"prescription:{sheet_id}", {"page": "paper", "version": asked.version.n, "copy": copy and copy.number}
    )
    return render_template(
        "encounters/paper.html", asked=asked, version=asked.version, paper=_paper(asked), copy=copy, copies=copies,
        exercise=context().node_status().exercise, is_void=asked.sheet.status == "void",
        is_broken=is_broken, may_read_note=may("encounters.show"),
    )  # fmt: skip


@blueprint.post("/<encounter_id>/prescriptions/<sheet_id>/paper")
def print_paper(encounter_id: str, sheet_id: str) -> Page:
    """Count one more copy, and show it ready for the printer; a second click finds the first one's."""
    asked = _asked(encounter_id, sheet_id, request.form.get("version", type=int))
    desk, token, n = this_desk(), request_key.posted(request.form), asked.version.n
    if asked.is_broken:
        return redirect(url_for(".paper", encounter_id=encounter_id, sheet_id=sheet_id, version=n))

    def work(conn: Connection) -> str:
        copy = prints.add_copy(conn, sheet_id, n, by=desk.staff_id, at=desk.moment.at)
        desk.trace(
            conn, "prescription_printed", f"prescription:{sheet_id}", number=asked.version.rx_no, version=n, copy=copy
        )  # fmt: skip
        return str(copy)

    copy = write(lambda conn: request_key.once(conn, token, work, at=desk.moment.at))
    return redirect(url_for(".paper", encounter_id=encounter_id, sheet_id=sheet_id, version=n, copy=copy))


def _asked(encounter_id: str, sheet_id: str, n: int | None) -> Asked:
    case, sheet = case_of(encounter_id), sheets.get(reader(), sheet_id)
    if sheet is None or sheet.encounter_id != encounter_id or not sheet.versions:
        abort(404)
    wanted = sheet.versions[0].n if n is None else n
    version = next((one for one in sheet.versions if one.n == wanted), None)
    return Asked(case=case, sheet=sheet, version=version or abort(404))


def _paper(asked: Asked) -> Printed:
    conn, case, version = reader(), asked.case, asked.version
    now, ended = context().clock.wall_ms(), _end_of(version.valid_until)
    person = situation.patient(
        conn, case.patient.id, registration_id=case.entry.registration_id, now=min(now, ended)
    )  # fmt: skip
    # Of a paper that is printed once more, what was read after it could be dispensed is another one's.
    tests = tuple(test for test in person.skin_tests if now <= ended or test.hours_ago > 0)
    lines = prints.lines(conn, asked.sheet.id, version.n)
    results = _results(conn, lines, tests)
    return printed(
        version, form=asked.sheet.form, lines=lines, diagnoses=_diagnoses(case, version.signed_at),
        patient=case.patient, department=case.entry.department.name, signed=local(version.signed_at),
        weight_kg=person.weight_kg,
        tests={drug_id: f"皮试结果：{result or '（　　）'}" for drug_id, result in results.items()},
        waiting=[drug_id for drug_id, result in results.items() if not result],
    )  # fmt: skip


def _end_of(day: str) -> int:
    """When a day of the clinic ends; UTC milliseconds."""
    after = date.fromisoformat(day) + timedelta(days=1)
    return int(datetime.combine(after, time()).astimezone().timestamp() * 1000)


def _diagnoses(case: Case, signed_at: int) -> tuple[Diagnosis, ...]:
    """Those of the note that stood when the sheet was signed; a clock that was set back leaves the first."""
    stood = (version for version in case.versions if version.signed_at <= signed_at)
    version = next(stood, case.versions[-1] if case.versions else None)
    return version.note.diagnoses if version else ()


def _results(conn: Connection, lines: list[SignedLine], tests: tuple[SkinTest, ...]) -> dict[str, str]:
    """For each drug that wants a skin test the newest result, empty while there is none."""
    found = {}
    for line in lines:
        entry = catalogues.drug(conn, line.drug_id)
        if entry is not None and entry.drug.skin_test:
            fitting = [test for test in tests if tested_by(entry.drug, test.substance)]
            newest = min(fitting, key=lambda test: test.hours_ago, default=None)
            found[line.drug_id] = _RESULTS.get(newest.state, "") if newest else ""
    return found
