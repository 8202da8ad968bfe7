"""Controlled drugs and antibacterials: who may prescribe them, and how much. Pure.

Sources: 处方管理办法 articles 11, 23, 24 and 26; 医疗用毒性药品管理办法 article 9; 抗菌药物临床应用管理办法 articles 24
and 27.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from edge_node.his.prescriptions.finding import Finding, Level, of_line
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import (
    Antibacterial,
    Control,
    Form,
    Line,
    Release,
    Right,
    Sheet,
    Situation,
)

# Days of a narcotic or first-class psychotropic, by how it gives itself off; None is a single dose.
_DAYS = {Release.INJECTION: None, Release.SUSTAINED: 7, Release.ORDINARY: 3}
_DAYS_IN_PAIN = {Release.INJECTION: 3, Release.SUSTAINED: 15, Release.ORDINARY: 7}
# Methylphenidate for a child's attention deficit.
_DAYS_LONG = 15
# Article 9 on toxic drugs: the most of two days.
_TOXIC_DAYS = 2


def narcotic_days(line: Line, situation: Situation) -> int | None:
    """How many days of this narcotic or first-class psychotropic one sheet may hold; None means a single dose."""
    drug = line.drug
    if drug.on_site_only:
        return None
    if drug.long_for and any(code.startswith(drug.long_for) for code in situation.sheet.diagnoses):
        return _DAYS_LONG
    return (_DAYS_IN_PAIN if situation.patient.long_pain else _DAYS)[drug.release]


def control_findings(situation: Situation) -> Iterator[Finding]:
    """Of narcotics, psychotropics of the first class and toxic drugs."""
    narcotic = [
        (number, line)
        for number, line in enumerate(situation.sheet.lines, start=1)
        if line.drug.control.is_narcotic_paper
    ]
    for number, line in narcotic:
        if not situation.clinic.narcotics:
            yield of_line(Level.STOP, "narcotics-off", number, line)
        elif Right.NARCOTIC not in situation.rights:
            yield of_line(Level.STOP, "no-narcotic-right", number, line)
    may_prescribe = situation.clinic.narcotics and Right.NARCOTIC in situation.rights
    if narcotic and may_prescribe and not situation.patient.identity:
        yield Finding(level=Level.STOP, code="identity-missing")
    for number, line in narcotic:
        most = narcotic_days(line, situation)
        if (most is None and times(line) > 1) or (most is not None and (line.days or 0) > most):
            yield of_line(Level.STOP, "control-too-long", number, line, most=most or 0)
        if line.drug.on_site_only:
            yield of_line(Level.NOTE, "on-site-only", number, line)
    for number, line in enumerate(situation.sheet.lines, start=1):
        most_of_two_days = _TOXIC_DAYS * line.drug.max_daily if line.drug.max_daily is not None else None
        amount = total(line, situation.sheet)
        if line.drug.control is Control.TOXIC and most_of_two_days is not None and amount > most_of_two_days:
            yield of_line(
                Level.STOP,
                "toxic-too-much",
                number,
                line,
                amount=short(amount),
                most=short(most_of_two_days),
                unit=line.drug.unit,
            )


def antibacterial_findings(situation: Situation) -> Iterator[Finding]:
    """Antibacterials that not every doctor may prescribe, or nobody to outpatients."""
    for number, line in enumerate(situation.sheet.lines, start=1):
        if line.drug.antibacterial is Antibacterial.SPECIAL:
            yield of_line(Level.STOP, "antibacterial-special", number, line)
        elif line.drug.antibacterial is Antibacterial.RESTRICTED and Right.RESTRICTED not in situation.rights:
            yield of_line(Level.STOP, "antibacterial-right", number, line)


def times(line: Line) -> Decimal:
    """How many times in all the drug is taken; 0 while the line is incomplete."""
    frequency = FREQUENCIES.get(line.frequency)
    if frequency is None:
        return Decimal(0)
    return Decimal(1) if frequency.single else frequency.a_day * (line.days or 0)


def daily(line: Line, sheet: Sheet) -> Decimal | None:
    """Dose units a day, at most; None while the line is incomplete."""
    if line.dose is None:
        return None
    if sheet.form is Form.HERBAL:
        return line.dose * sheet.doses_a_day
    frequency = FREQUENCIES.get(line.frequency)
    # Less than once a day: on its day the whole of it.
    return None if frequency is None else line.dose * max(Decimal(1), frequency.a_day)


def total(line: Line, sheet: Sheet) -> Decimal:
    """Dose units in all; 0 while the line is incomplete."""
    if line.dose is None:
        return Decimal(0)
    return line.dose * (sheet.doses or 0) if sheet.form is Form.HERBAL else line.dose * times(line)


def short(amount: Decimal) -> str:
    """An amount as it is written: no trailing zeros, never an exponent."""
    return f"{amount.normalize():f}"
