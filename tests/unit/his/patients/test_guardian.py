"""Who answers for a child: asked for under 14, with the reason where there is nobody."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.patients.forms import Person, is_child, parse
from edge_node.i18n import ENGLISH, translate

TODAY = date(2026, 11, 20)
CHILD = {"name": "李小满", "sex": "1", "birth_date": "2019-06-01", "id_type": "none"}
MOTHER = {"guardian_name": "单雅琴", "guardian_relation": "母亲", "guardian_phone": "138 0516 2207"}


def person(**form: str) -> Person:
    found = parse({**CHILD, **form}, today=TODAY)
    assert isinstance(found, Person), found
    return found


def problems(**form: str) -> dict[str, str]:
    found = parse({**CHILD, **form}, today=TODAY)
    assert isinstance(found, list), found
    return {problem.field: translate(problem.text, ENGLISH) for problem in found}


def test_a_child_comes_with_its_mother() -> None:
    child = person(**MOTHER)
    assert (child.guardian_name, child.guardian_relation, child.guardian_phone) == ("单雅琴", "母亲", "13805162207")


def test_a_newborn_without_a_name_and_papers() -> None:
    born_today = person(name="单雅琴之女", sex="2", birth_date=TODAY.isoformat(), **MOTHER)
    assert (born_today.name, born_today.id_number) == ("单雅琴之女", None)


def test_a_child_alone_says_why() -> None:
    assert list(problems()) == ["guardian_name"]
    alone = person(guardian_relation="老师陪同，家长电话打不通")
    assert (alone.guardian_name, alone.guardian_relation) == ("", "老师陪同，家长电话打不通")


@pytest.mark.parametrize("born, child", [("2012-11-21", True), ("2012-11-20", False), ("1980-03-14", False)])
def test_fourteen_is_the_limit(born: str, child: bool) -> None:
    assert is_child(born, TODAY) is child
    assert isinstance(parse({**CHILD, "birth_date": born}, today=TODAY), list) is child


@pytest.mark.parametrize("typed", ["", "yesterday", "2026-11-21", "2019-02-30", "9" * 5000])
def test_what_is_no_date_is_no_childs(typed: str) -> None:
    assert not is_child(typed, TODAY)


def test_what_was_said_of_a_guardian_hangs_together() -> None:
    assert list(problems(guardian_name="单雅琴")) == ["guardian_relation"]
    assert list(problems(guardian_relation="x", guardian_phone="13805162207")) == ["guardian_name"]
    found = problems(guardian_name="12", guardian_relation="y" * 41, guardian_phone="138")
    assert found == {
        "guardian_name": "A name has letters or characters",
        "guardian_relation": "Too long by 1 characters",
        "guardian_phone": "Short by 8: a mobile number has 11 digits",
    }


@pytest.mark.parametrize("field", ["name", "guardian_name", "guardian_relation", "occupation", "address"])
def test_a_card_that_is_scanned_into_the_wrong_field_stays_there(field: str) -> None:
    """A scanner types 18 characters and Enter into whatever has the focus: the mother's card, in a child's form."""
    card = "11010119900307803X"
    found = problems(**{**MOTHER, field: f" {card.lower()} "})
    assert found == {field: "This is the number of an ID card; it does not belong in this field"}


def test_an_adult_may_have_one_and_an_occupation() -> None:
    adult = person(birth_date="1980-03-14", occupation=" 教师 ", **MOTHER)
    assert (adult.occupation, adult.guardian_name) == ("教师", "单雅琴")
    assert list(problems(birth_date="1980-03-14", occupation="z" * 41)) == ["occupation"]
