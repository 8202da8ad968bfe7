"""What the sheet as such must have: lines, a diagnosis, a weight where it matters, the right paper. Pure.

Sources: 处方管理办法 (卫生部令第53号) articles 5 and 6, annex 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from edge_node.his.prescriptions.finding import Finding, Level, of_line
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import Control, Form, Kind, Line, Sheet, Situation

# Article 6 (7): five western or prepared medicines on a sheet.
MOST_DRUGS = 5
# Paediatrics ends at the fourteenth birthday.
CHILD_MONTHS = 14 * 12
# Article 6 (2): newborns and small children, to the third birthday.
SMALL_CHILD_MONTHS = 36


def age_months(birth_date: date, on: date) -> int:
    """Age in full months; 0 in the first."""
    return max(0, (on.year - birth_date.year) * 12 + on.month - birth_date.month - (on.day < birth_date.day))


def kind_of(sheet: Sheet, *, months: int) -> Kind:
    """The paper that this sheet belongs on: the strictest drug decides, then the emergency room, then the age."""
    controls = {line.drug.control for line in sheet.lines}
    if any(control.is_narcotic_paper for control in controls):
        return Kind.NARCOTIC
    if Control.PSYCHOTROPIC_2 in controls:
        return Kind.PSYCHOTROPIC_2
    if sheet.emergency:
        return Kind.EMERGENCY
    return Kind.CHILD if months < CHILD_MONTHS else Kind.ORDINARY


def sheet_findings(situation: Situation) -> Iterator[Finding]:
    """What is missing on the sheet, or does not belong on it."""
    sheet, patient = situation.sheet, situation.patient
    months = age_months(patient.birth_date, situation.today)
    if not sheet.lines:
        yield Finding(level=Level.STOP, code="empty")
        return
    yield from _mixed(sheet)
    if sheet.form is Form.MEDICINES and len(sheet.lines) > MOST_DRUGS:
        yield Finding(level=Level.STOP, code="too-many-drugs", values={"count": len(sheet.lines), "most": MOST_DRUGS})
    for number, line in enumerate(sheet.lines, start=1):
        if left_open(line, sheet.form):
            # A herb has nothing to say but its dose; way and days are those of the whole decoction.
            code = "dose-missing" if sheet.form is Form.HERBAL else "incomplete"
            yield of_line(Level.STOP, code, number, line, unit=line.drug.unit)
    if sheet.form is Form.HERBAL and not sheet.doses:
        yield Finding(level=Level.STOP, code="doses-missing")
    right = kind_of(sheet, months=months)
    if sheet.kind is not None and sheet.kind is not right:
        yield Finding(level=Level.STOP, code="kind-wrong", values={"right": right})
    if not sheet.diagnoses:
        yield Finding(level=Level.ASK, code="diagnosis-missing")
    by_weight = months < CHILD_MONTHS and any(line.drug.max_daily_per_kg is not None for line in sheet.lines)
    if patient.weight_kg is None and (months < SMALL_CHILD_MONTHS or by_weight):
        yield Finding(level=Level.ASK, code="weight-missing")


def left_open(line: Line, form: Form) -> bool:
    """Something of dose, way, frequency or days is missing, or not above zero; of a herb only the dose counts."""
    if line.dose is None or line.dose <= 0:
        return True
    if form is Form.HERBAL:
        return False
    return not line.route or line.frequency not in FREQUENCIES or line.days is None or line.days < 1


def _mixed(sheet: Sheet) -> Iterator[Finding]:
    """Herbs beside medicines, and anything beside a drug that has a paper of its own."""
    for number, line in enumerate(sheet.lines, start=1):
        if line.drug.herbal is not (sheet.form is Form.HERBAL):
            yield of_line(Level.STOP, "form-mixed", number, line)
    papers = [_paper(line.drug.control) for line in sheet.lines]
    strictest = max(papers)
    for number, (line, paper) in enumerate(zip(sheet.lines, papers, strict=True), start=1):
        if paper != strictest:
            yield of_line(Level.STOP, "control-mixed", number, line)


def _paper(control: Control) -> int:
    if control.is_narcotic_paper:
        return 2
    return 1 if control is Control.PSYCHOTROPIC_2 else 0
