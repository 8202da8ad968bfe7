"""Made-up patients: names, ID numbers with their check digit, phones and addresses of zh_CN, the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from edge_node.base.errors import UsageError

MALE, FEMALE = "1", "2"
# Under this age a guardian is named.
GUARDED_BELOW_YEARS = 14
# Shares among a clinic's patients; the rest is of working age.
CHILDREN, OLD = 0.2, 0.25
WITHOUT_PAPERS, WITHOUT_PHONE = 0.2, 0.1
_OCCUPATIONS = ("职员", "工人", "农民", "教师", "个体经营", "退休", "学生", "司机", "家务")
_RELATIONS = (("母亲", FEMALE), ("父亲", MALE), ("祖母", FEMALE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who does not exist. `id_number` and `phone` are empty for who has none; a child has a guardian."""

    name: str
    sex: str
    born: date
    id_number: str
    phone: str
    address: str
    occupation: str
    guardian_name: str = ""
    guardian_relation: str = ""
    guardian_phone: str = ""

    @property
    def is_child(self) -> bool:
        return bool(self.guardian_name)


def made_up(count: int, *, seed: int, today: date) -> Sequence[Person]:
    """So many people, no two of whom share a name and a birth date.

    Raises UsageError package-missing where Faker is not installed.
    """
    faker, rng = _faker(), random.Random(seed)
    faker.seed_instance(seed)
    people: dict[tuple[str, date], Person] = {}
    while len(people) < count:
        one = _one(faker, rng, today)
        people.setdefault((one.name, one.born), one)
    return tuple(people.values())


def _faker() -> Any:
    try:
        from faker import Faker
    except ImportError as error:
        raise UsageError(
            "package-missing",
            "made-up patients need the package Faker, which a clinic's installation leaves out",
            context=None,
            hint="pip install 'edge-node[simulate]', in the environment that edge-node runs in",
        ) from error
    return Faker("zh_CN")


def _one(faker: Any, rng: random.Random, today: date) -> Person:
    sex = rng.choice((MALE, FEMALE))
    share = rng.random()
    is_child = share < CHILDREN
    years = rng.randrange(14) if is_child else rng.randrange(65, 95) if share > 1 - OLD else rng.randrange(16, 65)
    born = today - timedelta(days=years * 365.25 + rng.randrange(1, 330))
    born = born if not is_child or _age(born, today) < GUARDED_BELOW_YEARS else today - timedelta(days=400)
    relation, guardian_sex = rng.choice(_RELATIONS)
    has_phone = rng.random() >= WITHOUT_PHONE
    return Person(
        name=_name(faker, sex),
        sex=sex,
        born=born,
        id_number="" if rng.random() < WITHOUT_PAPERS else id_number(faker.ssn()[:6], born, rng.randrange(500), sex),
        phone=faker.phone_number() if has_phone and not is_child else "",
        address=f"{faker.city_name()}市{faker.street_address()}",
        occupation="" if is_child else rng.choice(_OCCUPATIONS),
        guardian_name=_name(faker, guardian_sex) if is_child else "",
        guardian_relation=relation if is_child else "",
        guardian_phone=faker.phone_number() if is_child and has_phone else "",
    )


def id_number(region: str, born: date, serial: int, sex: str) -> str:
    """A resident's ID number with its check digit (GB 11643: ISO 7064 MOD 11-2); the serial's last digit tells the
    sex."""
    digits = f"{region}{born:%Y%m%d}{serial * 2 + (sex == MALE):03}"
    total = sum(2 ** (18 - place) * int(digit) for place, digit in enumerate(digits, start=1))
    return digits + "10X98765432"[total % 11]


def _name(faker: Any, sex: str) -> str:
    return str(faker.name_male() if sex == MALE else faker.name_female())


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
