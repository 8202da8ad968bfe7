"""What a record says about a person, in words: age, sex, masked numbers, likeness. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum

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


# Who is asked whether she brings a newborn: a rough bound, for a button and no more.
_MOTHER_YEARS = range(12, 60)


def may_be_a_mother(sex: Sex, birth_date: date, on: date) -> bool:
    """Is the way to a newborn's record offered on this one's?"""
    years = on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))
    return sex is Sex.FEMALE and years in _MOTHER_YEARS


class Masked(StrEnum):
    """What is masked on every page but the forms that change it; shown whole when asked for, which is logged."""

    ID_NUMBER = "id_number"
    PHONE = "phone"
    ADDRESS = "address"
    GUARDIAN_PHONE = "guardian_phone"


# Four characters at least are hidden, and the last four are left to recognise a number by.
_SEEN_AT_THE_END, _HIDDEN, _SEEN_AT_THE_BEGINNING = 4, 4, 3
# An address is left down to its street, estate or village; the longer word first.
_STREET = re.compile(r"(街道|大道|大街|胡同|小区|[路街巷弄镇乡村])(?=.)")
_HOUSE = re.compile(r"[0-9０-９]")
_TAIL = "***"


def mask_phone(phone: str) -> str:
    """A phone number for those who need not call it: 138****2207."""
    if len(phone) <= _SEEN_AT_THE_END:
        return "*" * len(phone)
    begins = min(_SEEN_AT_THE_BEGINNING, max(0, len(phone) - _SEEN_AT_THE_END - _HIDDEN))
    return f"{phone[:begins]}{'*' * (len(phone) - begins - _SEEN_AT_THE_END)}{phone[-_SEEN_AT_THE_END:]}"


def mask_address(address: str) -> str:
    """An address without house and door: down to the street where one is named, else to the first number.

    One that begins with its number, as foreign ones do, keeps its words; one that has neither keeps its first half.
    """
    if street := _STREET.search(address):
        return address[: street.end()] + _TAIL
    if house := _HOUSE.search(address):
        return address[: house.start()].rstrip() + _TAIL if house.start() else _HOUSE.sub("*", address)
    if _STREET.search(address + "|"):
        return address
    return address[: len(address) // 2] + _TAIL if address else ""


def spaced_phone(phone: str) -> str:
    """A mobile number as it is read aloud: 138 0516 2207; others as they are."""
    return f"{phone[:3]} {phone[3:7]} {phone[7:]}" if len(phone) == 11 and phone.startswith("1") else phone
