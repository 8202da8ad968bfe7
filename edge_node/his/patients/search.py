"""Finding a patient from what a registrar typed or scanned, in one field, whatever it is.

    whole number of a document    that person, or nobody
    record number                 that person
    digits                        a phone number, its beginning, or its last four; the digits of a record number
    Latin letters                 pinyin initials or spelling, or a name in Latin letters; a passport's number
    characters                    the name, its beginning, a part of it

A last word of four or more digits narrows a name: `syq 1980` (born in) or `syq 2207` (end of the phone number). The
same initials belong to hundreds of people in a large clinic; without it the right one would be past the list's end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_node.his.patients import identity, pinyin
from edge_node.his.patients.queries import (
    COLUMNS,
    ID_TYPES_SQL,
    Digest,
    Patient,
    Visit,
    former_names,
    from_row,
    last_visits,
    standing,
)
from edge_node.store.connection import Connection


class Found(StrEnum):
    """By what a patient was found."""

    ID_NUMBER = "id-number"
    MRN = "mrn"
    PHONE = "phone"
    NAME = "name"
    PINYIN = "pinyin"

    @property
    def is_certain(self) -> bool:
        """Such a number belongs to one person: a single match needs no choosing."""
        return self in (Found.ID_NUMBER, Found.MRN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A patient found, the newest visit, and by what."""

    patient: Patient
    last_visit: Visit | None
    why: Found
    # The number or name by which it was found, where the record shows another: that of a merged record, a former name.
    by: str = ""


# A name, a space and a phone number are shorter. The patterns below compare every place with every other.
TEXT_MAX = 100
# As many rows of one step are compared by their last visit; one letter begins the names of tens of thousands, of whom
# nobody is looked for by it. A second word makes the search worth more.
CANDIDATES_CAP = 1_000
NARROWED_CAP = 50_000
_NARROWED = re.compile(r"(?P<name>.*\D)\s+(?P<narrow>\d{4,11})")
_LETTERS_AND_DIGITS = re.compile(r"[A-Za-z]+[A-Za-z0-9]*\d[A-Za-z0-9]*|\d+[A-Za-z][A-Za-z0-9]*")
_SHORTEST_DOCUMENT = 5
_RECORD_NUMBER = re.compile(r"[0-9A-Za-z]{3,8}-\d{10}")
_LATIN = re.compile(r"[A-Za-züÜ' .·\-]+")
# The greatest code point: every text that begins with x is less than x followed by it.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One way to look: a condition on records, or a statement that finds their ids elsewhere."""

    why: Found
    value: str | bytes
    condition: str = "TRUE"
    ids: str = ""


def find(conn: Connection, typed: str, *, digest: Digest, limit: int) -> list[Match]:
    """Patients whom the text may mean: the surest kind of match first, then who was here last.

    A record that was merged into another, and a name that was changed, find what stands for the person now.
    Asks for one more than is shown to learn whether there are more. An empty text finds nobody.
    """
    text = " ".join(identity.to_plain(typed[:TEXT_MAX]).split())
    narrowed = _NARROWED.fullmatch(text)
    narrow = narrowed["narrow"] if narrowed else ""
    if narrowed:
        text = narrowed["name"].strip()
    found: dict[str, tuple[Patient, Found, str]] = {}
    for step in _steps(text, digest):
        for hit in _run(conn, step, narrow, limit + len(found)):
            patient = standing(conn, hit)
            if patient.id not in found:
                found[patient.id] = (patient, step.why, _by(conn, hit, patient, step.why, text))
        if len(found) >= limit:
            break
    chosen = list(found.values())[:limit]
    visits = last_visits(conn, [patient.id for patient, *_ in chosen])
    return [
        Match(patient=patient, why=why, last_visit=visits.get(patient.id), by=by) for patient, why, by in chosen
    ]  # fmt: skip


def _by(conn: Connection, hit: Patient, shown: Patient, why: Found, text: str) -> str:
    """What the list says of a match whose record does not show what was asked for."""
    if hit.id != shown.id:
        return f"{hit.mrn} {hit.name}" if hit.name != shown.name else hit.mrn
    if why is Found.NAME and text not in shown.name:
        return next((name for name in former_names(conn, shown.id) if text in name), "")
    return ""


def asked(form: Mapping[str, str]) -> str:
    """What was typed into the search field, as far as anybody can mean it."""
    return form.get("q", "").strip()[:TEXT_MAX]


def is_private(typed: str) -> bool:
    """Is it a document's number, a passport's too, which a page does not repeat whole?"""
    number = identity.normalise(typed)
    is_other = len(number) >= _SHORTEST_DOCUMENT and _LETTERS_AND_DIGITS.fullmatch(number) is not None
    return identity.looks_like_gb_11643(number) or (is_other and _RECORD_NUMBER.fullmatch(typed.strip()) is None)


def as_shown(typed: str) -> str:
    """What was searched for, as the page repeats it: a document's number masked."""
    return identity.mask(identity.normalise(typed)) if is_private(typed) else typed


