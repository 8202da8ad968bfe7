"""The form of an allergy: what was typed in, what is to be written or the problems of every field out. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edge_node.his.forms import FieldProblem
from edge_node.his.patients.identity import to_plain
from edge_node.i18n import Text, text

LABELS: Mapping[str, Text] = {
    "substance": text("Allergic to"),
    "reaction": text("Reaction"),
    "since": text("Since"),
    "end_reason": text("Why it ends"),
}
# Each has to fit into the block at the head of every page about this person.
SUBSTANCE_MAX, REACTION_MAX, REASON_MAX = 40, 60, 200
# A year, a month or a day, as people say it: 2019, 2019-5, 2019年5月, 2019/5/3, 2019.
_SINCE = re.compile(r"(\d{4})(?:\s*[-/.年]\s*(?:(\d{1,2})\s*(?:[-/.月]\s*(?:(\d{1,2})\s*日?)?)?)?)?")
# Said in the field for an allergen it would be read as one.
_NOTHING = frozenset({"无", "没有", "无过敏", "不详", "none", "no", "nil", "未知", "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An allergy as it will be on record. `since` is a year, a month or a day in ISO form, or empty."""

    substance: str
    reaction: str
    since: str


def parse(form: Mapping[str, str], *, today: date, birth_date: date) -> Written | list[FieldProblem]:
    """Read the form of an allergy."""
    substance = _substance(form.get("substance", ""))
    reaction = words(form.get("reaction", ""), REACTION_MAX)
    since = _since(form.get("since", ""), today, birth_date)
    match substance, reaction, since:
        case str(), str(), str():
            return Written(substance=substance, reaction=reaction, since=since)
    outcomes = {"substance": substance, "reaction": reaction, "since": since}
    return [FieldProblem(field=field, text=said) for field, said in outcomes.items() if isinstance(said, Text)]


def end_reason(form: Mapping[str, str]) -> str | FieldProblem:
    """Why an allergy is taken off the record."""
    reason = words(form.get("end_reason", ""), REASON_MAX)
    if isinstance(reason, Text):
        return FieldProblem(field="end_reason", text=reason)
    return reason or FieldProblem(field="end_reason", text=text("Write why, in a few words"))


def words(typed: str, limit: int) -> str | Text:
    """A few words as they are kept: one line, no invisible characters, at most `limit` of them."""
    said = " ".join(unicodedata.normalize("NFC", typed).split())
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in said):
        return text("It holds an invisible character; type it anew")
    if len(said) > limit:
        return text("Too long by %(count)s characters", count=len(said) - limit)
    return said


def _substance(typed: str) -> str | Text:
    said = words(typed, SUBSTANCE_MAX)
    if isinstance(said, Text):
        return said
    if not said:
        return text("Write what the patient is allergic to; if to nothing, use the button for it")
    if said.casefold() in _NOTHING:
        return text("That is no substance; if the patient knows of none, use the button for it")
    if not any(character.isalpha() for character in said):
        return text("A substance has letters or characters")
    return said


def _since(typed: str, today: date, birth_date: date) -> str | Text:
    plain = to_plain(typed).strip()
    if not plain:
        return ""
    match = _SINCE.fullmatch(plain)
    if match is None:
        return text("A year, a month or a day, such as 2019 or 2019-05")
    year, month, day = match.groups()
    try:
        begin = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return text("A year, a month or a day, such as 2019 or 2019-05")
    said = begin.isoformat()[: 10 if day else 7 if month else 4]
    if begin > today:
        return text("%(date)s is yet to come", date=said)
    if said < birth_date.isoformat()[: len(said)]:
        return text("The patient was born on %(born)s", born=birth_date.isoformat())
    return said
