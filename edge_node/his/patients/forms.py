"""A patient's form: what was typed in, a person or the problems of every field out. Pure; everything typed stays typed.

What a document says is taken over where a field is empty, and compared where it is not: a birth date that differs from
the ID number is a slip in one of the two, and only the registrar can see in which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edge_node.his.forms import FieldProblem
from edge_node.his.patients.identity import (
    EARLIEST_BIRTH,
    NUMBERED_BY_GB_11643,
    IdNumber,
    IdType,
    NotAnId,
    Sex,
    guess_type,
    looks_like_gb_11643,
    normalise,
    read,
    to_plain,
)
from edge_node.his.patients.queries import Patient
from edge_node.his.patients.rules import spaced_phone
from edge_node.i18n import Text, text

LABELS: Mapping[str, Text] = {
    "name": text("Name"),
    "sex": text("Sex"),
    "birth_date": text("Born"),
    "id_type": text("Document"),
    "id_number": text("Document number"),
    "phone": text("Phone"),
    "address": text("Address"),
}
FIELDS = tuple(LABELS)
NAME_MAX, ADDRESS_MAX = 60, 200
MOBILE_DIGITS = 11
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?|(\d{4})(\d{2})(\d{2})")
_LANDLINE = re.compile(r"0\d{9,11}")
_ABROAD = re.compile(r"\+\d{7,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a form says about a person, checked. `id_number` None: none given, or the one on record is kept."""

    name: str
    sex: Sex
    birth_date: date
    phone: str
    id_type: IdType
    id_number: str | None
    address: str


def parse(form: Mapping[str, str], *, today: date, kept: IdNumber | None = None) -> Person | list[FieldProblem]:
    """Read a patient's form. `kept` is the number on record, which an empty number field keeps."""
    problems: list[FieldProblem] = []

    def problem(field: str, sentence: Text) -> None:
        problems.append(FieldProblem(field=field, text=sentence))

    name = _name(form.get("name", ""), problem)
    id_type, number = _document(form, today, kept, problem)
    sex = _sex(form.get("sex", ""), number, problem)
    birth_date = _birth_date(form.get("birth_date", ""), number, today, problem)
    phone = _phone(form.get("phone", ""), problem)
    address = " ".join(form.get("address", "").split())
    if len(address) > ADDRESS_MAX:
        problem("address", text("Too long by %(count)s characters", count=len(address) - ADDRESS_MAX))
    if problems or name is None or id_type is None or sex is None or birth_date is None or phone is None:
        order = {field: n for n, field in enumerate(FIELDS)}
        return sorted(problems, key=lambda p: order[p.field])
    new_number = number.number if number is not None and number is not kept else None
    return Person(
        name=name, sex=sex, birth_date=birth_date, phone=phone, id_type=id_type, id_number=new_number, address=address
    )


class _Say:
    """The shape of the function that takes a problem down."""

    def __call__(self, field: str, sentence: Text) -> None: ...
