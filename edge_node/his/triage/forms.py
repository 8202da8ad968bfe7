"""The nurse's form: what was typed in, a measuring or the problems of every field out. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edge_node.his.encounters.forms import Fields, parse_note
from edge_node.his.forms import FieldProblem
from edge_node.his.patients import allergy_forms
from edge_node.his.patients.allergy_forms import Written
from edge_node.his.triage.rules import VITALS, Level, Measured, unreadable
from edge_node.i18n import Text, text

# In the order of the form.
LABELS: Mapping[str, Text] = {
    "temperature": text("Temperature"),
    "pulse": text("Pulse"),
    "respiration": text("Respiration"),
    "blood_pressure": text("Blood pressure"),
    "oxygen": text("Oxygen saturation"),
    "weight_kg": text("Weight"),
    "height_cm": text("Height"),
    "pregnant": text("Pregnant"),
    "level": text("Level"),
    "note": text("What the nurse saw"),
    "asked": text("Allergies"),
    "substance": text("Allergic to"),
    "reaction": text("Reaction"),
}
NOTE_MAX = 200
_UNIT = re.compile(r"(kg|公斤|千克|cm|厘米|%)$", re.IGNORECASE)
_PREGNANT: Mapping[str, bool | None] = {"": None, "1": True, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Triaged:
    """One measuring with its level, and the answer about allergies: an allergy, `asked`, or neither."""

    measured: Measured
    level: Level
    note: str
    asked: bool
    allergy: Written | None


def parse(form: Fields, *, today: date, birth_date: date) -> Triaged | list[FieldProblem]:
    """Read the nurse's form."""
    note_of_doctor = parse_note(form)
    measured = Measured(
        **{name: getattr(note_of_doctor, name) for name in VITALS},
        **{name: _amount(form.get(name, "")) for name in ("oxygen", "weight_kg", "height_cm")},
        pregnant=_PREGNANT.get(form.get("pregnant", "")),
    )
    level = _level(form.get("level", ""))
    problems = [FieldProblem(field="level", text=level)] if isinstance(level, Text) else []
    problems += unreadable(measured, today=today, birth_date=birth_date)
    asked = form.get("asked", "") == "1"
    allergy = _allergy(form, today, birth_date)
    if isinstance(allergy, list):
        problems += allergy
    elif allergy and asked:
        problems.append(
            FieldProblem(field="asked", text=text("Both an allergy and nothing new: leave one of the two out"))
        )
    note = allergy_forms.words(form.get("note", ""), NOTE_MAX)
    if isinstance(note, Text):
        problems.append(FieldProblem(field="note", text=note))
    if problems or isinstance(level, Text) or isinstance(note, Text) or isinstance(allergy, list):
        return sorted(problems, key=lambda problem: list(LABELS).index(problem.field))
    return Triaged(measured=measured, level=level, note=note, asked=asked, allergy=allergy)


def _level(typed: str) -> Level | Text:
    if typed not in {str(int(level)) for level in Level}:
        return text("Choose one")
    return Level(int(typed))


def _amount(typed: str) -> str:
    """As it was meant: full-width digits plain, a comma for the point, without the unit. Long ones stay too long."""
    plain = unicodedata.normalize("NFKC", typed[:100]).strip()
    return _UNIT.sub("", plain).rstrip().replace(",", ".")


def _allergy(form: Fields, today: date, birth_date: date) -> Written | list[FieldProblem] | None:
    fields = {name: form.get(name, "") for name in ("substance", "reaction")}
    if not any(value.strip() for value in fields.values()):
        return None
    return allergy_forms.parse(fields, today=today, birth_date=birth_date)
