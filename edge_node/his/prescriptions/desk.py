"""What the doctor's page shows of the sheets of an encounter, as ready values; knows no web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from edge_node.his.catalogues.drugs import CatalogueDrug
from edge_node.his.forms import FieldProblem
from edge_node.his.prescriptions import sheets, situation
from edge_node.his.prescriptions.body import Body, BodyLine, Read
from edge_node.his.prescriptions.finding import Finding, Level, unanswered
from edge_node.his.prescriptions.model import Form, Kind
from edge_node.his.prescriptions.paper import extension_refused
from edge_node.his.prescriptions.rules import check
from edge_node.his.prescriptions.sheet_rules import MOST_DRUGS, age_months, kind_of
from edge_node.his.prescriptions.words import what, why
from edge_node.i18n import Text, text
from edge_node.store.connection import Connection

# What is said of a line while its skin test has no result.
UNTESTED = frozenset({"skin-test-waiting", "skin-test-missing"})
# The shape beside a line, by the worst that is said of it.
SHAPES: Mapping[Level, str] = {Level.STOP: "stop", Level.ASK: "deg", Level.NOTE: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLine:
    """One line: what was typed, what it takes, and the worst that is said of it."""

    number: int
    entry: CatalogueDrug
    typed: BodyLine
    packs: int
    price_fen: int
    worst: Level | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding in words; `reason` is what the doctor has written about it."""

    finding: Finding
    what: Text
    why: Text
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSheet:
    """One sheet of the page. `sheet` is None for the empty one that is not opened yet."""

    number: int
    sheet: sheets.Prescription | None
    form: Form
    body: Body
    read: Read
    kind: Kind
    lines: Sequence[ShownLine]
    findings: Sequence[ShownFinding]
    unanswered: Sequence[Finding]
    problems: Sequence[FieldProblem]

    @property
    def stops(self) -> int:
        """Findings that nobody can pass."""
        return sum(finding.level is Level.STOP for finding in self.unanswered)

    @property
    def asks(self) -> int:
        """Questions without a reason."""
        return sum(finding.level is Level.ASK for finding in self.unanswered)

    @property
    def may_sign(self) -> bool:
        """Nothing stands in the way; an empty sheet is left out of the signature."""
        return not self.unanswered and not self.problems

    @property
    def most_drugs(self) -> int:
        return MOST_DRUGS

    @property
    def untested(self) -> Sequence[int]:
        """The lines whose skin test has no result that would let them be given."""
        return [one.finding.lines[0] for one in self.findings if one.finding.code in UNTESTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """The case that a sheet belongs to, as far as the check asks."""

    encounter_id: str
    patient_id: str
    diagnoses: tuple[str, ...]
    doctor_id: str
    today: date
    now: int


def of_encounter(conn: Connection, encounter_id: str) -> list[sheets.Prescription]:
    """The sheets of an encounter that are not void."""
    return [sheet for sheet in sheets.of_encounter(conn, encounter_id) if sheet.status != "void"]


def shown(conn: Connection, sheet: sheets.Prescription, body: Body, at: At, *, number: int = 1) -> ShownSheet:
    """One sheet with a body, checked as it is now."""
    read, now = situation.of_sheet(
        conn, sheet, body, diagnoses=at.diagnoses, doctor_id=at.doctor_id, today=at.today, now=at.now
    )
    found = check(now) if body.lines else ()
    worst = {
        n: min((one.level for one in found if n in one.lines), key=list(Level).index, default=None)
        for n in range(1, len(body.lines) + 1)
    }
    return ShownSheet(
        number=number,
        sheet=sheet if sheet.id else None,
        form=sheet.form,
        body=body,
        read=read,
        kind=kind_of(read.sheet, months=age_months(now.patient.birth_date, at.today)),
        lines=[
            ShownLine(
                number=n,
                entry=priced.entry,
                typed=typed,
                packs=priced.packs,
                price_fen=priced.price_fen,
                worst=worst[n],
            )
            for n, (priced, typed) in enumerate(zip(read.priced, body.lines, strict=True), start=1)
        ],
        findings=[
            ShownFinding(finding=one, what=what(one), why=why(one), reason=body.reasons.get(one.key, ""))
            for one in found
        ],
        unanswered=unanswered(found, body.reasons),
        problems=[*read.problems, *_until(body, at.today)],
    )


_REFUSED = {
    "validity-past": text("The day is past"),
    "validity-too-long": text("At most three days, its own among them"),
    "validity-reason": text("Say why it is to be valid longer"),
}


def _until(body: Body, today: date) -> list[FieldProblem]:
    """What is wrong with a validity beyond the day, if one was written."""
    if not body.until:
        return []
    try:
        until = date.fromisoformat(body.until)
    except ValueError:
        return [FieldProblem(field="rx-until", text=text("A date such as %(today)s", today=today.isoformat()))]
    refused = extension_refused(signed=today, until=until, reason=body.until_reason)
    field = "rx-until_reason" if refused == "validity-reason" else "rx-until"
    return [FieldProblem(field=field, text=_REFUSED[refused])] if refused else []


def unopened(encounter_id: str, patient_id: str, form: Form = Form.MEDICINES) -> sheets.Prescription:
    """The empty sheet that the page offers while there is none; its id is empty."""
    return sheets.Prescription(
        id="",
        encounter_id=encounter_id,
        patient_id=patient_id,
        form=form,
        status="draft",
        void_reason="",
        draft=None,
        versions=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A signed sheet of an earlier visit, to be written again."""

    prescription_id: str
    drugs: tuple[str, ...]


def earlier(conn: Connection, encounter_ids: Sequence[str]) -> dict[str, list[Earlier]]:
    """Signed sheets by the encounter, with the names of their drugs."""
    found: dict[str, list[Earlier]] = {}
    for encounter_id in encounter_ids:
        rows = conn.execute(
            """
            SELECT prescription.id, group_concat(line.name, '、') AS drugs
            FROM prescription JOIN prescription_line AS line ON line.prescription_id = prescription.id
            WHERE prescription.encounter_id = :id AND prescription.status = 'signed'
              AND line.n = (SELECT max(n) FROM prescription_version WHERE prescription_id = prescription.id)
            GROUP BY prescription.id ORDER BY prescription.rowid
            """,
            {"id": encounter_id},
        ).fetchall()
        if rows:
            found[encounter_id] = [
                Earlier(prescription_id=row["id"], drugs=tuple(row["drugs"].split("、"))) for row in rows
            ]
    return found
