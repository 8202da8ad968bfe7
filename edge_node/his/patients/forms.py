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
from edge_node.his.patients.rules import ID_TYPE_NAMES, SEX_WORDS, spaced_phone
from edge_node.i18n import Text, text

LABELS: Mapping[str, Text] = {
    "name": text("Name"),
    "sex": text("Sex"),
    "birth_date": text("Born"),
    "id_type": text("Document"),
    "id_number": text("Document number"),
    "phone": text("Phone"),
    "address": text("Address"),
    "occupation": text("Occupation"),
    "guardian_name": text("Guardian"),
    "guardian_relation": text("Relation; without a guardian, why"),
    "guardian_phone": text("Guardian's phone"),
}
FIELDS = tuple(LABELS)
NAME_MAX, ADDRESS_MAX, FEW_WORDS_MAX = 60, 200, 40
# The outpatient log asks for a parent's name of everybody under 14 (传染病信息报告管理规范, 门诊日志).
GUARDED_BELOW_YEARS = 14
MOBILE_DIGITS = 11
# A scanner types a card's number into whatever has the focus: the mother's card, beside the field for her name.
_A_CARDS_NUMBER = text("This is the number of an ID card; it does not belong in this field")
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
    occupation: str = ""
    guardian_name: str = ""
    guardian_relation: str = ""
    guardian_phone: str = ""


def parse(form: Mapping[str, str], *, today: date, kept: IdNumber | None = None) -> Person | list[FieldProblem]:
    """Read a patient's form. `kept` is the number on record, which an empty number field keeps."""
    document = _document(form, today, kept)
    number = document[1] if isinstance(document, tuple) else None
    name = _name(form.get("name", ""))
    sex = _sex(form.get("sex", ""), number)
    birth_date = _birth_date(form.get("birth_date", ""), number, today)
    phone = _phone(form.get("phone", ""))
    address = _address(form.get("address", ""))
    occupation = _few_words(form.get("occupation", ""))
    guardian = _guardian(form, child=isinstance(birth_date, date) and is_child(birth_date, today))
    match name, sex, birth_date, document, phone, address, occupation, guardian:
        case str(), Sex(), date(), tuple(), str(), str(), str(), (str(), str(), str()):
            guardian_name, guardian_relation, guardian_phone = guardian
            return Person(
                name=name, sex=sex, birth_date=birth_date, phone=phone, address=address, id_type=document[0],
                id_number=number.number if number is not None and number is not kept else None, occupation=occupation,
                guardian_name=guardian_name, guardian_relation=guardian_relation, guardian_phone=guardian_phone,
            )  # fmt: skip
    # A slip in the number is one problem: mended, it fills what was left empty.
    fills = () if number or not looks_like_gb_11643(form.get("id_number", "")) else ("sex", "birth_date")
    outcomes = {
        "name": name, "sex": sex, "birth_date": birth_date, "phone": phone, "address": address,
        "occupation": occupation,
        **dict(zip(("guardian_name", "guardian_relation", "guardian_phone"), guardian, strict=True)),
    }  # fmt: skip
    problems = [
        FieldProblem(field=field, text=said)
        for field, said in outcomes.items()
        if isinstance(said, Text) and not (field in fills and not form.get(field, "").strip())
    ]
    if isinstance(document, FieldProblem):
        problems.append(document)
    return sorted(problems, key=lambda problem: FIELDS.index(problem.field))


def values_of(patient: Patient) -> dict[str, str]:
    """A record as its form shows it; the number stays out of it."""
    return {
        "name": patient.name, "sex": str(int(patient.sex)), "birth_date": patient.birth_date.isoformat(),
        "id_type": str(patient.id_type), "id_number": "", "phone": spaced_phone(patient.phone),
        "address": patient.address, "version": str(patient.version), "occupation": patient.occupation,
        "guardian_name": patient.guardian_name, "guardian_relation": patient.guardian_relation,
        "guardian_phone": spaced_phone(patient.guardian_phone),
    }  # fmt: skip


