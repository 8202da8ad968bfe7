"""A made-up day: the same for a seed, and its people could exist."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.patients import forms
from edge_node.simulation.day import staffing
from edge_node.simulation.people import Person
from edge_node.simulation.plan import Fate, of_registrar, plan

TODAY = date(2026, 11, 26)
PLAN = plan(400, seed=7, today=TODAY)


def test_a_seed_is_a_day() -> None:
    assert plan(400, seed=7, today=TODAY) == PLAN
    assert plan(400, seed=8, today=TODAY) != PLAN
    assert [len(plan(count, seed=1, today=TODAY)) for count in (1, 2, 3)] == [1, 2, 3]


def test_nobody_comes_back_before_they_came_nor_twice_to_one_department() -> None:
    been: dict[Person, list[str]] = {}
    for visit in PLAN:
        assert visit.is_return == (visit.person in been)
        been.setdefault(visit.person, []).append(visit.department)
    assert all(len(set(places)) == len(places) for places in been.values())
    assert sum(visit.is_return for visit in PLAN) > 80


@pytest.mark.parametrize("registrars", [1, 2, 5])
def test_whoever_comes_twice_comes_to_the_same_registrar(registrars: int) -> None:
    lanes = [of_registrar(PLAN, place, registrars) for place in range(registrars)]
    assert sorted(visit.number for lane in lanes for visit in lane) == [visit.number for visit in PLAN]
    people = [{visit.person for visit in lane} for lane in lanes]
    assert sum(map(len, people)) == len(set().union(*people))


def test_every_kind_of_visit_is_among_them() -> None:
    assert {visit.fate for visit in PLAN} == set(Fate)
    assert any(visit.case.herbs for visit in PLAN)
    assert any(visit.person.is_child for visit in PLAN)
    for has in (lambda v: v.measures, lambda v: v.allergy, lambda v: v.person.id_number, lambda v: v.is_amended):
        assert 0 < sum(bool(has(visit)) for visit in PLAN) < len(PLAN)


@pytest.mark.parametrize("person", [visit.person for visit in PLAN[:60]], ids=lambda person: person.name)
def test_the_clinics_own_form_takes_them(person: Person) -> None:
    form = {
        "name": person.name, "sex": person.sex, "birth_date": person.born.isoformat(), "phone": person.phone,
        "id_type": "resident" if person.id_number else "none", "id_number": person.id_number,
        "address": person.address, "occupation": person.occupation, "guardian_name": person.guardian_name,
        "guardian_relation": person.guardian_relation, "guardian_phone": person.guardian_phone,
    }  # fmt: skip
    assert isinstance(forms.parse(form, today=TODAY), forms.Person)
    assert person.is_child == forms.is_child(person.born, TODAY)


@pytest.mark.parametrize(("desks", "seats"), [(3, (1, 1, 1)), (6, (1, 1, 4)), (12, (3, 2, 7))])
def test_desks_are_shared_out(desks: int, seats: tuple[int, int, int]) -> None:
    found = staffing(desks)
    assert (found.registrars, found.nurses, found.doctors) == seats
