"""The form of an allergy: what is kept of what was typed, and what is asked back."""

from __future__ import annotations

from datetime import date

import pytest

from edge_node.his.patients.allergy_forms import REACTION_MAX, SUBSTANCE_MAX, Written, end_reason, parse
from edge_node.i18n import ENGLISH, translate

TODAY, BORN = date(2026, 11, 20), date(1980, 3, 14)


def problems(**form: str) -> dict[str, str]:
    found = parse({"substance": "青霉素", **form}, today=TODAY, birth_date=BORN)
    assert isinstance(found, list), found
    return {problem.field: translate(problem.text, ENGLISH) for problem in found}


def test_what_was_typed_is_kept_on_one_line() -> None:
    found = parse(
        {"substance": " 青霉素 ", "reaction": "皮疹\n全身", "since": "２０１９"}, today=TODAY, birth_date=BORN
    )
    assert found == Written(substance="青霉素", reaction="皮疹 全身", since="2019")


@pytest.mark.parametrize("substance", ["𬭎剂", "SMZ-TMP", "花生", "β-内酰胺类"])
def test_rare_characters_and_letters_are_substances(substance: str) -> None:
    found = parse({"substance": substance}, today=TODAY, birth_date=BORN)
    assert isinstance(found, Written)
    assert (found.substance, found.reaction, found.since) == (substance, "", "")


@pytest.mark.parametrize(
    "typed, kept",
    [
        ("1999", "1999"), ("2019-5", "2019-05"), ("2019年", "2019"), ("2019年5月", "2019-05"),
        ("2019/5/3", "2019-05-03"), ("2019年5月3日", "2019-05-03"), ("1980", "1980"), ("2026-11-20", "2026-11-20"),
    ],
)  # fmt: skip
def test_since_is_a_year_a_month_or_a_day(typed: str, kept: str) -> None:
    found = parse({"substance": "青霉素", "since": typed}, today=TODAY, birth_date=BORN)
    assert isinstance(found, Written)
    assert found.since == kept


@pytest.mark.parametrize(
    "typed, sentence",
    [
        ("last year", "A year, a month or a day, such as 2019 or 2019-05"),
        ("2019-13", "A year, a month or a day, such as 2019 or 2019-05"),
        ("0000", "A year, a month or a day, such as 2019 or 2019-05"),
        ("9" * 5000, "A year, a month or a day, such as 2019 or 2019-05"),
        ("2027", "2027 is yet to come"),
        ("2026-11-21", "2026-11-21 is yet to come"),
        ("1979", "The patient was born on 1980-03-14"),
        ("1980-02", "The patient was born on 1980-03-14"),
    ],
)
def test_a_since_that_cannot_be(typed: str, sentence: str) -> None:
    assert problems(since=typed) == {"since": sentence}


@pytest.mark.parametrize("nothing", ["无", "没有", "None", "-"])
def test_nothing_is_no_substance(nothing: str) -> None:
    """Kept as an allergen, it would turn the page red for nobody's sake, and check nothing."""
    assert "use the button" in problems(substance=nothing)["substance"]


def test_all_problems_come_at_once() -> None:
    found = problems(substance="x" * (SUBSTANCE_MAX + 2), reaction="y" * (REACTION_MAX + 1), since="?")
    assert list(found) == ["substance", "reaction", "since"]
    assert found["substance"] == "Too long by 2 characters"
    assert problems(substance="  ")["substance"].startswith("Write what the patient is allergic to")
    assert problems(substance="123")["substance"] == "A substance has letters or characters"
    assert problems(reaction="a\u200bb")["reaction"] == "It holds an invisible character; type it anew"


def test_an_end_needs_a_reason() -> None:
    assert end_reason({"end_reason": " 皮试 阴性 "}) == "皮试 阴性"
    for typed in ("", "  ", "x" * 201):
        assert not isinstance(end_reason({"end_reason": typed}), str)
