"""Who comes on a made-up day, with what, and what becomes of them: the same for a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pypinyin import Style, lazy_pinyin

from edge_node.simulation import cases
from edge_node.simulation.cases import Case
from edge_node.simulation.people import Person, made_up

# Of all visits: somebody who was here already today, for another department; who was not measured; who leaves again;
# who does not hear the first call.
RETURNING, UNMEASURED, CANCELLED, LATE = 0.3, 0.1, 0.05, 0.06
# Of those who are seen: whose note is changed after the signature. Of the measured: who tells of an allergy.
AMENDED, ALLERGIC = 0.05, 0.06
_SUBSTANCES = ("青霉素类", "头孢菌素类", "磺胺甲噁唑", "布洛芬")
_LEVELS, _OFTEN = ("1", "2", "3", "4"), (1, 3, 40, 56)


class Fate(StrEnum):
    """What becomes of a visit beside being seen."""

    SEEN = "seen"
    CANCELLED = "cancelled"
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit. `search` is what the registrar types first; `measures` are empty where the nurse was passed by, and
    `allergy` where nothing is known."""

    number: int
    person: Person
    is_return: bool
    search: str
    department: str
    fate: Fate
    measures: Mapping[str, str]
    allergy: str
    case: Case
    is_amended: bool


def plan(visits: int, *, seed: int, today: date) -> Sequence[Visit]:
    """The visits of a day in the order in which people come. Raises what `made_up` raises."""
    rng = random.Random(seed)
    returning = sum(rng.random() < RETURNING for _ in range(visits - 1)) if visits > 1 else 0
    people = list(made_up(visits - returning, seed=seed, today=today))
    # Everybody once; then some once more, at a random place after their first time.
    order = [(person, False) for person in people]
    for person in rng.sample(people, k=min(returning, len(people))):
        first = next(place for place, (one, _) in enumerate(order) if one is person)
        order.insert(rng.randrange(first + 1, len(order) + 1), (person, True))
    came: dict[Person, set[str]] = {}
    return tuple(
        _visit(number, person, is_return, came.setdefault(person, set()), rng, today)
        for number, (person, is_return) in enumerate(order, start=1)
    )


def of_registrar(visits: Sequence[Visit], place: int, registrars: int) -> list[Visit]:
    """What comes to one of several registrars: whoever comes twice comes to the same one, after the first time."""
    at: dict[Person, int] = {}
    for visit in visits:
        at.setdefault(visit.person, len(at) % registrars)
    return [visit for visit in visits if at[visit.person] == place]


def _visit(number: int, person: Person, is_return: bool, been_to: set[str], rng: random.Random, today: date) -> Visit:
    known = cases.CHILDREN if person.is_child else cases.ADULTS
    # Nobody stands twice in the queue of one department.
    case = rng.choice([one for one in known if one.department not in been_to] or known)
    # A child's second visit, and whoever has been everywhere, goes to emergency.
    department = case.department if case.department not in been_to else "急诊"
    been_to.add(department)
    chance = rng.random()
    fate = Fate.CANCELLED if chance < CANCELLED else Fate.LATE if chance < CANCELLED + LATE else Fate.SEEN
    return Visit(
        number=number,
        person=person,
        is_return=is_return,
        search=_search(person, rng),
        department=department,
        fate=fate,
        measures={} if rng.random() < UNMEASURED else _measures(person, case, rng, today),
        allergy=rng.choice(_SUBSTANCES) if rng.random() < ALLERGIC and not is_return else "",
        case=case,
        is_amended=rng.random() < AMENDED,
    )


def initials(name: str) -> str:
    """As a registrar types them: syq for 单雅琴, or dyq where the surname is not known to be one."""
    return "".join(lazy_pinyin(name, style=Style.FIRST_LETTER))


def _search(person: Person, rng: random.Random) -> str:
    ways = [person.name, f"{initials(person.name)} {person.born.year}", f"{person.name} {person.born.year}"]
    ways += [person.phone] if person.phone else []
    ways += [person.id_number] * 2 if person.id_number else []
    return rng.choice(ways)


def _measures(person: Person, case: Case, rng: random.Random, today: date) -> Mapping[str, str]:
    months = max(0, (today - person.born).days // 30)
    temperature = f"{rng.randrange(*case.fever) / 10:.1f}"
    level = rng.choices(_LEVELS, _OFTEN)[0]
    if not person.is_child:
        pressure = f"{rng.randrange(105, 165)}/{rng.randrange(62, 98)}"
        return {
            "temperature": temperature, "pulse": str(rng.randrange(58, 104)), "respiration": str(rng.randrange(14, 22)),
            "blood_pressure": pressure, "level": level,
        }  # fmt: skip
    # By the months of age, as a rule of thumb has it: 3.3 kg at birth, half a kilogram a month at first, 2 kg a year.
    weight = 3.3 + 0.55 * min(months, 12) + 0.19 * max(0, months - 12)
    return {
        "temperature": temperature, "pulse": str(rng.randrange(88, 130)), "respiration": str(rng.randrange(20, 32)),
        "weight_kg": f"{weight * rng.uniform(0.92, 1.1):.1f}", "level": level,
    }  # fmt: skip
