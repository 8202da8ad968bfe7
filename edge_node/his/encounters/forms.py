"""The note's form to a Note and back. Nothing typed is refused here: `rules` judge it."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Protocol

from edge_node.his.encounters.note import (
    PROSE_FIELDS,
    TEXT_FIELDS,
    Diagnosis,
    Note,
    canonical_json,
    diagnosis_of,
    stated,
)
from edge_node.his.forms import posted_json, whole_number

# Between a diagnosis' code and its name in one form field; no code contains it.
_CODE_END = "|"
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?|(\d{4})(\d{2})(\d{2})")
_PRESSURE = re.compile(r"(\d{2,3})\s*(?:[-/ ]|mmhg)\s*(\d{2,3})\s*(?:mmhg)?", re.IGNORECASE)
# Without the spaces before it: looked for at every place, a long row of them would take hours.
_UNIT = re.compile(r"(°c|度|次/分|/min|bpm)$", re.IGNORECASE)


class Fields(Protocol):
    """A posted form, such as werkzeug's."""

    def get(self, key: str, default: str) -> str: ...

    def getlist(self, key: str) -> Sequence[str]: ...


def parse_note(form: Fields) -> Note:
    """The note that was typed: prose as it is, measures and dates in their one form where they are recognised."""
    texts = {name: _normal(name, form.get(name, "")) for name in TEXT_FIELDS}
    diagnoses: list[Diagnosis] = []
    for value in form.getlist("diagnosis"):
        diagnosis = parse_diagnosis(value)
        if diagnosis.name and diagnosis not in diagnoses:
            diagnoses.append(diagnosis)
    return Note(**texts, diagnoses=tuple(diagnoses))


def parse_revision(form: Fields) -> int:
    """Which saved draft the form was filled from; 0 for none. Raises ValueError when the form is not one of ours."""
    return whole_number(form.get("revision", ""))


def diagnosis_value(diagnosis: Diagnosis) -> str:
    """A diagnosis as the value of one form field: code and name, or all of it where there is more to say."""
    said = stated(diagnosis)
    return canonical_json(said) if len(said) > 2 else f"{diagnosis.code}{_CODE_END}{diagnosis.name}"


def parse_diagnosis(value: str) -> Diagnosis:
    """The reverse of diagnosis_value; a value without a code is the doctor's own words."""
    if value.startswith("{"):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            return diagnosis_of(posted_json(value))
    code, mark, name = value.partition(_CODE_END)
    return Diagnosis(code=code.strip(), name=name.strip()) if mark else Diagnosis(code="", name=value.strip())


def _normal(name: str, typed: str) -> str:
    if name in PROSE_FIELDS:
        return typed.replace("\r\n", "\n").strip()
    # Full-width digits and signs of a Chinese keyboard mean the same as the plain ones.
    plain = unicodedata.normalize("NFKC", typed).strip()
    match name:
        case "onset_date":
            return _iso_date(plain)
        case "blood_pressure":
            pair = _PRESSURE.fullmatch(plain)
            return f"{pair[1]}/{pair[2]}" if pair else plain
        case _:
            return _UNIT.sub("", plain).rstrip().replace(",", ".")


def _iso_date(plain: str) -> str:
    parts = _DATE.fullmatch(plain)
    if parts is None:
        return plain
    try:
        year, month, day = (int(part) for part in parts.groups() if part)
        return date(year, month, day).isoformat()
    except ValueError:
        return plain