def begin(typed: str, *, today: date) -> dict[str, str]:
    """The fields of a new record that a search which found nobody has filled already: what was typed is not typed
    again."""
    spaced = " ".join(to_plain(typed).split())
    plain = normalise(typed)
    if looks_like_gb_11643(plain):
        id_type = guess_type(plain)
        number = read(id_type, plain, today=today)
        filled = {"id_type": str(id_type), "id_number": plain}
        if isinstance(number, IdNumber) and number.birth_date and number.sex:
            filled |= {"birth_date": number.birth_date.isoformat(), "sex": str(int(number.sex))}
        return filled
    if plain.isdigit():
        return {"phone": spaced} if isinstance(_phone(spaced), str) else {}
    # Initials are a way to look for a name, not a name.
    is_name = isinstance(_name(spaced), str) and not spaced.isascii()
    return {"name": spaced} if is_name and not any(c.isdigit() for c in spaced) else {}


def newborn(mother: Patient, *, today: date) -> dict[str, str]:
    """The fields of the record of a baby who has no name and no papers yet, from its mother's."""
    return {
        "name": f"{mother.name}之婴", "birth_date": today.isoformat(), "id_type": str(IdType.NONE),
        "address": mother.address, "guardian_name": mother.name, "guardian_relation": "母亲",
        "guardian_phone": spaced_phone(mother.phone),
    }  # fmt: skip


def read_date(typed: str) -> date | None:
    """A date as people write it: 1980-03-14, 19800314, 1980/3/14, 1980年3月14日. None for anything else."""
    match = _DATE.fullmatch(to_plain(typed).strip())
    if match is None:
        return None
    try:
        return date(*(int(group) for group in match.groups() if group is not None))
    except ValueError:
        return None


def is_child(birth_date: date | str, today: date) -> bool:
    """Is a guardian asked for? A date that cannot be read, as somebody typed it, is no child's."""
    born = read_date(birth_date) if isinstance(birth_date, str) else birth_date
    if born is None or born > today:
        return False
    return (today.year - born.year - ((today.month, today.day) < (born.month, born.day))) < GUARDED_BELOW_YEARS


def _guardian(form: Mapping[str, str], *, child: bool) -> tuple[str | Text, str | Text, str | Text]:
    """Name, relation, phone. A child may come alone, or with nobody who can be named: then it is said why."""
    typed = form.get("guardian_name", "")
    name = _name(typed) if typed.strip() else ""
    relation = _few_words(form.get("guardian_relation", ""))
    if relation == "" and name != "":
        relation = text("What is the guardian to the patient? Mother, father, …")
    elif relation == "" and child:
        name = text("Under 14 a guardian is asked for; if there is none, write why in the next field")
    phone = _phone(form.get("guardian_phone", ""))
    if name == "" and isinstance(phone, str) and phone:
        name = text("Whose phone is it? Write the guardian's name")
    return name, relation, phone


def _few_words(typed: str) -> str | Text:
    said = " ".join(typed.split())
    if looks_like_gb_11643(said):
        return _A_CARDS_NUMBER
    if len(said) > FEW_WORDS_MAX:
        return text("Too long by %(count)s characters", count=len(said) - FEW_WORDS_MAX)
    return said


def _name(typed: str) -> str | Text:
    name = " ".join(unicodedata.normalize("NFC", to_plain(typed)).split())
    # The dot between the parts of a name comes in many code points; kept as one, equal names are equal.
    name = re.sub(r"\s*[·•・‧∙]\s*", "·", name)
    if looks_like_gb_11643(name):
        return _A_CARDS_NUMBER
    if not name:
        return text("A name is needed; for somebody unknown write what they are called meanwhile")
    if not any(character.isalpha() for character in name):
        return text("A name has letters or characters")
    if len(name) > NAME_MAX:
        return text("Too long by %(count)s characters", count=len(name) - NAME_MAX)
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name):
        return text("It holds an invisible character; type it anew")
    return name


def _document(
    form: Mapping[str, str], today: date, kept: IdNumber | None
) -> tuple[IdType, IdNumber | None] | FieldProblem:
    typed = normalise(form.get("id_number", ""))
    try:
        id_type = IdType(form.get("id_type", IdType.RESIDENT))
    except ValueError:
        return FieldProblem(field="id_type", text=text("Choose the kind of document"))
    if id_type is IdType.NONE:
        return _no_papers(typed)
    if not typed and kept is not None and kept.id_type is id_type:
        return id_type, kept
    if not typed:
        return FieldProblem(
            field="id_number", text=text('The number is missing; without a document choose "No papers"')
        )
    if id_type is IdType.RESIDENT:
        # The same build; the beginning of the number tells which of the cards it is.
        id_type = guess_type(typed)
    number = read(id_type, typed, today=today)
    if isinstance(number, NotAnId):
        return FieldProblem(field="id_number", text=number.why)
    return id_type, number


