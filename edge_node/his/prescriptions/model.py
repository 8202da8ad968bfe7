"""A prescription as the rules see it: drugs, lines, the patient, the doctor. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Form(StrEnum):
    """Western and prepared Chinese medicines go together on a sheet; herbs to be decocted have their own."""

    MEDICINES = "medicines"
    HERBAL = "herbal"


class Kind(StrEnum):
    """Whose paper it is written on (处方管理办法, annex 1)."""

    ORDINARY = "ordinary"
    EMERGENCY = "emergency"
    CHILD = "child"
    PSYCHOTROPIC_2 = "psychotropic-2"
    NARCOTIC = "narcotic"


class Control(StrEnum):
    """The class under which a drug is controlled."""

    NONE = "none"
    TOXIC = "toxic"
    PSYCHOTROPIC_2 = "psychotropic-2"
    PSYCHOTROPIC_1 = "psychotropic-1"
    NARCOTIC = "narcotic"

    @property
    def is_narcotic_paper(self) -> bool:
        """Narcotics and psychotropics of the first class share their paper and their limits."""
        return self in (Control.NARCOTIC, Control.PSYCHOTROPIC_1)


class Release(StrEnum):
    """How a controlled drug gives itself off; the limits of narcotics go by it."""

    ORDINARY = "ordinary"
    SUSTAINED = "sustained"
    INJECTION = "injection"


class Antibacterial(StrEnum):
    """The class of an antibacterial (抗菌药物临床应用管理办法, article 6)."""

    NONE = "none"
    FREE = "free"
    RESTRICTED = "restricted"
    SPECIAL = "special"


class Pregnancy(StrEnum):
    """What the label says of pregnancy."""

    NOTHING = ""
    CARE = "caution"
    FORBIDDEN = "forbidden"


class Right(StrEnum):
    """What a doctor may prescribe beside ordinary drugs."""

    NARCOTIC = "narcotic"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drug:
    """What the catalogue says of a drug. Doses and limits are in its dose unit (`unit`); ages in months.

    `ingredients` are milligrams in one dose unit (zero where it is not known). `pack` is how many dose units one pack
    holds. None is "the label says nothing".
    """

    code: str
    name: str
    unit: str
    pack: Decimal
    ingredients: Mapping[str, Decimal]
    groups: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    herbal: bool = False
    control: Control = Control.NONE
    release: Release = Release.ORDINARY
    antibacterial: Antibacterial = Antibacterial.NONE
    skin_test: bool = False
    on_site_only: bool = False
    long_for: str = ""
    max_single: Decimal | None = None
    max_daily: Decimal | None = None
    max_daily_per_kg: Decimal | None = None
    min_age_months: int | None = None
    forbidden_below_months: int | None = None
    pregnancy: Pregnancy = Pregnancy.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One drug of a sheet. What was left open is None; `packs` None means that the program counts them.

    On a herbal sheet `dose` is grams in one dose of the decoction, and frequency and days are the sheet's.
    """

    drug: Drug
    dose: Decimal | None
    route: str = ""
    frequency: str = ""
    days: int | None = None
    packs: int | None = None


class SkinTestState(StrEnum):
    """How far a skin test has come."""

    ORDERED = "ordered"
    NEGATIVE = "negative"
    POSITIVE = "positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class SkinTest:
    """The newest skin test of a substance; `hours_ago` since it was read."""

    substance: str
    state: SkinTestState
    hours_ago: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allergy:
    """What a patient must not have: the substance as written, and the groups that the catalogue puts it into."""

    substance: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Of the patient, what the rules ask for. `allergies_asked`: somebody asked, whatever the answer."""

    birth_date: date
    weight_kg: Decimal | None = None
    pregnant: bool = False
    allergies: tuple[Allergy, ...] = ()
    allergies_asked: bool = True
    skin_tests: tuple[SkinTest, ...] = ()
    # The number of the patient's identity paper, or of who fetches the drugs for them, has been written down.
    identity: bool = False
    # Pain of cancer, or lasting pain of a medium or heavy degree.
    long_pain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One prescription: what the doctor wrote. `kind` None leaves the paper to the program."""

    form: Form
    lines: tuple[Line, ...]
    diagnoses: tuple[str, ...]
    kind: Kind | None = None
    emergency: bool = False
    # Herbal: how many doses, and how many of them a day.
    doses: int | None = None
    doses_a_day: int = 1

    @property
    def days(self) -> int | None:
        """Days that a herbal sheet lasts, a begun one counting whole; None while its doses are not said."""
        return None if self.doses is None else -(-self.doses // self.doses_a_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """What differs from clinic to clinic."""

    # Only with the seal card for buying them (麻醉药品和精神药品管理条例, article 36), which few clinics have.
    narcotics: bool = False
    # Labels of penicillins ask for a new test after three days without the drug.
    skin_test_hours: int = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Two ingredients or groups that do not go together, and what happens then."""

    one: str
    other: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a check looks at. `other_lines`: what else the patient was prescribed today or still takes."""

    sheet: Sheet
    patient: Patient
    today: date
    rights: frozenset[Right] = frozenset()
    clinic: Clinic = field(default_factory=Clinic)
    other_lines: tuple[Line, ...] = ()
    interactions: tuple[Interaction, ...] = ()