def _steps(text: str, digest: Digest) -> Iterator[_Step]:
    number = identity.normalise(text)
    if not number:
        return
    if identity.looks_like_gb_11643(number):
        yield _Step(why=Found.ID_NUMBER, condition=_HAS_NUMBER, value=digest(number))
    elif _RECORD_NUMBER.fullmatch(text):
        yield _Step(why=Found.MRN, condition="mrn = :value", value=text.upper())
    elif number.isdigit():
        yield from _digits(number, digest)
    elif _LETTERS_AND_DIGITS.fullmatch(number):
        yield _Step(why=Found.ID_NUMBER, condition=_HAS_NUMBER, value=digest(number))
    elif _LATIN.fullmatch(text):
        yield from _letters(pinyin.query_key(text))
    else:
        yield from _characters(text.replace(" ", "") if not re.search("[A-Za-z]", text) else text)


def _digits(number: str, digest: Digest) -> Iterator[_Step]:
    yield _Step(why=Found.PHONE, condition="phone <> '' AND phone = :value", value=number)
    if len(number) >= 3:
        yield _Step(
            why=Found.PHONE, condition=f"phone <> '' AND phone > :value AND phone < :value || '{_LAST}'", value=number
        )
    if len(number) == 4:
        yield _Step(why=Found.PHONE, condition="phone <> '' AND phone LIKE '%' || :value", value=number)
    if len(number) == 10:
        yield _Step(why=Found.MRN, condition="mrn LIKE '%-' || :value", value=number)
    if len(number) >= 5:
        yield _Step(why=Found.ID_NUMBER, condition=_HAS_NUMBER, value=digest(number))


def _letters(key: str) -> Iterator[_Step]:
    if key:
        yield _Step(why=Found.PINYIN, ids=_by_key("key = :value"), value=key)
        longer = f"key > :value AND key < :value || '{_LAST}'"
        yield _Step(why=Found.PINYIN, ids=_by_key(longer), value=key)


def _characters(name: str) -> Iterator[_Step]:
    yield _Step(why=Found.NAME, condition="name = :value", value=name)
    yield _Step(why=Found.NAME, condition=f"name > :value AND name < :value || '{_LAST}'", value=name)
    former = (
        f"SELECT DISTINCT patient_id AS id FROM patient_former_name WHERE name >= :value AND name < :value || '{_LAST}'"
    )
    yield _Step(why=Found.NAME, ids=former, value=name)
    yield _Step(why=Found.NAME, condition="instr(name, :value) > 1", value=name)


def _by_key(condition: str) -> str:
    return f"SELECT DISTINCT patient_id AS id FROM patient_pinyin WHERE {condition}"


_HAS_NUMBER = f"id_type IN ({ID_TYPES_SQL}) AND id_number_digest = :value"


def _run(conn: Connection, step: _Step, narrow: str, wanted: int) -> list[Patient]:
    """The first `wanted` patients of one step: likely readings first, then who was here last."""
    keyed, source, one = f"({step.ids} LIMIT :keyed_cap) AS keyed", "patient", "patient.id"
    if step.ids:
        source, one = (
            (f"{keyed} JOIN patient ON patient.id = keyed.id", "patient.id") if narrow else (keyed, "keyed.id")
        )
    narrowed = "replace(birth_date, '-', '') LIKE :narrow || '%' OR phone LIKE '%' || :narrow" if narrow else "TRUE"
    # Of up to a thousand only what they are sorted by: a record costs ten times as much, and most are never shown.
    rows = conn.execute(
        f"""
        SELECT {one}, (SELECT max(registered_at) FROM registration WHERE registration.patient_id = {one}) AS last
        FROM {source} WHERE {step.condition} AND ({narrowed}) LIMIT :cap
        """,
        {
            "value": step.value, "narrow": narrow, "cap": CANDIDATES_CAP,
            "keyed_cap": NARROWED_CAP if narrow else CANDIDATES_CAP,
        },
    ).fetchall()  # fmt: skip
    rows.sort(key=lambda row: -(row["last"] or 0))
    likely: list[Patient] = []
    others: list[Patient] = []
    seen: set[str] = set()
    for patient in _in_turn(conn, [row["id"] for row in rows], at_once=wanted):
        # Of records that were merged, the one that was used last stands for all.
        if (person := patient.merged_into or patient.id) in seen:
            continue
        seen.add(person)
        is_likely = step.why is not Found.PINYIN or pinyin.is_likely(patient.name, str(step.value))
        (likely if is_likely else others).append(patient)
        if len(likely) == wanted:
            break
    return (likely + others)[:wanted]


def _in_turn(conn: Connection, patient_ids: Sequence[str], *, at_once: int) -> Iterator[Patient]:
    """The records of these ids in their order, read a few at a time."""
    for begin in range(0, len(patient_ids), at_once):
        yield from _whole(conn, patient_ids[begin : begin + at_once])


def _whole(conn: Connection, patient_ids: Sequence[str]) -> list[Patient]:
    """The records of these ids, in their order."""
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM json_each(:ids) JOIN patient ON patient.id = value ORDER BY json_each.key",
        {"ids": json.dumps(patient_ids)},
    )
    return [from_row(row) for row in rows]