def _no_papers(typed: str) -> tuple[IdType, None] | FieldProblem:
    if typed:
        return FieldProblem(field="id_type", text=text("A number is given: choose what kind of document it is from"))
    return IdType.NONE, None


def _sex(typed: str, number: IdNumber | None) -> Sex | Text:
    said = number.sex if number else None
    if typed not in {str(int(sex)) for sex in Sex}:
        return said if said is not None else text("Choose one")
    sex = Sex(int(typed))
    if said is not None and sex is not said:
        return text("The document number says %(sex)s", sex=SEX_WORDS[said])
    return sex


def _birth_date(typed: str, number: IdNumber | None, today: date) -> date | Text:
    said = number.birth_date if number else None
    if not typed.strip():
        return said or text("The birth date is needed; if nobody knows it, estimate the year and take 01-01")
    born = read_date(typed)
    if born is None:
        return text("Not a date; write it like 1980-03-14")
    if said is not None and born != said:
        return text("%(date)s, but the document number says %(said)s", date=born.isoformat(), said=said.isoformat())
    if born > today:
        return text("%(date)s is yet to come", date=born.isoformat())
    if born < EARLIEST_BIRTH:
        return text("%(date)s is too long ago", date=born.isoformat())
    return born


def _phone(typed: str) -> str | Text:
    phone = re.sub(r"[\s\-()]", "", to_plain(typed))
    phone = re.sub(r"^(\+|00)86", "", phone)
    if not phone or _LANDLINE.fullmatch(phone) or _ABROAD.fullmatch(phone):
        return phone
    if not phone.isascii() or not phone.isdigit():
        return text("Only digits; a number from abroad begins with +")
    if phone.startswith("0"):
        return text("A fixed line has 10 to 12 digits with its area code")
    if not phone.startswith("1"):
        return text("A mobile number begins with 1, a fixed line with 0 and its area code")
    if len(phone) < MOBILE_DIGITS:
        return text("Short by %(count)s: a mobile number has 11 digits", count=MOBILE_DIGITS - len(phone))
    if len(phone) > MOBILE_DIGITS:
        return text("Long by %(count)s: a mobile number has 11 digits", count=len(phone) - MOBILE_DIGITS)
    return phone


def _address(typed: str) -> str | Text:
    address = " ".join(typed.split())
    if looks_like_gb_11643(address):
        return _A_CARDS_NUMBER
    if len(address) > ADDRESS_MAX:
        return text("Too long by %(count)s characters", count=len(address) - ADDRESS_MAX)
    return address


def meanwhile(now: Patient, person: Person) -> list[FieldProblem]:
    """Where a form differs from a record that somebody else has changed since: theirs beside ours, to decide."""
    theirs: Mapping[str, tuple[object, object, str | Text]] = {
        "name": (now.name, person.name, now.name),
        "sex": (now.sex, person.sex, SEX_WORDS[now.sex]),
        "birth_date": (now.birth_date, person.birth_date, now.birth_date.isoformat()),
        "id_type": (now.id_type, person.id_type, ID_TYPE_NAMES[now.id_type]),
        "phone": (now.phone, person.phone, now.phone or "—"),
        "address": (now.address, person.address, now.address or "—"),
        "occupation": (now.occupation, person.occupation, now.occupation or "—"),
        "guardian_name": (now.guardian_name, person.guardian_name, now.guardian_name or "—"),
        "guardian_relation": (now.guardian_relation, person.guardian_relation, now.guardian_relation or "—"),
        "guardian_phone": (now.guardian_phone, person.guardian_phone, now.guardian_phone or "—"),
    }
    return [
        FieldProblem(
            field=field, text=text("Meanwhile saved by somebody else: %(value)s. Saving again puts yours", value=said)
        )
        for field, (old, new, said) in theirs.items()
        if old != new
    ]
