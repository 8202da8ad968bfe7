"""Which records may be merged, and which of two is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from edge_node.his.patients.identity import IdType, Sex
from edge_node.his.patients.merge_rules import Side, differing, hindrance, read, suggested
from edge_node.his.patients.queries import Patient, Visit
from edge_node.i18n import ENGLISH, translate

OLD = Patient(
    id="01A", mrn="M1", name="单雅琴", sex=Sex.FEMALE, birth_date=date(1980, 3, 14), phone="13805162207",
    id_type=IdType.NONE, id_number_masked="", address="", version=1,
)  # fmt: skip
NEW = replace(OLD, id="01B", mrn="M2", phone="", version=3)
VISIT = Visit(
    registration_id="r", visit_no="V1", department_id="d", department_name="", department_name_en="", doctor_id=None,
    doctor_name=None, kind="first", status="done", registered_at=1,
)  # fmt: skip


def with_card(patient: Patient) -> Patient:
    return replace(patient, id_type=IdType.RESIDENT, id_number_masked="3205**********2022")


def side(patient: Patient, visits: int = 0, *open_today: str) -> Side:
    return Side(patient=patient, visits=[VISIT] * visits, open_today=open_today)


def hindered(one: Side, other: Side) -> str:
    said, back = hindrance(one, other), hindrance(other, one)
    assert (said is None) is (back is None)
    return translate(said, ENGLISH) if said else ""


def test_only_what_says_something_of_the_person_differs() -> None:
    assert differing(OLD, NEW) == {"phone"}
    assert differing(OLD, replace(OLD, id="x", mrn="y", version=9)) == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        pytest.param(side(OLD), side(NEW), "", id="nothing"),
        pytest.param(side(OLD), side(OLD), "one record already", id="itself"),
        pytest.param(side(with_card(OLD)), side(NEW), "", id="one-card"),
        pytest.param(side(with_card(OLD)), side(with_card(NEW)), "a person has one", id="two-cards"),
        pytest.param(side(with_card(OLD)), side(replace(NEW, id_type=IdType.PASSPORT)), "", id="a-card-and-a-passport"),
        pytest.param(side(OLD, 1, "内 03"), side(NEW), "", id="one-is-here"),
        pytest.param(side(OLD, 1, "内 03"), side(NEW, 1, "内 05"), "(内 03, 内 05)", id="both-are-here"),
    ],
)
def test_what_stands_in_the_way(one: Side, other: Side, why: str) -> None:
    said = hindered(one, other)
    assert why in said
    assert bool(said) is bool(why)


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        pytest.param(side(OLD), side(NEW), "01A", id="the-older"),
        pytest.param(side(OLD), side(NEW, 2), "01B", id="more-visits"),
        pytest.param(side(OLD, 5), side(with_card(NEW)), "01B", id="a-document"),
    ],
)
def test_which_is_proposed(one: Side, other: Side, kept: str) -> None:
    assert suggested(one, other) == suggested(other, one) == kept


def test_the_form() -> None:
    assert read({"kept": "01B", "reason": "  same   card "}, OLD, NEW) == (NEW, OLD, "same card")
    for form, fields in (
        ({"reason": "x"}, ["kept"]),
        ({"kept": "01C", "reason": " "}, ["kept", "reason"]),
        ({"kept": "01A", "reason": "x" * 201}, ["reason"]),
    ):
        found = read(form, OLD, NEW)
        assert isinstance(found, list)
        assert [problem.field for problem in found] == fields


def test_a_document_number_is_not_put_aside() -> None:
    found = read({"kept": "01A", "reason": "same card"}, OLD, with_card(NEW))
    assert isinstance(found, list)
    assert "Keep M2" in translate(found[0].text, ENGLISH)
