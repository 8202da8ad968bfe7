"""What a record says about a person, in words: age, sex, masked numbers, likeness. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.queries import Likeness
from edge_node.i18n import Text, text

SEX_NAMES: Mapping[Sex, Text] = {
    Sex.MALE: text("M"),
    Sex.FEMALE: text("F"),
    Sex.UNKNOWN: text("sex unknown"),
    Sex.UNSPECIFIED: text("sex not stated"),
}

# In a sentence and on a choice, where one letter would be too little.
SEX_WORDS: Mapping[Sex, Text] = {
    Sex.MALE: text("male"),
    Sex.FEMALE: text("female"),
    Sex.UNKNOWN: text("unknown"),
    Sex.UNSPECIFIED: text("not stated"),
}

ID_TYPE_NAMES: Mapping[IdType, Text] = {
    IdType.RESIDENT: text("ID card"),
    IdType.HKMT_RESIDENCE: text("Residence permit (HK, Macau, Taiwan)"),
    IdType.FOREIGN_RESIDENT: text("Foreign permanent resident card"),
    IdType.PASSPORT: text("Passport"),
    IdType.BIRTH_CERTIFICATE: text("Birth certificate"),
    IdType.OTHER: text("Other document"),
    IdType.NONE: text("No papers"),
}

LIKENESS_NAMES: Mapping[Likeness, Text] = {
    Likeness.SAME_ID_NUMBER: text("same ID number"),
    Likeness.SAME_NAME_AND_BIRTH: text("same name and birth date"),
    Likeness.SAME_PHONE_AND_BIRTH: text("same phone and birth date"),
    Likeness.SAME_NAME_AND_PHONE: text("same name and phone"),
    Likeness.SOUNDS_ALIKE_SAME_BIRTH: text("name sounds alike, same birth date"),
}


def age(birth_date: date, on: date) -> Text:
    """An age as it is written in a record: days in the first month, months until two, then full years."""
    months = (on.year - birth_date.year) * 12 + on.month - birth_date.month - (on.day < birth_date.day)
    if months < 1:
        return text("%(n)s d old", n=max((on - birth_date).days, 0))
    if months < 24:
        return text("%(n)s mo", n=months)
    return text("%(n)s y", n=months // 12)


def mask_phone(phone: str) -> str:
    """A phone number for a list that others at the desk can see: 138****2207."""
    if len(phone) < 7:
        return phone
    return f"{phone[:3]}{'*' * (len(phone) - 7)}{phone[-4:]}"


def spaced_phone(phone: str) -> str:
    """A mobile number as it is read aloud: 138 0516 2207; others as they are."""
    return f"{phone[:3]} {phone[3:7]} {phone[7:]}" if len(phone) == 11 and phone.startswith("1") else phone
