"""What a measuring may say, and what in it wants a second look. Pure.

The four levels are those of the national guide for emergency triage (急诊预检分诊分级标准): immediate, very urgent,
urgent, not urgent. What can be read of temperature, pulse, respiration and pressure is judged as in the doctor's note,
so that what a nurse may save, a doctor may sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum

from edge_node.his.encounters import rules as note_rules
from edge_node.his.encounters.note import Note
from edge_node.his.forms import FieldProblem
from edge_node.his.patients.identity import Sex
from edge_node.i18n import Text, text

VITALS = ("temperature", "pulse", "respiration", "blood_pressure")
MEASURES = (*VITALS, "oxygen", "weight_kg", "height_cm")
# Nobody outside is asked about a pregnancy; wide on purpose.
ASKED_ABOUT_PREGNANCY_YEARS = range(10, 61)
# Below this an adult or a child at rest is short of oxygen (BTS guideline, 94 to 98 % is usual).
LOW_OXYGEN_PERCENT = 94
# Up to this age the usual weight in kilograms is near (years + 4) × 2; doses are counted by it.
WEIGHT_BY_AGE_UNTIL_YEARS = 10
_WHOLE = re.compile(r"\d{1,3}")
_AMOUNT = re.compile(r"\d{1,3}(\.\d{1,3})?")


class Level(IntEnum):
    """How urgent somebody is; the lowest number first."""

    IMMEDIATE = 1
    VERY_URGENT = 2
    URGENT = 3
    NOT_URGENT = 4


LEVEL_NAMES: Mapping[Level, Text] = {
    Level.IMMEDIATE: text("immediate"),
    Level.VERY_URGENT: text("very urgent"),
    Level.URGENT: text("urgent"),
    Level.NOT_URGENT: text("not urgent"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured, as text in its one form; empty where nothing was. `pregnant` None: not asked, or not known."""

    temperature: str = ""
    pulse: str = ""
    respiration: str = ""
    blood_pressure: str = ""
    oxygen: str = ""
    weight_kg: str = ""
    height_cm: str = ""
    pregnant: bool | None = None


def pregnancy_is_asked(sex: Sex, birth_date: date, today: date) -> bool:
    """Is it asked whether this patient is pregnant?"""
    return sex is not Sex.MALE and note_rules.full_years(birth_date, today) in ASKED_ABOUT_PREGNANCY_YEARS


def unreadable(measured: Measured, *, today: date, birth_date: date) -> list[FieldProblem]:
    """Measures that cannot be read, or that no living person has."""
    judged = note_rules.before_signing(_as_note(measured), today=today, birth_date=birth_date)
    problems = [problem for problem in judged if problem.field in VITALS]
    if measured.oxygen and not (_WHOLE.fullmatch(measured.oxygen) and 30 <= int(measured.oxygen) <= 100):
        problems.append(FieldProblem(field="oxygen", text=text("30 to 100, such as 98")))
    if measured.weight_kg and not _between(measured.weight_kg, "0.3", "400"):
        problems.append(FieldProblem(field="weight_kg", text=text("0.3 to 400 kilograms, such as 62.5")))
    if measured.height_cm and not _between(measured.height_cm, "20", "260"):
        problems.append(FieldProblem(field="height_cm", text=text("20 to 260 centimetres, such as 165")))
    return problems


def remarks(measured: Measured, *, today: date, birth_date: date) -> list[Text]:
    """What in readable measures wants a second look; none of it stops anybody."""
    found = list(note_rules.remarks(_as_note(measured), birth_date=birth_date, today=today))
    if measured.oxygen and int(measured.oxygen) < LOW_OXYGEN_PERCENT:
        found.append(text("Oxygen saturation %(value)s is low", value=f"{measured.oxygen}%"))
    years = note_rules.full_years(birth_date, today)
    if measured.weight_kg and 1 <= years <= WEIGHT_BY_AGE_UNTIL_YEARS:
        usual, weight = Decimal((years + 4) * 2), Decimal(measured.weight_kg)
        if not usual / 2 < weight < usual * 9 / 5:
            found.append(
                text("%(value)s kg is unusual at this age: kilograms, or half of that?", value=measured.weight_kg)
            )
    return found


def _as_note(measured: Measured) -> Note:
    return Note(**{name: getattr(measured, name) for name in VITALS})


def _between(typed: str, least: str, most: str) -> bool:
    return _AMOUNT.fullmatch(typed) is not None and Decimal(least) <= Decimal(typed) <= Decimal(most)
