"""Identity documents: what a number says of its holder, and whether it can be right. Pure.

The 18-character number (GB 11643-1999) is six digits of region, eight of birth date, three of sequence (the last odd
for a man, even for a woman) and a check character by ISO 7064 MOD 11-2. Residents of Hong Kong, Macau and Taiwan
(regions 81, 82, 83) and foreign permanent residents (since 2023, beginning with 9) have numbers of the same build.

The region is not judged: tables of regions are always out of date, and a newborn or an old card with an abolished
region must not be turned away. We check what a slip of the pen breaks: the length, the date, the check character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

from edge_node.i18n import Text, text


class Sex(IntEnum):
    """Codes of GB/T 2261.1."""

    UNKNOWN = 0
    MALE = 1
    FEMALE = 2
    UNSPECIFIED = 9


class IdType(StrEnum):
    """What kind of document a patient has shown."""

    RESIDENT = "resident"
    HKMT_RESIDENCE = "hkmt_residence"
    FOREIGN_RESIDENT = "foreign_resident"
    PASSPORT = "passport"
    BIRTH_CERTIFICATE = "birth_certificate"
    OTHER = "other"
    NONE = "none"


# Before this nobody who can still be a patient was born; an earlier year is a slip.
EARLIEST_BIRTH = date(1850, 1, 1)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_GB_11643 = re.compile(r"[0-9]{17}[0-9X]")
_PASSPORT = re.compile(r"[A-Z0-9]{5,17}")
_OTHER = re.compile(r"[^\s].{3,29}")
# 出生医学证明: one letter and nine digits.
_BIRTH_CERTIFICATE = re.compile(r"[A-Z][0-9]{9}")
# The first generation of the foreigner's permanent residence card: three letters and twelve digits.
_OLD_FOREIGN_RESIDENT = re.compile(r"[A-Z]{3}[0-9]{12}")
_REGIONS = {IdType.HKMT_RESIDENCE: ("810000", "820000", "830000"), IdType.FOREIGN_RESIDENT: ("9",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdNumber:
    """A number that can be right. Birth date and sex are None where its kind does not tell them."""

    id_type: IdType
    number: str
    birth_date: date | None = None
    sex: Sex | None = None


@dataclass(frozen=True, slots=True)
class NotAnId:
    """Why a number cannot be right, as a sentence for the registrar. It never tells the check character that would
    fit: that is a question to ask the card, not an answer to type in."""

    why: Text


def normalise(number: str) -> str:
    """The number as it is stored and compared: no spaces or hyphens, capitals, full-width characters made plain."""
    return re.sub(r"[\s\-]", "", to_plain(number)).upper()


def to_plain(typed: str) -> str:
    """Full-width digits, letters and spaces, as Chinese input methods write them, made plain ones."""
    return typed.translate(_PLAIN)


_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def check_character(first_17: str) -> str:
    """The check character of 17 digits, by ISO 7064 MOD 11-2."""
    return _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first_17, strict=True)) % 11]


def looks_like_gb_11643(number: str) -> bool:
    """Has the build of an 18-character number; says nothing of its check character."""
    return _GB_11643.fullmatch(normalise(number)) is not None


def guess_type(number: str) -> IdType:
    """The kind of document that an 18-character number most likely belongs to."""
    plain = normalise(number)
    for id_type, prefixes in _REGIONS.items():
        if plain.startswith(prefixes):
            return id_type
    return IdType.RESIDENT


def read(id_type: IdType, number: str, *, today: date) -> IdNumber | NotAnId:
    """Judge a number by the rules of its kind; `today` is the clinic's own date. Not for IdType.NONE."""
    plain = normalise(number)
    match id_type:
        case IdType.FOREIGN_RESIDENT if _OLD_FOREIGN_RESIDENT.fullmatch(plain):
            return IdNumber(id_type=id_type, number=plain)
        case IdType.RESIDENT | IdType.HKMT_RESIDENCE | IdType.FOREIGN_RESIDENT:
            return _read_gb_11643(id_type, plain, today)
        case IdType.PASSPORT if not _PASSPORT.fullmatch(plain):
            return NotAnId(text("A passport number has 5 to 17 letters and digits"))
        case IdType.BIRTH_CERTIFICATE if not _BIRTH_CERTIFICATE.fullmatch(plain):
            return NotAnId(text("A birth certificate's number is one letter and nine digits"))
        case IdType.OTHER if not _OTHER.fullmatch(plain):
            return NotAnId(text("A number has 4 to 30 characters"))
        case _:
            return IdNumber(id_type=id_type, number=plain)


def _read_gb_11643(id_type: IdType, plain: str, today: date) -> IdNumber | NotAnId:
    if problem := _wrong_build(plain):
        return NotAnId(problem)
    if id_type is IdType.HKMT_RESIDENCE and not plain.startswith(_REGIONS[id_type]):
        return NotAnId(text("A residence permit's number begins with 810000, 820000 or 830000"))
    if id_type is IdType.FOREIGN_RESIDENT and not plain.startswith("9"):
        return NotAnId(text("A foreign permanent resident's number begins with 9"))
    try:
        born = date(int(plain[6:10]), int(plain[10:12]), int(plain[12:14]))
    except ValueError:
        return NotAnId(text("Its birth date %(digits)s does not exist", digits=plain[6:14]))
    # The check character first: when it is wrong too, the wrong date is a consequence and not the trouble.
    if check_character(plain[:17]) != plain[17]:
        return NotAnId(text("The check does not fit: one character may be wrong; compare with the card once more"))
    if born > today:
        return NotAnId(text("Its birth date %(date)s is yet to come", date=born.isoformat()))
    if born < EARLIEST_BIRTH:
        return NotAnId(text("Its birth date %(date)s is too long ago", date=born.isoformat()))
    return IdNumber(id_type=id_type, number=plain, birth_date=born, sex=Sex.MALE if int(plain[16]) % 2 else Sex.FEMALE)


def _wrong_build(plain: str) -> Text | None:
    if len(plain) == 15 and plain.isdigit():
        # Ended in 2013. Such a card identifies nobody any more; its holder has an 18-character number by now.
        return text("15 digits are the number of an old card; ask for the one with 18")
    if len(plain) < 18:
        return text("Short by %(count)s: this number has 18 characters", count=18 - len(plain))
    if len(plain) > 18:
        return text("Long by %(count)s: this number has 18 characters", count=len(plain) - 18)
    if not _GB_11643.fullmatch(plain):
        return text("Only digits, and perhaps an X at the end")
    return None


def mask(number: str) -> str:
    """What is shown without asking: the first and the last four of 18, the last three of anything shorter."""
    if len(number) >= 15:
        return f"{number[:4]}{'*' * (len(number) - 8)}{number[-4:]}"
    return f"{'*' * max(len(number) - 3, 1)}{number[-3:]}" if len(number) > 3 else "*" * len(number)
